"""Whether a person has edited the segmentations of a sequence since a run left them.

Frames are copied between the sequence and the node that shows one, which gives unedited ones new time stamps
and may pack their segments anew. So what counts is content: names, colours, codes and voxels of the segments.
"""

from __future__ import annotations

import hashlib

import numpy as np
import slicer

from SegToolkitGui.scene import Appearance, Geometry, LabelLayers
from SegToolkitGui.scene.LabelLayers import BINARY


class FrameEdits:
    """Remembers what a run has put into a sequence of segmentations, frame by frame."""

    def __init__(self) -> None:
        self._sequenceId = ""
        self._proxyId = ""
        self._left: dict[str, str] = {}  # index value -> content
        self._seen: dict[str, tuple] = {}  # index value -> time stamps that are known to have that content

    def note(self, sequenceId: str, proxyId: str, frame: str) -> None:
        """The run has filled a frame.

        Args:
            sequenceId, proxyId: MRML IDs of the sequence, and of the node that shows a frame of it.
            frame: index value in the sequence.
        """
        self._sequenceId, self._proxyId = sequenceId, proxyId
        for value, node in _frames(slicer.mrmlScene.GetNodeByID(sequenceId)):
            if value == frame:
                self._left[value], self._seen[value] = _content(node), _stamps(node)

    def changed(self) -> str:
        """Name of the segmentation if a frame of it was edited, or one added; "" if not, or if it is gone."""
        scene = slicer.mrmlScene
        sequence = scene.GetNodeByID(self._sequenceId) if self._sequenceId else None
        if sequence is None:
            return ""
        proxy = scene.GetNodeByID(self._proxyId)
        if any(self._isEdited(value, node) for value, node in _frames(sequence)):
            return (proxy or sequence).GetName()
        return ""

    def _isEdited(self, value: str, node) -> bool:
        stamps = _stamps(node)
        if self._seen.get(value) == stamps:
            return False
        # A frame without a result is shown empty, and may be kept so.
        if _content(node) != self._left.get(value, _content(None)):
            return True
        self._seen[value] = stamps
        return False


def _frames(sequence):
    """Index value and data of each frame."""
    if sequence is None:
        return
    for number in range(sequence.GetNumberOfDataNodes()):
        yield sequence.GetNthIndexValue(number), sequence.GetNthDataNode(number)


def _segments(node):
    if node is None:
        return
    segmentation = node.GetSegmentation()
    for segmentId in segmentation.GetSegmentIDs():
        yield segmentation.GetSegment(segmentId)


def _look(segment) -> tuple:
    return segment.GetName(), tuple(segment.GetColor()), Appearance.terminologyOf(segment)


def _stamps(node) -> tuple:
    """Changes whenever the content does, and at other times as well."""
    found = []
    for segment in _segments(node):
        image = segment.GetRepresentation(BINARY)
        stamp = image.GetMTime() if image is not None else 0
        found.append((_look(segment), stamp, segment.GetLabelValue()))
    return tuple(found)


def _content(node) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for segment in _segments(node):
        digest.update(repr(_look(segment)).encode())
        image = segment.GetRepresentation(BINARY)
        if image is None or LabelLayers.isEmpty(image):
            continue
        inside = LabelLayers.voxels(image) == segment.GetLabelValue()
        axes = [np.flatnonzero(inside.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
        if not axes[0].size:
            continue
        box = tuple(slice(one[0], one[-1] + 1) for one in axes)
        # The same voxels may lie in a larger or smaller image: where they are in the patient counts.
        matrix, extent = Geometry.imageMatrix(image), image.GetExtent()
        first = [axes[2 - n][0] + extent[2 * n] for n in range(3)]  # of the box, i, j, k
        place = np.append(matrix[:3, :3].ravel(), (matrix @ [*first, 1])[:3])
        digest.update(repr((np.round(place, 2) + 0.0).tolist()).encode())
        digest.update(repr(inside[box].shape).encode() + np.packbits(inside[box]).tobytes())
    return digest.hexdigest()
