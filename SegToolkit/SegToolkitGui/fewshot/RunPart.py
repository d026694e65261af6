"""The buttons at the bottom: preview, apply, undo, the slice to outline next; what came out."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.Run import FewShotRun
from SegToolkitGui.run.RunPartBase import RunPartBase
from SegToolkitGui.scene import ViewSlice


class RunPart(RunPartBase):
    """Runs, and what became of them."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self.next: tuple[str, int, int] | None = None  # volume ID, axis, slice
        self.ui.previewButton.connect("clicked(bool)", panel.guarded(self.onPreview))
        self.ui.nextSliceButton.connect("clicked(bool)", panel.guarded(self.onNext))

    def _showButtons(self, reason: str) -> None:
        ui = self.ui
        self.showStart(ui.applyButton, reason, _("Segment the volume."))
        self.showStart(
            ui.previewButton,
            reason,
            _("Segment only the slice of the view chosen under Slice, to look at; it is not kept."),
        )
        there = self.next is not None and slicer.mrmlScene.GetNodeByID(self.next[0]) is not None
        ui.nextSliceButton.setEnabled(there)

    # What the person does

    def onPreview(self) -> None:
        """Segment the slice of the view."""
        self._start(self.panel.query.previewSettings())

    def onApply(self) -> None:
        """Segment the volumes."""
        self._start(self.panel.query.settings())

    def _start(self, settings) -> None:
        if self.busy:
            raise UserError("busy", _("A run is under way."), _("Wait for its end, or cancel it."))
        super()._start(settings)
        if not settings.preview:
            self.next = None

    def onNext(self) -> None:
        """Show the slice that is best outlined next."""
        volumeId, axis, index = self.next
        volume = slicer.mrmlScene.GetNodeByID(volumeId)
        ViewSlice.showSlice(self.panel.sliceNode(), volume, axis, index)
        slicer.util.setSliceViewerLayers(background=volume)
        parameters = self.panel.parameters
        if parameters.supportVolume is not volume:
            # What is painted from now on must not go into another patient's outlines.
            own = [one.segmentation for one in self.panel.supports.items() if one.volumeId == volumeId]
            parameters.supportVolume = volume
            parameters.supportSegmentation = own[0] if own else None
            parameters.supportSegmentIds = []

    # What the run tells

    def _tell(self, run: FewShotRun) -> None:
        result = run.results[-1]
        text = [self._summary(run)]
        if result.nextSlice is not None and not run.settings.preview:
            self.next = (result.volumeId, result.axis, result.nextSlice)
            advice = _(
                "Least certain: slice {index} (confidence {sure:.2f}). Outline it next if the result is not"
                " good enough, or limit Slices in section 2 if the structure is not there."
            )
            text.append(advice.format(index=result.nextSlice, sure=result.nextConfidence or 0))
        text.extend(result.notes)
        self.showMessage(" ".join(text))

    def _summary(self, run: FewShotRun) -> str:
        found = sorted({name for result in run.results for name in result.segmentIds})
        missing = self._missing(run)
        if not found:
            return _("Nothing was found that looks like the outlines.")
        if run.settings.preview:
            text = _("Preview of slice {index}: {names} ({seconds:.1f} s).").format(
                index=run.settings.previewSlice, names=", ".join(found), seconds=run.seconds
            )
            return text + missing
        if len(run.results) > 1:
            text = _("{count} volumes: {names} ({seconds:.1f} s).").format(
                count=len(run.results), names=", ".join(found), seconds=run.seconds
            )
            return text + missing
        text = _("Found {names} ({seconds:.1f} s).").format(names=", ".join(found), seconds=run.seconds)
        return text + missing

    @staticmethod
    def _missing(run: FewShotRun) -> str:
        """Which structures were not found; of several volumes, and where."""
        volumes: dict[str, list[str]] = {}
        for result in run.results:
            node = slicer.mrmlScene.GetNodeByID(result.volumeId)
            for name in result.missing:
                volumes.setdefault(name, []).append(node.GetName() if node is not None else result.volumeId)
        if not volumes:
            return ""
        names = [
            _("{name} (in {volumes})").format(name=name, volumes=", ".join(places))
            if len(run.results) > 1
            else name
            for name, places in volumes.items()
        ]
        return " " + _("Not found: {names}.").format(names=", ".join(names))
