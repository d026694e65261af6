"""One run: outlined slices and volumes out to the worker, results back into the scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from slicer.i18n import tr as _

from SegToolkitGui.fewshot.RunSettings import RunSettings
from SegToolkitGui.fewshot.Session import FewShotSession
from SegToolkitGui.fewshot.Supports import SupportExample, appearanceOf
from SegToolkitGui.run.SegmentRun import SegmentRun
from SegToolkitGui.scene import MaskExport
from SegToolkitGui.scene.ResultImport import OutputChoice, ResultImport, withoutEmpty
from SegToolkitGui.scene.ValueMap import ValueMapImport


@dataclass
class QueryResult:
    """What came out for one volume.

    Attributes:
        volumeId, segmentationId: MRML IDs; the latter is "" where nothing was found and no segmentation made.
        segmentIds: structure name -> segment ID, of those that were found.
        missing: structures that were asked for and not found.
        confidenceId: MRML ID of the confidence volume, or "".
        axis, nextSlice: slice axis, and the slice that is best outlined next (or None).
        nextConfidence: how sure that slice is, 0 to 1.
        notes: sentences the person should know.
        seconds: the worker's time.
    """

    volumeId: str
    segmentationId: str = ""
    segmentIds: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    confidenceId: str = ""
    axis: int = 2
    nextSlice: int | None = None
    nextConfidence: float | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class FewShotRun(SegmentRun):
    """A run under way; ``results`` holds a QueryResult for each finished volume.

    Args:
        session, settings, undoStack: as of every run; a preview has no undo stack.
        previewNodeId: MRML ID of the segmentation that shows the preview.
    """

    verb = "segment"

    def __init__(
        self, session: FewShotSession, settings: RunSettings, undoStack=None, previewNodeId: str = ""
    ) -> None:
        super().__init__(session, settings, undoStack)
        self._previewNodeId = previewNodeId
        self._supports: list[dict] = []  # as the worker takes them

    def _work(self):
        if not self.settings.model:
            yield from self._chosenModel(_("There is no few-shot model."))
        for number, example in enumerate(self.settings.supports):
            self.progressed.emit(_("preparing"), number, len(self.settings.supports))
            image = yield from self._exported(example.volumeId, example.frame)
            self._supports.append(self._support(example, image, number))
            yield
        with self._oneUndoStep():
            for volumeId in self.settings.queryIds:
                yield from self._segmented(volumeId)

    def _support(self, example: SupportExample, image: Path, number: int) -> dict:
        path = self._session.folder / "masks" / f"{number}.nrrd"
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = MaskExport.exportMask(
            self._node(example.segmentationId),
            example.presentSegmentIds(),
            self._node(example.volumeId),
            example.axis,
            example.index,
            path,
            example.frame,
        )
        if mask.overlaps:
            self.logged.emit(
                _("Outlines overlap on slice {index} of {name}: the later segment counts there.").format(
                    index=example.index, name=example.volume.GetName()
                )
            )
        return {
            "image": str(image),
            "mask": str(mask.path),
            "offset": list(mask.offset),
            "axis": example.axis,
            "slices": [example.index],
            "structures": {str(value): {"name": one["name"]} for value, one in mask.structures.items()},
        }

    def _request(self, volumeId: str, image: Path, folder: Path) -> dict:
        settings, axis = self.settings, self.settings.axisOf(self._node(volumeId))
        return {
            "model": settings.model,
            "device": settings.device,
            "precision": "auto",
            "plane": settings.plane(),
            "axis": axis,
            "supports": self._supports,
            "query": {"image": str(image), "axis": axis},
            "slices": list(settings.slices) if settings.slices is not None else None,
            "preview": settings.previewSlice,
            "structures": settings.structures,
            "options": {"keep_largest": settings.keepLargest, "as_published": settings.asPublished},
            "out": str(folder),
            "confidence": settings.confidence,
            "accept_licence": settings.acceptLicence,
        }

    def _imported(self, volumeId: str, outputs: dict):
        settings, volume = self.settings, self._node(volumeId)
        covered = None
        if settings.slices is not None and not settings.preview:
            covered = (outputs["axis"], *settings.slices)
        choice = self._choice(volume)
        shown = withoutEmpty(outputs, choice)
        work = ResultImport(shown, volume, choice, appearanceOf(settings.supports), covered=covered)
        extras = []
        if settings.confidence and outputs.get("confidence"):
            name = _("{name} confidence").format(name=volume.GetName())
            extras.append(ValueMapImport(Path(outputs["confidence"]), volume, name))
        made = yield from self._brought(work, choice, extras)
        self._keep(work, made)
        node = work.segmentationNode
        found = {one["name"] for one in outputs["structures"] if one["voxels"]}
        result = QueryResult(
            volumeId=volumeId,
            segmentationId=node.GetID() if node is not None else "",
            segmentIds={name: one for name, one in work.segmentIds.items() if name in found},
            missing=tuple(one["name"] for one in outputs["structures"] if one["name"] not in found),
            confidenceId=made[0].GetID() if made else "",
            axis=outputs["axis"],
            nextSlice=outputs["next_slice"],
            notes=tuple(outputs.get("notes", ())),
            seconds=outputs["seconds"],
        )
        if result.nextSlice is not None:
            result.nextConfidence = outputs["slice_confidence"].get(str(result.nextSlice))
        self.results.append(result)

    def _choice(self, volume) -> OutputChoice:
        if self.settings.preview:
            node = self._node(self._previewNodeId)
            return OutputChoice("replace", node, node.GetName())
        return self._output(self.settings.mode, volume, self.settings.outputName)
