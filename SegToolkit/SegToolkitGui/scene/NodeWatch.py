"""Tells when outlines, tables, or voxels and place of a volume change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import slicer
import vtk


class NodeWatch:
    """Follows some volumes, segmentations and tables.

    Args:
        onChange: called without arguments, many times while somebody paints.
    """

    def __init__(self, onChange: Callable[[], Any]) -> None:
        self._onChange = onChange
        self._followed: list[Any] = []
        self._tags: list[tuple[Any, int]] = []

    def follow(self, nodes: Iterable[Any]) -> None:
        """Follow these nodes, in place of others; None among them counts for nothing."""
        wanted = [node for node in dict.fromkeys(nodes) if node is not None]
        if wanted == self._followed:
            return
        for thing, tag in self._tags:
            thing.RemoveObserver(tag)
        self._followed, self._tags = wanted, []
        for node in wanted:
            self._observe(node, [vtk.vtkCommand.ModifiedEvent])
            if node.IsA("vtkMRMLTableNode"):
                continue
            # Volumes and segmentations do not tell of these as "modified".
            self._observe(node, [slicer.vtkMRMLTransformableNode.TransformModifiedEvent])
            if node.IsA("vtkMRMLSegmentationNode"):
                kind = slicer.vtkSegmentation
                events = [kind.SegmentAdded, kind.SegmentRemoved, kind.SegmentModified]
                self._observe(node.GetSegmentation(), [*events, kind.SourceRepresentationModified])
            else:
                self._observe(node, [slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent])

    def _observe(self, thing: Any, events: list[int]) -> None:
        self._tags += [(thing, thing.AddObserver(event, self._onEvent)) for event in events]

    def _onEvent(self, _caller: Any, _event: Any) -> None:
        self._onChange()
