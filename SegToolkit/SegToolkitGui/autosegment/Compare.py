"""A segmentation beside a reference, organ by organ: a table and charts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.autosegment import CompareCharts
from SegToolkitGui.run.SceneRun import SceneRun
from SegToolkitGui.run.States import State
from SegToolkitGui.scene import Geometry, LabelMapExport, Placement, TableNodes


@dataclass
class CompareSettings:
    """Settings of a comparison.

    Attributes:
        referenceId, comparedId: MRML IDs of the segmentations; the first counts as the truth.
        volumeId: MRML ID of the volume whose grid counts; "" takes the one that either was made on.
        toleranceMm: surfaces that are closer count as equal in the surface Dice.
    """

    referenceId: str
    comparedId: str
    volumeId: str = ""
    toleranceMm: float = 2.0

    def nodeIds(self) -> set[str]:
        """Nodes without which the comparison makes no sense."""
        return {self.referenceId, self.comparedId, self.volume.GetID()}

    @property
    def volume(self):
        """The volume whose grid counts, or None."""
        if self.volumeId:
            return slicer.mrmlScene.GetNodeByID(self.volumeId)
        nodes = [slicer.mrmlScene.GetNodeByID(one) for one in (self.comparedId, self.referenceId) if one]
        volumes = (referenceVolume(node) for node in nodes if node is not None)
        return next((volume for volume in volumes if volume is not None), None)

    def problem(self) -> str:
        """Why these cannot be compared, in a sentence for the person; "" if they can."""
        for nodeId, text in (
            (self.referenceId, _("Choose the reference segmentation.")),
            (self.comparedId, _("Choose the segmentation that is to be judged.")),
        ):
            node = slicer.mrmlScene.GetNodeByID(nodeId) if nodeId else None
            if node is None:
                return text
            if not node.GetSegmentation().GetNumberOfSegments():
                return _("{name} has no segments.").format(name=node.GetName())
        if self.referenceId == self.comparedId:
            return _("A segmentation equals itself: choose two different ones.")
        if self.volume is None:
            return _("Neither says on which volume it was made: choose that volume in section 1.")
        image, name = self.volume.GetImageData(), self.volume.GetName()
        if image is None or 0 in image.GetDimensions():
            return _("{name} holds no image.").format(name=name)
        if Geometry.isSheared(Geometry.ijkToLocal(self.volume)):
            return _("The axes of {name} are not at right angles; distances would be wrong.").format(
                name=name
            )
        if not self.toleranceMm > 0:
            return _("The tolerance must be above 0 mm.")
        return ""


def referenceVolume(segmentationNode):
    """The volume that a segmentation was made on, or None."""
    volume = segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())
    return volume if volume is not None and volume.GetImageData() is not None else None


class CompareRun(SceneRun):
    """A comparison under way; signals and states are those of every run.

    Attributes:
        rows: one dict for each organ that either has: "name", "dsc", "nsd", "tolerance_mm", "hd95_mm",
            "assd_mm", "reference_ml", "result_ml"; where one of the two has no voxel, "dsc" and "nsd" are 0
            and a distance is None; where neither has one, these four are None.
        notes: sentences, such as which organs have no partner.
        tableId: MRML ID of the table; chartIds: of its charts, "agreement" and "distance".
    """

    goneHint = _("Nothing was compared; choose what to compare and start again.")

    def __init__(self, session, settings: CompareSettings) -> None:
        super().__init__(session, settings)
        self.rows: list[dict] = []
        self.notes: list[str] = []
        self.tableId = ""
        self.chartIds: dict[str, str] = {}

    def _work(self):
        settings, volumeId = self.settings, self.settings.volume.GetID()
        folder = self._session.newResultFolder()
        try:
            request: dict = {"tolerance_mm": settings.toleranceMm}
            for name, nodeId in (("reference", settings.referenceId), ("result", settings.comparedId)):
                path = folder / f"{name}.nrrd"
                request[name] = str(path)
                request[f"{name}_names"] = yield from self._exportedLabels(nodeId, volumeId, path)
            self._enter(State.RUNNING)
            outputs = yield from self._asked("compare", request)
        finally:
            Paths.removeFolder(folder)
        self._enter(State.IMPORTING)
        self.rows, self.notes = list(outputs["rows"]), [*self.notes, *outputs["notes"]]
        for note in self.notes:
            self.logged.emit(note)
        self._show()

    def _exportedLabels(self, nodeId: str, volumeId: str, path: Path):
        """Write a segmentation on the volume's grid; returns the names of its labels."""
        node = self._node(nodeId)
        work = LabelMapExport.LabelMapExport([node], self._node(volumeId), path)
        yield from self._pieces(work)
        if work.overlaps:
            text = _("Segments of {name} overlap; there, the later one counts: {names} lost voxels.")
            self.notes.append(text.format(name=node.GetName(), names=", ".join(work.overlaps)))
        return {str(value): name for name, value in work.values.items()}

    def _show(self) -> None:
        """Table and charts."""
        settings = self.settings
        reference, compared = self._node(settings.referenceId), self._node(settings.comparedId)
        title = _("{name} compared with {reference}").format(
            name=compared.GetName(), reference=reference.GetName()
        )
        rows = self.rows
        columns = [
            (_("Organ"), [row["name"] for row in rows]),
            (_("DSC"), [row["dsc"] for row in rows]),
            (_("NSD {mm:g} mm").format(mm=settings.toleranceMm), [row["nsd"] for row in rows]),
            (_("HD95 mm"), [row["hd95_mm"] for row in rows]),
            (_("ASSD mm"), [row["assd_mm"] for row in rows]),
            (_("Ref. ml"), [row["reference_ml"] for row in rows]),
            (_("ml"), [row["result_ml"] for row in rows]),
        ]
        table = TableNodes.makeTable(title, columns, _("Comparison of segmentations, by SegToolkit"))
        Placement.underSamePatient(table, settings.volume)
        self.tableId = table.GetID()
        self.chartIds = CompareCharts.make(table, title)
