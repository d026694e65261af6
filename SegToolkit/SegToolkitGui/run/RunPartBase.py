"""The bottom of a panel with runs: apply and undo, the strip with progress and log, what came out."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.JobStrip import JobStrip
from SegToolkitGui.Part import Part
from SegToolkitGui.Report import reportText
from SegToolkitGui.run import Terms
from SegToolkitGui.run.SegmentRun import SegmentRun
from SegToolkitGui.run.States import State

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
# The worker's words for a model that is no longer there as it was.
MODEL_GONE = ("unknown-model", "bad-model", "bad-weights")


class RunPartBase(Part):
    """Runs, and what became of them.

    The .ui file has applyButton, undoButton, show3DButton, reasonLabel, resultLabel and jobFrame; the panel
    has a ``runner`` (RunnerBase) and tells ``reason()``, ``modelName()`` and ``settings()``. A module's part
    says what its buttons offer (``_showButtons``) and what a run brought (``_tell``).

    Attributes:
        message: what is said of the last run; failed: whether that is bad news.
    """

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui, runner, session = self.ui, panel.runner, panel.session
        self.message = ""
        self.failed = False
        self._devices: list[dict] = []
        self.strip = JobStrip(ui.jobFrame.layout(), self.report)
        self.strip.cancelRequested.connect(self.onCancel)
        self.strip.deviceChanged.connect(self.onDevice)
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
        self.strip.cleanup()

    def report(self) -> str:
        """What "Copy report" copies."""
        run, session = self.panel.runner.run, self.panel.session
        facts = {"Module": self.panel.logic.moduleName, "Device": session.device}
        if self.panel.parameters is not None:
            facts["Model"] = self.panel.modelName()
        if run is not None:
            facts["State"] = run.state.value
        log = [*session.log, *self.strip.logText.splitlines()]
        return reportText(run.error if run is not None else None, session.environment, facts, log)

    # Showing

    def refresh(self) -> None:
        """Bring buttons, reason and result in line."""
        ui, busy, reason = self.ui, self.busy, self.panel.reason()
        self._showDevices()
        self._showButtons(reason)
        ui.reasonLabel.setText("" if busy else reason)
        ui.reasonLabel.setVisible(bool(reason) and not busy)
        can, why = self.panel.runner.undoStack.canUndo()
        ui.undoButton.setEnabled(can and not busy)
        ui.undoButton.setToolTip(_("Take the last result back.") if can else why)
        output = self.resultNode()
        ui.show3DButton.setSegmentationNode(output)
        ui.show3DButton.setEnabled(output is not None)
        ui.resultLabel.setText(self.message)
        ui.resultLabel.setVisible(bool(self.message))
        ui.resultLabel.setStyleSheet("color: #c0392b;" if self.failed else "")
        if not busy and self.strip.state == "idle":
            self.strip.setState(State.IDLE.value, STATE_TEXTS[State.IDLE])

    @property
    def busy(self) -> bool:
        """Whether work is under way that the strip shows."""
        return self.panel.runner.busy

    def _showButtons(self, reason: str) -> None:
        """Bring the module's own buttons in line; ``reason`` is why no run can begin."""
        raise NotImplementedError

    def showStart(self, button, reason: str, ready: str) -> None:
        """Enable a button that begins a run; its tool tip says why it cannot, or else ``ready``."""
        busy = self.busy
        button.setEnabled(not reason and not busy)
        button.setToolTip(_("A run is under way.") if busy else (reason or ready))

    def _showDevices(self) -> None:
        devices = self.panel.session.devices
        if devices != self._devices:
            self._devices = list(devices)
            self.strip.setDevices(devices)
        self.strip.device = self.panel.session.device

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

    def resultNode(self):
        """The last result's segmentation, or else the chosen output; None if there is neither."""
        run = self.panel.runner.withResults
        ids = [one.segmentationId for one in run.results if one.segmentationId] if run is not None else []
        node = slicer.mrmlScene.GetNodeByID(ids[-1]) if ids else None
        return node if node is not None else self.panel.parameters.outputSegmentation

    # What the person does

    def onDevice(self, device: str) -> None:
        """Another device; it belongs to this machine, not to the scene."""
        if not self.panel.refreshing:
            self.panel.session.machine.device = device

    def onCancel(self) -> None:
        """Stop what is under way."""
        self.panel.runner.cancel()

    def onApply(self) -> None:
        """Begin what the panel's settings say."""
        if not self.busy:  # else it is a double click
            self._start(self.panel.settings())

    def onUndo(self) -> None:
        """Take the last result back."""
        self.showMessage(self.panel.runner.undo())

    def _start(self, settings) -> None:
        """Begin a run; terms of its model that are not accepted yet are asked for first.

        Raises:
            UserError: there is no such model, or its terms were not accepted.
        """
        model = self.panel.session.requireModel(settings.model)
        if Terms.needed(model):
            if not Terms.accepted(model):
                raise UserError(
                    "licence",
                    _("The model's terms were not accepted."),
                    _("Choose another model under Model."),
                )
            settings.acceptLicence = True
        self.message, self.failed = "", False
        self.panel.logic.start(settings)

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
            finished = isinstance(run, SegmentRun) and run.results
            kept = f" {run.keptText}" if finished else ""
            self.showMessage(_("Cancelled; nothing half-done is left in the scene.") + kept)
        else:
            self._tell(run)
        if self._changesModels(run):
            self.panel.session.askModels()
        self.panel.refresh()

    def _changesModels(self, run) -> bool:
        """Whether a run leaves another list of models: terms were accepted, or its model is gone."""
        if not isinstance(run, SegmentRun):
            return False
        gone = run.error is not None and run.error.code in MODEL_GONE
        return gone or run.settings.acceptLicence  # a run that ended early may not have got to the terms

    def _tell(self, run) -> None:
        """What a run brought that ended well."""
        raise NotImplementedError
