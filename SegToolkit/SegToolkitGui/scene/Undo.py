"""Undo of what runs changed in the scene, one step for one run.

Imports exchange label images and never write into old ones, so a step keeps references, not copies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Appearance, LabelLayers, Placement
from SegToolkitGui.scene.LabelLayers import BINARY, SURFACE, NewContent


@dataclass
class _Segment:
    """A segment as it was: metadata (name, colour, tags), label image and value in it."""

    metadata: object
    image: object
    value: int


@dataclass
class _Change:
    """A segmentation before (None: it was made by the run) and how the run left it.

    ``attributes``: of the node, that go back with the voxels; ``follows``: before, it was as an earlier run
    had left it.
    """

    node: object
    before: dict[str, _Segment] | None
    parameters: str
    reference: str
    follows: bool = False
    attributes: dict[str, str | None] = field(default_factory=dict)
    after: dict = field(default_factory=dict)


@dataclass
class _Step:
    text: str
    changes: list[_Change] = field(default_factory=list)
    made: list = field(default_factory=list)
    guards: list = field(default_factory=list)

    @property
    def gone(self) -> bool:
        """Whether all that it changed was deleted; what it made besides counts where it changed nothing."""
        nodes = [change.node for change in self.changes] or self.made
        return all(node.GetScene() is None for node in nodes)


class UndoStack:
    """Steps that can be taken back.

    Around each import: ``remember(node or None)``, the import, ``finish(node)``. Between ``begin`` and
    ``end`` several imports count as one step.

    Args:
        limit: how many steps are kept; each holds the memory of the label images it replaced.
    """

    def __init__(self, limit: int = 5) -> None:
        self._limit = limit
        self._steps: list[_Step] = []
        self._group: _Step | None = None
        self._pending: _Change | None = None

    def begin(self, text: str = "") -> None:
        """All imports until ``end`` are one step."""
        self._group = _Step(text)

    def end(self) -> None:
        """Close the step."""
        group, self._group = self._group, None
        if group is not None:
            self._push(group)

    def remember(self, node, attributes=()) -> None:
        """Keep how a segmentation is before an import; None if the import makes a new one.

        Args:
            node: the segmentation.
            attributes: names of those of its attributes that are said of its voxels, and go back with them.
        """
        if node is None:
            self._pending = _Change(None, None, "", "")
            return
        segmentation = node.GetSegmentation()
        before = {one: _snapshot(segmentation.GetSegment(one)) for one in segmentation.GetSegmentIDs()}
        parameters = segmentation.SerializeAllConversionParameters()
        reference = node.GetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole()) or ""
        earlier = self._lastChange(node)
        follows = earlier is not None and _unchanged(earlier)
        values = {name: node.GetAttribute(name) for name in attributes}
        self._pending = _Change(node, before, parameters, reference, follows, values)

    def finish(self, node, made=(), guard=None) -> None:
        """The import is done.

        Args:
            node: its segmentation, if it made one that the scene holds.
            made: what else it added.
            guard: ``guard.changed()`` names what of ``made`` a person has changed since, "" if nothing; that
                is not taken back then.
        """
        change, self._pending = self._pending, None
        if change is None:
            return
        step = self._group or _Step("")
        if node is not None:
            change.node = node
            change.after = _state(node)
            step.changes.append(change)
        step.made.extend(made)
        if guard is not None and guard not in step.guards:
            step.guards.append(guard)
        if not step.text:
            step.text = next((one.GetName() for one in (node, *made) if one is not None), "")
        if self._group is None:
            self._push(step)

    def abandon(self, node) -> None:
        """The import was given up; ``node`` is its segmentation, None if it did not get that far."""
        change, self._pending = self._pending, None
        if change is None or node is None or node.GetScene() is None:
            return
        change.node = node
        if change.before is None:
            Placement.removeWithDisplay(node.GetScene(), node)
        else:
            self._restore(change)

    def canUndo(self) -> tuple[bool, str]:
        """Whether the last step can be taken back, and why not."""
        while self._steps and self._steps[-1].gone:
            self._steps.pop()
        if not self._steps:
            return False, _("There is nothing to undo.")
        # Several imports of one step into one segmentation: the last one left it as it should be now.
        step = self._steps[-1]
        last = {change.node: change for change in step.changes}
        changed = [
            change.node.GetName()
            for change in last.values()
            if change.node.GetScene() is not None and not _unchanged(change)
        ]
        changed += [name for guard in step.guards if not changed and (name := guard.changed())]
        if changed:
            text = _("{name} was changed after the run; undo would lose that.")
            return False, text.format(name=changed[0])
        return True, ""

    def undo(self) -> str:
        """Take the last step back.

        Returns:
            What was undone, in a sentence.

        Raises:
            UserError: "cannot-undo".
        """
        possible, reason = self.canUndo()
        if not possible:
            raise UserError("cannot-undo", reason)
        step = self._steps.pop()
        for change in reversed(step.changes):
            scene = change.node.GetScene()
            if scene is None:
                continue
            if change.before is None:
                Placement.removeWithDisplay(scene, change.node)
            else:
                self._restore(change)
        for node in step.made:
            if node.GetScene() is not None:
                Placement.removeWithDisplay(node.GetScene(), node)
        return _("Undone: {text}.").format(text=step.text)

    def clear(self) -> None:
        """Forget all steps, for example when the scene is closed; nodes must not be kept then."""
        self._steps.clear()
        self._group = self._pending = None

    def _push(self, step: _Step) -> None:
        """Keep a step; a run that changed nothing leaves none."""
        if step.changes or step.made:
            self._steps.append(step)
        del self._steps[: -self._limit]

    def _lastChange(self, node) -> _Change | None:
        """What the last run that is known did to a segmentation."""
        steps = [*self._steps, self._group] if self._group is not None else self._steps
        changes = (change for step in reversed(steps) for change in reversed(step.changes))
        return next((change for change in changes if change.node is node), None)

    def _restore(self, change: _Change) -> None:
        _restore(change)
        earlier = self._lastChange(change.node)
        if change.follows and earlier is not None:
            earlier.after = _state(change.node)  # the same, with new time stamps: it can be undone as well


def _snapshot(segment) -> _Segment:
    metadata = slicer.vtkSegment()
    metadata.DeepCopyMetadata(segment)
    return _Segment(metadata, segment.GetRepresentation(BINARY), segment.GetLabelValue())


@dataclass
class _Seen:
    """A segment at some moment: what is said about it, its source data and their time stamp."""

    look: tuple
    source: object
    stamp: int
    value: int


def _state(node) -> dict[str, _Seen]:
    segmentation = node.GetSegmentation()
    state = {}
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        source = segment.GetRepresentation(segmentation.GetSourceRepresentationName())
        look = (segment.GetName(), tuple(segment.GetColor()), Appearance.terminologyOf(segment))
        stamp = source.GetMTime() if source is not None else 0
        state[segmentId] = _Seen(look, source, stamp, segment.GetLabelValue())
    return state


def _unchanged(change: _Change) -> bool:
    """Whether voxels, names, colours, terminology and the list of segments are as the run left them."""
    now = _state(change.node)
    same = list(now) == list(change.after) and all(_sameSegment(change.after[one], now[one]) for one in now)
    if same:
        change.after = now  # so that voxels are compared only once
    return same


def _sameSegment(before: _Seen, now: _Seen) -> bool:
    if before.look != now.look:
        return False
    if before.source is now.source:
        return before.stamp == now.stamp and before.value == now.value
    # Saving packs layers into new images of the same content.
    images = [one.source for one in (before, now)]
    if not all(isinstance(one, slicer.vtkOrientedImageData) and not one.IsEmpty() for one in images):
        return False
    if before.source.GetMTime() != before.stamp or not LabelLayers.onSameLattice(*images):
        return False
    extent = LabelLayers.union(images[0].GetExtent(), images[1].GetExtent())
    return all(
        np.array_equal(
            LabelLayers.plane(images[0], k, extent) == before.value,
            LabelLayers.plane(images[1], k, extent) == now.value,
        )
        for k in range(extent[4], extent[5] + 1)
    )


def _restore(change: _Change) -> None:
    node, segmentation = change.node, change.node.GetSegmentation()
    hadSurfaces = segmentation.ContainsRepresentation(SURFACE)
    for segmentId in segmentation.GetSegmentIDs():
        if segmentId not in change.before:
            segmentation.RemoveSegment(segmentId)
    now = {one: segmentation.GetSegment(one) for one in segmentation.GetSegmentIDs()}
    contents = {}
    for segmentId, was in change.before.items():
        if segmentId not in now or was.image is None:
            continue
        now[segmentId].DeepCopyMetadata(was.metadata)
        if now[segmentId].GetRepresentation(BINARY) is not was.image:
            contents[segmentId] = NewContent(was.image, was.value)
    LabelLayers.exchange(segmentation, contents)
    segmentation.DeserializeConversionParameters(change.parameters)
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), change.reference or None)
    for name, value in change.attributes.items():
        node.SetAttribute(name, value)
    if hadSurfaces:
        node.CreateClosedSurfaceRepresentation()
