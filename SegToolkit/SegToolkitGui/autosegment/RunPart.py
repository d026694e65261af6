"""Apply, undo, the strip with progress and log, what came out, and the table of volumes."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.autosegment.DicomSegPart import DicomSegPart
from SegToolkitGui.autosegment.ModelCard import duration, needsAcceptance
from SegToolkitGui.autosegment.TableView import TableView
from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.RunPart import STATE_TEXTS
from SegToolkitGui.fewshot.States import State
from SegToolkitGui.JobStrip import JobStrip
from SegToolkitGui.Part import Part
from SegToolkitGui.Report import reportText


class RunPart(Part):
    """Runs, and what became of them."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui, runner, session = self.ui, panel.runner, panel.session
        self.message = ""
        self.failed = False
        self._devices: list[dict] = []
        self.strip = JobStrip(ui.jobFrame.layout(), self.report)
        self.strip.cancelRequested.connect(self.onCancel)
        self.strip.deviceChanged.connect(self.onDevice)
        self.table = TableView(panel, ui.volumesTable, ui.copyVolumesButton, ui.saveVolumesButton)
        self.dicomSeg = DicomSegPart(panel, self)
        ui.applyButton.connect("clicked(bool)", panel.guarded(self.onApply))
        ui.undoButton.connect("clicked(bool)", panel.guarded(self.onUndo))
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
        self.dicomSeg.tearDown()
        self.strip.cleanup()

    def report(self) -> str:
        """What "Copy report" copies."""
        run, session = self.panel.runner.run, self.panel.session
        facts = {"Module": "SegToolkitAutoSegment", "Device": session.device}
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
        reason, busy = self.panel.reason(), self.busy
        ui.applyButton.setEnabled(not reason and not busy)
        count = self.panel.count()
        several = _("Apply to {count} volumes").format(count=count)
        ui.applyButton.setText(several if count > 1 else _("Apply"))
        ready = _("Segment all that is chosen.") if count > 1 else _("Segment the volume.")
        ui.applyButton.setToolTip(_("A run is under way.") if busy else (reason or ready))
        ui.reasonLabel.setText("" if busy else reason)
        ui.reasonLabel.setVisible(bool(reason) and not busy)
        can, why = runner.undoStack.canUndo()
        ui.undoButton.setEnabled(can and not busy)
        ui.undoButton.setToolTip(_("Take the last result back.") if can else why)
        output = self.resultNode()
        ui.show3DButton.setSegmentationNode(output)
        ui.show3DButton.setEnabled(output is not None)
        self.dicomSeg.refresh()
        self.table.show(runner.withResults.tableId if runner.withResults is not None else "")
        ui.tableSection.setVisible(self.table.node is not None)
        ui.resultLabel.setText(self.message)
        ui.resultLabel.setVisible(bool(self.message))
        ui.resultLabel.setStyleSheet("color: #c0392b;" if self.failed else "")
        if not busy and self.strip.state == "idle":
            self.strip.setState(State.IDLE.value, STATE_TEXTS[State.IDLE])

    @property
    def busy(self) -> bool:
        """Whether a run or an export is under way."""
        return self.panel.runner.busy or self.dicomSeg.busy

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

    def resultNode(self):
        """The last result's segmentation, or else the chosen output; None if there is neither."""
        run = self.panel.runner.withResults
        if run is not None:
            node = slicer.mrmlScene.GetNodeByID(run.results[-1].segmentationId)
            if node is not None:
                return node
        return self.panel.parameters.outputSegmentation

    # What the person does

    def onDevice(self, device: str) -> None:
        """Another device; it belongs to this machine, not to the scene."""
        if not self.panel.refreshing:
            self.panel.session.machine.device = device

    def onCancel(self) -> None:
        """Stop what is under way."""
        self.dicomSeg.cancel()
        self.panel.runner.cancel()

    def onApply(self) -> None:
        """Segment the volumes."""
        if self.busy:  # a double click
            return
        settings = self.panel.settings()
        model = self.panel.session.requireModel(settings.model)
        if needsAcceptance(model):
            if not self.panel.model.accepted(model):
                raise UserError(
                    "licence",
                    _("The model's terms were not accepted."),
                    _("Choose another model under Model."),
                )
            settings.acceptLicence = True
        self.message, self.failed = "", False
        self.panel.logic.start(settings)

    def onUndo(self) -> None:
        """Take the last result back."""
        self.showMessage(self.panel.runner.undo())

    # What the run tells

    def onState(self, run) -> None:
        """The run is in another state."""
        self.strip.setState(run.state.value, STATE_TEXTS[run.state])
        self.panel.changed()

    def onFinished(self, run) -> None:
        """Say what came out."""
        if run.state == State.FAILED:
            self.showError(run.error)
            if run.error.details:
                self.strip.showLog()
        elif run.state == State.CANCELLED:
            kept = _(" Volumes that were finished are kept.") if getattr(run, "results", None) else ""
            self.showMessage(_("Cancelled; nothing half-done is left in the scene.") + kept)
        elif run is self.panel.runner.segmented:
            self._tell(run)
        if run is self.panel.runner.segmented and (run.state == State.DONE or run.settings.acceptLicence):
            # The card tells how long it took, and a run that ended early may not have got to the terms.
            self.panel.session.askModels()
        self.panel.refresh()

    def _tell(self, run) -> None:
        """What a segmentation found, and which volumes failed."""
        if run.settings.volumesTable:
            self.ui.tableSection.collapsed = False
        texts = (
            [self._summary(run), *run.results[-1].notes] if len(run.results) == 1 else [self._summary(run)]
        )
        for name, error in run.failures:
            texts.append(_("{name} failed: {error}").format(name=name, error=error))
        # Nothing sets a volume aside unseen: one failure among many is told in red.
        if run.failures:
            self.showError(UserError("partly-failed", " ".join(texts)))
        else:
            self.showMessage(" ".join(texts))

    def _summary(self, run) -> str:
        took = duration(run.seconds)
        if len(run.results) > 1:
            return _("{count} volumes segmented ({time}).").format(count=len(run.results), time=took)
        result = run.results[0]
        asked, found = len(result.rows), len(result.segmentIds)
        if not found:
            return _("None of the organs was found ({time}).").format(time=took)
        if found == asked:
            return _("Organs found: {count} ({time}).").format(count=found, time=took)
        missing = ", ".join(row["name"] for row in result.rows if row["name"] not in result.segmentIds)
        return _("Organs found: {count} ({time}). Not found: {names}.").format(
            count=found, time=took, names=missing
        )
