"""One run: the images of a patient out to the worker, maps and what was said of slices back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.run.SegmentRun import SegmentRun
from SegToolkitGui.run.States import State
from SegToolkitGui.scene import ColourRamps, Placement
from SegToolkitGui.scene.ValueMap import ValueMapImport
from SegToolkitGui.weak import MapNodes, MapSources
from SegToolkitGui.weak.Images import FUSED, Images, placeBeside


@dataclass
class MapsResult:
    """What came out.

    Attributes:
        volumeId: MRML ID of the first image.
        mapIds: modality, or "fused" -> MRML ID of its map.
        tableId: MRML ID of the table of slices.
        thresholds: of the model, by map.
        axis: 0, 1 or 2: slices lie across the voxel axis i, j or k.
        slices: {"slice", "probability", "present", "modalities", "seeds"} of each.
        seeds: how many seeds' networks the model holds.
        notes: sentences the person should know.
        seconds: the worker's time, by part.
    """

    volumeId: str
    mapIds: dict[str, str]
    tableId: str
    thresholds: dict[str, float]
    axis: int
    slices: list[dict] = field(default_factory=list)
    seeds: int = 1
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    segmentationId: str = ""  # maps are no segmentation


class ImagesRun(SegmentRun):
    """A run on several images of a patient, which cross over on the local grid of the first.

    ``results`` holds one result.
    """

    goneHint = _("Nothing of this run was kept.")

    def _exportedImages(self, images: Images):
        """Paths of the volumes' files, in their order; the files' places are those in the first's space."""
        first = self._node(images.ids[0])
        paths = []
        for nodeId in images.ids:
            matrix = placeBeside(self._node(nodeId), first)
            paths.append((yield from self._exported(nodeId, self._frameOf(nodeId), matrix)))
        return paths


class MapsRun(ImagesRun):
    """A run under way that makes maps."""

    verb = "maps"

    def _work(self):
        yield from self._chosenModel(_("There is no model that makes maps."))
        settings, session = self.settings, self._session
        model = session.model(settings.model)
        problem = settings.modelProblem(model) if model is not None else ""
        if problem:
            raise UserError("other-modalities", problem, _("Name the images as the model does."))
        paths = yield from self._exportedImages(settings.images)
        states = yield from self._states(settings.images)
        self._enter(State.RUNNING)
        folder = session.newResultFolder()
        try:
            files = dict(zip(settings.images.names, map(str, paths), strict=True))
            outputs = yield from self._answered(self._body(files, folder))
            self._enter(State.IMPORTING)
            yield from self._taken(outputs, states)
        finally:
            Paths.removeFolder(folder)

    def _states(self, images: Images):
        """How the images are that were written just now, by the casefolded names."""
        first, states = self._node(images.ids[0]), {}
        for name, nodeId in zip(images.names, images.ids, strict=True):
            states[name.casefold()] = (nodeId, MapSources.stateOf(self._node(nodeId), first))
            yield
        return states

    def _body(self, files: dict[str, str], folder: Path) -> dict[str, Any]:
        settings = self.settings
        return {
            "method": "cmer",
            "model": settings.model,
            "device": settings.device,
            "precision": "auto",
            "accept_licence": settings.acceptLicence,
            "images": files,
            "out": str(folder),
            "kind": settings.kind,
            "gate": settings.gate,
            "resample": settings.resample,
        }

    def _taken(self, outputs: dict[str, Any], states: dict[str, tuple[str, str]]):
        """Maps and table into the scene, as one step of undo."""
        volume = self._node(self.settings.images.ids[0])
        run, made = MapNodes.newRun(), []
        names = sorted(outputs["maps"], key=lambda one: one == FUSED)
        if self._undoStack is not None:
            self._undoStack.remember(None)
        try:
            for number, name in enumerate(names):
                work = ValueMapImport(
                    Path(outputs["maps"][name]),
                    volume,
                    _("{volume}: map {name}").format(volume=volume.GetName(), name=MapNodes.titleOf(name)),
                    ColourRamps.rampOfMap(0 if name == FUSED else number + 1),
                )
                yield from self._pieces(work)
                made.append(work.volumeNode)
            made.append(MapNodes.makeTable(volume, run, outputs["slices"]))
        except BaseException:  # cancelled as well: what is in the scene by now is taken out again
            for node in made:
                if node.GetScene() is not None:
                    Placement.removeWithDisplay(node.GetScene(), node)
            if self._undoStack is not None:
                self._undoStack.abandon(None)
            raise
        thresholds = {name: float(outputs["thresholds"].get(name, MapNodes.DEFAULT)) for name in names}
        # Images that the model does not know do not count.
        sources = dict(states[name.casefold()] for name in names if name.casefold() in states)
        # Only now: the panel finds maps by these marks, and shall not find half of them.
        for node, name in zip(made, names, strict=False):
            MapNodes.mark(node, volume, run, name, thresholds[name], sources)
        if self._undoStack is not None:
            self._undoStack.finish(None, made)
        self.results.append(
            MapsResult(
                volumeId=volume.GetID(),
                mapIds={name: node.GetID() for name, node in zip(names, made, strict=False)},
                tableId=made[-1].GetID(),
                thresholds=thresholds,
                axis=int(outputs["axis"]),
                slices=list(outputs["slices"]),
                seeds=int(outputs.get("seeds", 1)),
                notes=tuple(outputs.get("notes", ())),
                seconds=dict(outputs["seconds"]),
            )
        )


def nodesOf(result: MapsResult) -> dict[str, Any]:
    """The maps of a result that are still in the scene, by name."""
    found = {name: slicer.mrmlScene.GetNodeByID(one) for name, one in result.mapIds.items()}
    return {name: node for name, node in found.items() if node is not None}
