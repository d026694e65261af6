"""Support examples: which segments are outlined on which slice of which volume.

An example refers to nodes; it holds no voxels. What counts is what is drawn when a run starts, so an outline
that was mended later is used as mended. Nodes are kept as node references of the parameter node, which the
scene keeps right when it is saved, opened or imported into another scene.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Geometry
from SegToolkitGui.scene.SequenceFrames import dataNodeOfFrame

PARAMETER = "SupportExamples"
ROLE = "support_{uid}_{what}"


@dataclass(frozen=True)
class SupportExample:
    """One outlined slice.

    Attributes:
        uid: name of the example within the scene.
        volumeId: MRML ID of the outlined volume ("" if it is gone).
        segmentationId: MRML ID of the segmentation ("" if it is gone).
        segmentIds: outlined segments that count.
        axis: 0, 1 or 2: the slice lies across the volume's axis i, j or k.
        index: number of the slice along that axis, from 0.
        frame: item of the sequence that the volume shows, or None if it is no sequence.
    """

    uid: str
    volumeId: str
    segmentationId: str
    segmentIds: tuple[str, ...]
    axis: int
    index: int
    frame: int | None = None

    @property
    def volume(self):
        """The volume node, or None."""
        return slicer.mrmlScene.GetNodeByID(self.volumeId) if self.volumeId else None

    @property
    def segmentation(self):
        """The segmentation node, or None."""
        return slicer.mrmlScene.GetNodeByID(self.segmentationId) if self.segmentationId else None

    def presentSegmentIds(self) -> list[str]:
        """Those segments that are still in the segmentation."""
        node = self.segmentation
        if node is None:
            return []
        return [one for one in self.segmentIds if node.GetSegmentation().GetSegment(one)]

    def structureNames(self) -> list[str]:
        """Names of the outlined segments."""
        node = self.segmentation
        return [node.GetSegmentation().GetSegment(one).GetName() for one in self.presentSegmentIds()]

    def plane(self) -> str:
        """axial, coronal or sagittal, whichever is nearest; "" if the volume is gone."""
        return Geometry.planeOf(self.volume, self.axis) if self.volume is not None else ""

    def problem(self) -> str:
        """Why it cannot be used, in a sentence; "" if it can."""
        if self.volume is None:
            return _("The outlined volume is no longer in the scene: remove this example.")
        if self.segmentation is None:
            return _("The outlines are no longer in the scene: remove this example.")
        if not self.presentSegmentIds():
            return _("The outlined segments were deleted from {name}: remove this example.").format(
                name=self.segmentation.GetName()
            )
        try:
            source = dataNodeOfFrame(self.volume, self.frame)
        except UserError as error:
            return error.text + " " + _("Remove this example.")
        if not 0 <= self.index < Geometry.dimensions(source)[self.axis]:
            return _("{name} has no slice {index} any more: remove this example.").format(
                name=self.volume.GetName(), index=self.index
            )
        return ""


class SupportList:
    """The examples of a parameter node.

    Args:
        parameterNode: the MRML parameter node of the module (not its wrapper).
    """

    def __init__(self, parameterNode) -> None:
        self._node = parameterNode

    def items(self) -> list[SupportExample]:
        """All examples in the order in which they were added."""
        return [self._read(record) for record in self._records()]

    def add(
        self, volumeNode, segmentationNode, segmentIds, axis: int, index: int, frame=None
    ) -> SupportExample:
        """Keep an example; one of the same slice and segmentation takes the new segments in as well.

        Raises:
            UserError: no segment is named, or a node is missing.
        """
        if volumeNode is None or segmentationNode is None:
            raise UserError(
                "no-input",
                _("A volume and a segmentation are needed for an example."),
                _("Choose both, then draw."),
            )
        if not segmentIds:
            raise UserError("no-segment", _("No segment is chosen."), _("Tick the outlined segments."))
        for example in self.items():
            same = (example.volumeId, example.segmentationId, example.axis, example.index, example.frame)
            if same == (volumeNode.GetID(), segmentationNode.GetID(), axis, index, frame):
                joined = list(dict.fromkeys([*example.segmentIds, *segmentIds]))
                self._write(
                    [
                        {**record, "segments": joined} if record["uid"] == example.uid else record
                        for record in self._records()
                    ]
                )
                return next(one for one in self.items() if one.uid == example.uid)
        records = self._records()
        uid = self._freeUid(records)
        with slicer.util.NodeModify(self._node):
            self._node.SetNodeReferenceID(ROLE.format(uid=uid, what="volume"), volumeNode.GetID())
            self._node.SetNodeReferenceID(ROLE.format(uid=uid, what="segmentation"), segmentationNode.GetID())
            record = {
                "uid": uid,
                "segments": list(segmentIds),
                "axis": int(axis),
                "index": int(index),
                "frame": frame,
            }
            self._write([*records, record])
        return self.items()[-1]

    def remove(self, uid: str) -> None:
        """Forget an example; its nodes stay."""
        with slicer.util.NodeModify(self._node):
            for what in ("volume", "segmentation"):
                self._node.RemoveNodeReferenceIDs(ROLE.format(uid=uid, what=what))
            self._write([record for record in self._records() if record["uid"] != uid])

    def clear(self) -> None:
        """Forget all examples."""
        for example in self.items():
            self.remove(example.uid)

    def _records(self) -> list[dict]:
        try:
            records = json.loads(self._node.GetParameter(PARAMETER) or "[]")
        except (ValueError, RecursionError):
            records = []
        # A scene made by hand or by another version: better no examples than no panel.
        return [one for one in records if _isRecord(one)] if isinstance(records, list) else []

    def _write(self, records: list[dict]) -> None:
        self._node.SetParameter(PARAMETER, json.dumps(records))

    @staticmethod
    def _freeUid(records: list[dict]) -> str:
        taken = {record["uid"] for record in records}
        return next(str(n) for n in range(1, len(taken) + 2) if str(n) not in taken)

    def _read(self, record: dict) -> SupportExample:
        def referenced(what: str) -> str:
            node = self._node.GetNodeReference(ROLE.format(uid=record["uid"], what=what))
            return node.GetID() if node is not None else ""

        return SupportExample(
            uid=record["uid"],
            volumeId=referenced("volume"),
            segmentationId=referenced("segmentation"),
            segmentIds=tuple(record["segments"]),
            axis=int(record["axis"]),
            index=int(record["index"]),
            frame=record.get("frame"),
        )


def _isRecord(record) -> bool:
    """Whether it is an example as ``SupportList.add`` writes it."""
    if not isinstance(record, dict):
        return False
    segments, frame = record.get("segments"), record.get("frame")
    return (
        isinstance(record.get("uid"), str)
        and isinstance(segments, list)
        and all(isinstance(one, str) for one in segments)
        and record.get("axis") in (0, 1, 2)
        and isinstance(record.get("index"), int)
        and (frame is None or isinstance(frame, int))
    )


def structuresOf(examples) -> list[str]:
    """Names of all structures of some examples, each once, in the order of their first outline."""
    return list(dict.fromkeys(name for example in examples for name in example.structureNames()))


def appearanceOf(examples) -> dict[str, dict]:
    """Colour (r, g, b from 0 to 1) and terminology entry of each structure, from its first outline."""
    appearance: dict[str, dict] = {}
    for example in examples:
        for segmentId in example.presentSegmentIds():
            segment = example.segmentation.GetSegmentation().GetSegment(segmentId)
            appearance.setdefault(
                segment.GetName(),
                {"colour": tuple(segment.GetColor()), "terminology": segment.GetTerminology()},
            )
    return appearance
