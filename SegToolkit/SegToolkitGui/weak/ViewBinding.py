"""One slice view and the slices of a volume: which one it shows, and how to bring it to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from SegToolkitGui.scene import ViewSlice


class ViewBinding:
    """Follows a slice view while the panel is shown.

    Args:
        onMoved: called with the number of the slice that the view shows now, -1 for none; at once, and not
            for moves that were asked for here.
    """

    def __init__(self, onMoved: Callable[[int], Any]) -> None:
        self._onMoved = onMoved
        self._node: Any = None
        self._tag: Any = None
        self._volume: Any = None
        self._axis = 2
        self._moving = False
        self._last = -1

    def follow(self, viewName: str, volumeNode: Any, axis: int) -> None:
        """Follow this view; "" for none."""
        widget = ViewSlice.sliceWidget(viewName)
        node = widget.mrmlSliceNode() if widget is not None and volumeNode is not None else None
        self._volume, self._axis = volumeNode, axis
        if node is self._node:
            return
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node, self._last = node, -1
        if node is not None:
            self._tag = node.AddObserver("ModifiedEvent", self._onModified)

    def release(self) -> None:
        """Follow no view, and keep no nodes."""
        self.follow("", None, 2)

    @property
    def index(self) -> int:
        """The slice that the view shows; -1 where it shows none, or one across another axis."""
        return self._shown().index if self._node is not None else -1

    @property
    def problem(self) -> str:
        """Why the view shows no slice, in a sentence; "" if it does."""
        if self._node is None:
            return ""
        shown = ViewSlice.sliceInView(self._node, self._volume)
        if shown.problem or shown.axis == self._axis:
            return shown.text
        return _("The view shows slices across another axis.")

    def _shown(self) -> ViewSlice.ViewSlice:
        shown = ViewSlice.sliceInView(self._node, self._volume)
        return shown if shown.axis == self._axis else ViewSlice.ViewSlice(-1, -1, shown.tilt)

    def show(self, index: int) -> None:
        """Bring the view to a slice; it is turned if it shows another plane."""
        if self._node is None:
            return
        self._moving = True
        try:
            self._last = ViewSlice.showSlice(self._node, self._volume, self._axis, index).index
        finally:
            self._moving = False

    def _onModified(self, _caller: Any, _event: Any) -> None:
        if self._moving or self._volume is None or self._volume.GetScene() is None:
            return
        index = self.index
        if index != self._last:
            self._last = index
            self._onMoved(index)
