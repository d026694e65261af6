"""This patient's images into a data set, with tags or with the slices of a mask that were accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.DatasetFolder import channelsIn, isDataset, namesIn
from SegToolkitGui.Errors import UserError
from SegToolkitGui.run.SceneRun import SceneRun
from SegToolkitGui.run.States import State
from SegToolkitGui.scene import BoxExport, Geometry, NrrdFile
from SegToolkitGui.scene.CaseNames import Names
from SegToolkitGui.scene.LabelMapExport import LabelMapExport
from SegToolkitGui.scene.VolumeExport import VolumeExport
from SegToolkitGui.weak.Images import Images, sliceAxis, sliceCount

MODALITIES = ("MR", "CT")
# What becomes of slices that were not accepted: not part of the case, or taken for background. Nobody said
# that there is nothing in them, so a training must not learn that unless the person chooses it.
OTHERS = ("left", "background")


@dataclass
class CollectSettings:
    """What is written.

    Attributes:
        images: the volumes.
        folder: of the data set; cases are added to one that is there.
        name, modality: of a new data set.
        tags: slice -> whether the object is visible; None writes none.
        segmentationId: MRML ID of the masks; "" writes none.
        accepted: the slices of the masks that are right.
        absent: the slices in which the object is said not to be visible: background, accepted or not.
        resample: bring the other images onto the voxels of the first.
        others: what becomes of the other slices, "left" out or "background".
        keepNames: keep the patient's name.
    """

    images: Images
    folder: str
    name: str = ""
    modality: str = "MR"
    tags: dict[int, bool] | None = None
    segmentationId: str = ""
    accepted: list[int] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)
    resample: bool = False
    others: str = OTHERS[0]
    keepNames: bool = False

    acceptLicence = False  # no model is used

    def nodeIds(self) -> set[str]:
        """Nodes without which the run makes no sense."""
        return {*self.images.ids, *([self.segmentationId] * bool(self.segmentationId))}

    def acceptedThere(self) -> list[int]:
        """The accepted slices that the first image has; it may have been exchanged since."""
        return [one for one in self.accepted if one < sliceCount(self.images.node())]

    def known(self) -> list[int]:
        """The slices of the first image whose label is known."""
        there = sliceCount(self.images.node())
        return sorted({*self.acceptedThere(), *(one for one in self.absent if one < there)})

    def problem(self) -> str:
        """Why this cannot be collected, in a sentence for the person; "" if it can."""
        problem = self.images.problem()
        if problem or not self.resample:
            problem = problem or self.images.gridProblem()
        elif self.segmentationId and self.others == "left" and self.images.apart():
            problem = _(
                "Slices can be left out only where all images lie on the same voxels: resample them first, or"
                " take the other slices for background."
            )
        if problem:
            return problem
        if self.tags is not None and not self.tags:
            return _("Tag slices first.")
        if self.segmentationId:
            if slicer.mrmlScene.GetNodeByID(self.segmentationId) is None:
                return _("The segmentation is no longer in the scene.")
            if not self.acceptedThere():
                return _("Accept slices first.")
            if self.others not in OTHERS:
                return _("Slices that were not accepted can be taken as {choices}; not {value!r}.").format(
                    choices=", ".join(OTHERS), value=self.others
                )
        if not self.folder:
            return _("Choose a folder: a new one, or that of a data set.")
        if not isDataset(self.folder) and self.modality not in MODALITIES:
            return _("Say whether the images are MR or CT.")
        return ""


class CollectRun(SceneRun):
    """A run under way that writes cases.

    Attributes:
        cases: names of the cases that were written.
        notes: sentences the person should know.
    """

    goneHint = _("Nothing was added to the data set.")

    def __init__(self, session, settings) -> None:
        super().__init__(session, settings)
        self.cases: list[str] = []
        self.notes: list[str] = []
        self._masked = False  # whether an accepted slice has a mask

    def _work(self):
        settings = self.settings
        folder = self._session.newResultFolder()
        try:
            parts = [None]
            if settings.segmentationId and settings.others == "left":
                parts = neighbours(settings.known())
            names = Names(settings.keepNames, namesIn(settings.folder))
            items = []
            for number, part in enumerate(parts):
                items.append((yield from self._item(names, folder / str(number), part)))
            if settings.segmentationId and not self._masked:
                raise UserError(
                    "no-mask",
                    _("There is no mask in the slices that were accepted."),
                    _("Accept slices with a mask, or make the mask again."),
                )
            self._enter(State.RUNNING)
            append = isDataset(settings.folder)
            body: dict[str, Any] = {"folder": settings.folder, "append": append, "items": items}
            body["resample"] = settings.resample
            if not append:
                title = settings.name.strip() or Path(settings.folder).name
                body.update(name=title, modality=settings.modality)
            outputs = yield from self._asked("dataset_add", body)
            self.cases = list(outputs["cases"])
        finally:
            Paths.removeFolder(folder)

    def _item(self, names: Names, folder: Path, part: tuple[int, int] | None):
        """Write a case's files; ``part`` is the first and last of its slices, None for all."""
        settings, first = self.settings, self._node(self.settings.images.ids[0])
        folder.mkdir()
        axis = sliceAxis(first)
        files = {}
        spelling = {name.casefold(): name for name in channelsIn(settings.folder)}
        for number, (name, nodeId) in enumerate(zip(settings.images.names, settings.images.ids, strict=True)):
            node, path = self._node(nodeId), folder / f"{number}.nrrd"
            place = Geometry.ijkToWorld(node)
            if part is None:
                work = VolumeExport(node, path, place)
            else:
                work = BoxExport.BoxExport(node, path, place, axis, *part)
            yield from self._pieces(work)
            files[spelling.get(name.casefold(), name)] = str(path)
        own = [self._node(settings.segmentationId)] if settings.segmentationId else []
        patient = names.patient(first, own)
        item: dict[str, Any] = {
            "images": files,
            "case": names.case(first, patient),
            "patient": patient,
            "mask": None,
            "structures": {},
        }
        if own:
            yield from self._mask(item, own[0], first, folder / "mask.nrrd", part)
        if settings.tags is not None:
            item["tags"] = {str(number): tag for number, tag in sorted(settings.tags.items())}
        return item

    def _mask(self, item: dict[str, Any], segmentation, volume, path: Path, part: tuple[int, int] | None):
        """The accepted slices of the segments, all others background or left out."""
        axis, world = sliceAxis(volume), Geometry.ijkToWorld(volume)
        work = LabelMapExport([segmentation], volume, path, world)
        yield from self._pieces(work)
        reader = NrrdFile.NrrdReader(path)
        labels = np.empty(reader.size[::-1], np.uint8)
        for _done in reader.readInto(labels.reshape(-1)):
            yield
        accepted = set(self.settings.accepted)
        wrong = [one for one in range(labels.shape[2 - axis]) if one not in accepted]
        np.moveaxis(labels, 2 - axis, 0)[wrong] = 0
        self._masked = self._masked or bool(labels.any())
        if part is not None:
            labels = np.ascontiguousarray(BoxExport.partOf(labels, axis, *part))
            world = BoxExport.placeOf(world, axis, part[0])
        NrrdFile.write(path, labels, world)
        values = {name: value for name, value in work.values.items() if value in work.structures}
        if not values:
            return
        item["mask"] = str(path)
        item["structures"] = {str(value): work.structures[value] for value in sorted(values.values())}
        if work.overlaps:
            text = _("Segments overlap; {names} lost voxels to a later one.")
            self.notes.append(text.format(names=", ".join(work.overlaps)))


def neighbours(slices: list[int]) -> list[tuple[int, int]]:
    """Ranges of neighbouring slices: [3, 4, 5, 9] becomes (3, 5), (9, 9)."""
    ordered = sorted(set(slices))
    ends = [one for one, following in pairwise(ordered) if following != one + 1]
    starts = [following for one, following in pairwise(ordered) if following != one + 1]
    return list(zip([*ordered[:1], *starts], [*ends, *ordered[-1:]], strict=True))
