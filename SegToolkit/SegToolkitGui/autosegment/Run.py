"""One run: volumes out to the worker, organs, tables and maps back into the scene."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.autosegment import VolumesTable
from SegToolkitGui.autosegment.AutoSegmentSettings import AutoSegmentSettings
from SegToolkitGui.autosegment.Session import AutoSegmentSession
from SegToolkitGui.Errors import UserError
from SegToolkitGui.run.SceneWatch import SceneWatch
from SegToolkitGui.run.SegmentRun import SegmentRun
from SegToolkitGui.run.States import State
from SegToolkitGui.scene import ColourRamps, DicomDatabase
from SegToolkitGui.scene.ResultImport import ResultImport, withoutEmpty
from SegToolkitGui.scene.SequenceFrames import currentFrame
from SegToolkitGui.scene.ValueMap import ValueMapImport

# Failures that every further volume would meet as well.
FATAL = (
    "bad-checksum",
    "bad-model",
    "bad-model-card",
    "bad-weights",
    "device-missing",
    "disk",
    "library-missing",
    "licence-not-accepted",
    "missing-package",
    "newer-model",
    "no-labels",
    "no-map",
    "no-mode",
    "no-model",
    "not-a-model",
    "not-automatic",
    "torch-broken",
    "unknown-device",
    "unknown-method",
    "unknown-model",
    "unknown-organ",
    "unknown-structure",
    "weights-not-finite",
    "worker-cannot-start",
    "worker-folder",
    "worker-keeps-dying",
    "worker-protocol",
)


@dataclass
class VolumeResult:
    """What came out for one volume.

    Attributes:
        name: of the volume.
        volumeId, segmentationId: MRML IDs, "" where no organ was found and so no segmentation made.
        segmentIds: organ -> segment ID, of those that were found.
        mapIds: map -> MRML ID of its volume.
        rows: {"name", "value", "voxels", "ml", "mean"} of each organ that was asked for; mean may be None.
        unit: of the mean, "HU" or "".
        frame: of the volume's sequence, from 0; None where it belongs to none.
        notes: sentences the person should know.
        seconds: the worker's time, by part and in "total".
    """

    name: str
    volumeId: str
    segmentationId: str = ""
    segmentIds: dict[str, str] = field(default_factory=dict)
    mapIds: dict[str, str] = field(default_factory=dict)
    rows: list[dict] = field(default_factory=list)
    unit: str = ""
    frame: int | None = None
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


class AutoSegmentRun(SegmentRun):
    """A run under way, over one volume or many; ``results`` holds a VolumeResult for each finished one.

    One volume's failure does not end a run over several: ``failures`` holds it.

    Attributes:
        failures: (name of the volume, UserError).
        tableId: MRML ID of the table of volumes, or "".
    """

    verb = "auto_segment"
    pictures = True  # the worker refuses them where the model is not for pictures

    def __init__(self, session: AutoSegmentSession, settings: AutoSegmentSettings, undoStack=None) -> None:
        super().__init__(session, settings, undoStack)
        self.failures: list[tuple[str, UserError]] = []
        self.tableId = ""
        self._labels: list[int] | None = None
        # What was shown when the run was asked for counts, also of volumes whose turn comes late.
        nodes = {one: slicer.mrmlScene.GetNodeByID(one) for one in settings.volumeIds}
        self._atStart = {one: currentFrame(node) for one, node in nodes.items()}
        self._frame: int | None = None
        self._gone: UserError | None = None

    def _work(self):
        yield from self._model()
        sources = [(nodeId, "") for nodeId in self.settings.volumeIds]
        sources += [("", uid) for uid in self.settings.series]
        with self._oneUndoStep():
            for number, (nodeId, uid) in enumerate(sources):
                yield from self._one(nodeId, uid, number, len(sources))
        if self.failures and not self.results:
            raise self.failures[0][1]

    def _model(self):
        """Which model, and which of its labels; models are looked up if nobody has yet."""
        yield from self._chosenModel(_("There is no automatic model."))
        settings, model = self.settings, self._session.find(self.settings.model)
        if model is not None:
            self._labels = settings.labelsIn(model)
        elif settings.organs is not None:  # the folder of a model outside the collection
            if not all(isinstance(one, int) for one in settings.organs):
                raise UserError(
                    "unknown-organ",
                    _("The organs of {model} are not known here.").format(model=settings.model),
                    _("Give the values of its labels, or add the model to the collection."),
                )
            self._labels = sorted(set(settings.organs))

    def _one(self, nodeId: str, uid: str, number: int, count: int):
        """One volume; among several its failure is kept for the end."""
        self._enter(State.PREPARING)
        name = DicomDatabase.titleOf(uid) if uid else self._nameOf(nodeId)
        if count > 1:
            title = _("Volume {number} of {count}: {name}")
            self.logged.emit(title.format(number=number + 1, count=count, name=name))
        try:
            if uid:
                self.progressed.emit(_("loading"), 0, 0)
                yield
                nodeId = DicomDatabase.load(uid).GetID()
                yield
            yield from self._segmented(nodeId)
        except UserError as error:
            if count == 1 or self.over or error.code in (*FATAL, "cancelled"):
                raise
            self.failures.append((name, error))
            self.logged.emit(f"{name}: {error}")
            logging.warning("SegToolkit: %s: %s", name, error)
        finally:
            if count > 1:  # the files of a long list would fill the disk
                self._session.forgetVolumes()

    def _segmented(self, volumeId: str):
        """One volume, from its export to its result in the scene."""
        self._gone = None
        watch = SceneWatch({volumeId}, self._onVolumeGone)
        try:
            yield from super()._segmented(volumeId)
        except UserError as error:
            if self._gone is not None and error.code in ("cancelled", "volume-deleted", "input-gone"):
                raise self._gone from None
            raise
        finally:
            watch.end()

    def _frameOf(self, volumeId: str) -> int | None:
        self._frame = self._atStart.get(volumeId)
        return self._frame

    def _titleOf(self, volume) -> str:
        """Name of a new segmentation."""
        if self._frame is None:
            return _("{name} segmentation").format(name=volume.GetName())
        text = _("{name} frame {number} segmentation")
        return text.format(name=volume.GetName(), number=self._frame + 1)

    def _request(self, volumeId: str, image: Path, folder: Path) -> dict:
        settings = self.settings
        return {
            "model": settings.model,
            "device": settings.device,
            "precision": "auto",
            "accept_licence": settings.acceptLicence,
            "image": str(image),
            "out": str(folder),
            "labels": self._labels,
            "mode": settings.mode,
            "maps": settings.maps,
            "small": settings.small,
        }

    def _imported(self, volumeId: str, outputs: dict):
        volume = self._node(volumeId)
        choice = self._output(self.settings.outputMode, volume, self._titleOf(volume))
        work = ResultImport(withoutEmpty(outputs, choice), volume, choice, appearance(outputs["structures"]))
        extras = self._mapImports(outputs["maps"], volume)
        made = yield from self._brought(work, choice, list(extras.values()))
        node = work.segmentationNode  # None where nothing was found and it would have been a new one
        found = {one["name"] for one in outputs["structures"] if one["voxels"]}
        result = VolumeResult(
            name=volume.GetName(),
            volumeId=volumeId,
            segmentationId=node.GetID() if node is not None else "",
            segmentIds={name: one for name, one in work.segmentIds.items() if name in found},
            mapIds={one: node.GetID() for one, node in zip(extras, made, strict=True)},
            rows=list(outputs["table"]),
            unit=outputs.get("unit", ""),
            frame=self._frame,
            notes=tuple(outputs.get("notes", ())),
            seconds=dict(outputs["seconds"]),
        )
        self.results.append(result)
        if self.settings.volumesTable:
            made += self._table()
        self._keep(work, made)

    def _mapImports(self, files: dict[str, str], volume) -> dict[str, ValueMapImport]:
        """What brings the maps of an answer into the scene, by their names."""
        model = self._session.find(self.settings.model)
        titles = model["maps"] if model is not None else {}  # else a folder outside the collection
        places = list(titles) or list(files)
        return {
            name: ValueMapImport(
                Path(path),
                volume,
                f"{volume.GetName()}: {titles.get(name, name)}",
                ColourRamps.rampOfMap(places.index(name)),
            )
            for name, path in files.items()
        }

    def _table(self) -> list:
        """Bring the run's table up to date; returns the node if it is a new one."""
        node = slicer.mrmlScene.GetNodeByID(self.tableId) if self.tableId else None
        if node is not None:
            VolumesTable.fill(node, self.results)
            return []
        node = VolumesTable.make(self.results, single=self.settings.count == 1)
        self.tableId = node.GetID()
        return [node]

    # What happens meanwhile

    def _onVolumeGone(self, text: str) -> None:
        """The volume whose turn it is was deleted; the worker need not go on with it."""
        self._gone = UserError("input-gone", text, self.goneHint)
        if self.state == State.RUNNING:
            self._session.cancel()

    @staticmethod
    def _nameOf(nodeId: str) -> str:
        node = slicer.mrmlScene.GetNodeByID(nodeId)
        return node.GetName() if node is not None else nodeId


def appearance(structures: list[dict]) -> dict[str, dict]:
    """Colour and codes of an answer's structures, by their names."""
    return {one["name"]: {"colour": one["colour"], "terminology": one["terminology"]} for one in structures}
