"""The buttons at the bottom: preview, apply, undo; the strip with progress and log; what came out."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.Run import FewShotRun
from SegToolkitGui.fewshot.States import State
from SegToolkitGui.JobStrip import JobStrip
from SegToolkitGui.Part import Part
from SegToolkitGui.Report import reportText
from SegToolkitGui.scene import ViewSlice

STATE_TEXTS = {
    State.IDLE: _("Ready"),
    State.PREPARING: _("Preparing"),
    State.RUNNING: _("Running"),
    State.IMPORTING: _("Importing the result"),
    State.CANCELLING: _("Cancelling"),
    State.DONE: _("Done"),
    State.CANCELLED: _("Cancelled"),
    State.FAILED: _("Failed"),
}


class RunPart(Part):
    """Runs, and what became of them."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui, runner, session = self.ui, panel.runner, panel.session
        self.message = ""
        self.failed = False
        self.next: tuple[str, int, int] | None = None  # volume ID, axis, slice
        self._devices: list[dict] = []
        self.strip = JobStrip(ui.jobFrame.layout(), self.report)
        self.strip.cancelRequested.connect(runner.cancel)
        self.strip.deviceChanged.connect(self.onDevice)
        ui.previewButton.connect("clicked(bool)", panel.guarded(self.onPreview))
        ui.applyButton.connect("clicked(bool)", panel.guarded(self.onApply))
        ui.undoButton.connect("clicked(bool)", panel.guarded(self.onUndo))
        ui.nextSliceButton.connect("clicked(bool)", panel.guarded(self.onNext))
        self._links = [
            (runner.stateChanged, self.onState),
            (runner.progressed, self.strip.setProgress),
            (runner.logged, self.strip.appendLog),
            (runner.finished, self.onFinished),
            (session.logged, self.strip.appendLog),
        ]
        for signal, slot in self._links:
            signal.connect(slot)

    def tearDown(self) -> None:
        """Let go of runner and session; a run goes on without the panel."""
        for signal, slot in self._links:
            signal.disconnect(slot)
        self.strip.cleanup()

    def report(self) -> str:
        """What "Copy report" copies."""
        run, session = self.panel.runner.run, self.panel.session
        facts = {"Module": "SegToolkitFewShot", "Device": session.device}
        if self.panel.parameters is not None:
            facts["Model"] = self.panel.modelName()
        if run is not None:
            facts["State"] = run.state.value
        log = [*session.log, *self.strip.logText.splitlines()]
        return reportText(run.error if run is not None else None, session.environment, facts, log)

    # Showing

    def refresh(self) -> None:
        """Bring buttons, reason and result in line."""
        ui, runner = self.ui, self.panel.runner
        self._showDevices()
        reason = self.panel.reason()
        busy = runner.busy
        ui.applyButton.setEnabled(not reason and not busy)
        ui.previewButton.setEnabled(not reason and not busy)
        working = _("A run is under way.")
        ui.applyButton.setToolTip(working if busy else (reason or _("Segment the volume.")))
        ui.previewButton.setToolTip(
            working
            if busy
            else (
                reason
                or _("Segment only the slice of the view chosen under Slice, to look at; it is not kept.")
            )
        )
        ui.reasonLabel.setText("" if busy else reason)
        ui.reasonLabel.setVisible(bool(reason) and not busy)
        can, why = runner.undoStack.canUndo()
        ui.undoButton.setEnabled(can and not busy)
        ui.undoButton.setToolTip(_("Take the last result back.") if can else why)
        there = self.next is not None and slicer.mrmlScene.GetNodeByID(self.next[0]) is not None
        ui.nextSliceButton.setEnabled(there)
        output = self._resultNode()
        ui.show3DButton.setSegmentationNode(output)
        ui.show3DButton.setEnabled(output is not None)
        ui.resultLabel.setText(self.message)
        ui.resultLabel.setVisible(bool(self.message))
        ui.resultLabel.setStyleSheet("color: #c0392b;" if self.failed else "")
        if not busy and (runner.run is None or not runner.run.over):
            self.strip.setState(State.IDLE.value, STATE_TEXTS[State.IDLE])

    def showError(self, error: UserError) -> None:
        """A person's mistake, or what failed: cause and hint in the panel and in the log."""
        self.message, self.failed = str(error), True
        self.strip.appendLog(str(error))
        self.panel.changed()

    def showMessage(self, text: str) -> None:
        """Good news."""
        self.message, self.failed = text, False
        self.strip.appendLog(text)
        self.panel.changed()

    def _showDevices(self) -> None:
        devices = self.panel.session.devices
        if devices != self._devices:
            self._devices = list(devices)
            self.strip.setDevices(devices)
        self.strip.device = self.panel.session.device

    def _resultNode(self):
        run = self.panel.runner.withResults
        if run is not None:
            return slicer.mrmlScene.GetNodeByID(run.results[-1].segmentationId)
        return self.panel.parameters.outputSegmentation

    # What the person does

    def onDevice(self, device: str) -> None:
        """Another device; it belongs to this machine, not to the scene."""
        if not self.panel.refreshing:
            self.panel.session.machine.device = device

    def onPreview(self) -> None:
        """Segment the slice of the view."""
        self._start(self.panel.query.previewSettings())

    def onApply(self) -> None:
        """Segment the volumes."""
        self._start(self.panel.query.settings())

    def _start(self, settings) -> None:
        if self.panel.runner.busy:
            raise UserError("busy", _("A run is under way."), _("Wait for its end, or cancel it."))
        model = self.panel.session.requireModel(settings.model)
        licence = model["licence"]
        if not licence["permissive"] and not licence["accepted"]:
            question = _(
                "The model {title} may be used under these terms ({name}):\n\n{summary}\n\nAccept them?"
            )
            text = question.format(title=model["title"], name=licence["name"], summary=licence["summary"])
            if not slicer.util.confirmOkCancelDisplay(text, _("Terms of the model")):
                raise UserError(
                    "licence",
                    _("The model's terms were not accepted."),
                    _("Choose another model under Model."),
                )
            settings.acceptLicence = True
        self.message, self.failed = "", False
        if not settings.preview:
            self.next = None
        self.panel.logic.start(settings)

    def onUndo(self) -> None:
        """Take the last result back."""
        self.showMessage(self.panel.runner.undo())

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

    def onState(self, run: FewShotRun) -> None:
        """The run is in another state."""
        self.strip.setState(run.state.value, STATE_TEXTS[run.state])
        self.panel.changed()

    def onFinished(self, run: FewShotRun) -> None:
        """Say what came out."""
        if run.settings.acceptLicence:
            self.panel.session.askModels()  # a run that was ended early may not have got to the terms
        if run.state == State.FAILED:
            self.showError(run.error)
            if run.error.details:
                self.strip.showLog()
            return
        if run.state == State.CANCELLED:
            kept = _(" Volumes that were finished are kept.") if run.results else ""
            self.showMessage(_("Cancelled; nothing half-done is left in the scene.") + kept)
            return
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
        self.panel.refresh()

    def _summary(self, run: FewShotRun) -> str:
        found = sorted({name for result in run.results for name in result.segmentIds})
        if not found:
            return _("Nothing was found that looks like the outlines.")
        if run.settings.preview:
            return _("Preview of slice {index}: {names} ({seconds:.1f} s).").format(
                index=run.settings.previewSlice, names=", ".join(found), seconds=run.seconds
            )
        if len(run.results) > 1:
            return _("{count} volumes: {names} ({seconds:.1f} s).").format(
                count=len(run.results), names=", ".join(found), seconds=run.seconds
            )
        return _("Found {names} ({seconds:.1f} s).").format(names=", ".join(found), seconds=run.seconds)
