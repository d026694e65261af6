"""Training on the collected patients: begun here, gone on with in the background, shown in a line."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.DatasetFolder import isDataset
from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part

PRESETS = {"quick": _("Quick check"), "default": _("Default")}
TRAINING = "SegToolkitTraining"
LIVE = ("waiting", "starting", "running", "stopping")
STATES = {
    "new": _("not started"),
    "waiting": _("waits for its turn"),
    "starting": _("starts"),
    "running": _("runs"),
    "stopping": _("stops"),
    "stopped": _("stopped"),
    "finished": _("finished"),
    "failed": _("failed"),
    "interrupted": _("interrupted"),
}


def trainingLogic():
    """The logic of the module SegToolkit: Training, which looks after runs; None where it is not loaded."""
    if getattr(slicer.modules, TRAINING.lower(), None) is None:
        return None
    return slicer.util.getModuleLogic(TRAINING)


class TrainPart(Part):
    """The rows of the section "Train on your own patients" about the training."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._run = None
        self._jobs = None  # the runs that are looked at
        self._taking = False  # a model is on its way into the collection
        ui.presetCombo.addItems(list(PRESETS.values()))
        ui.presetCombo.connect("currentIndexChanged(int)", self.onPreset)
        ui.seedsSpin.connect("valueChanged(int)", self.onSeeds)
        ui.trainButton.connect("clicked(bool)", panel.guarded(self.onTrain))
        ui.openRunButton.connect("clicked(bool)", panel.guarded(self.onOpen))
        ui.useModelButton.connect("clicked(bool)", panel.guarded(self.onUse))

    # Life

    def exit(self) -> None:
        """Nobody looks."""
        self._look(None)

    def tearDown(self) -> None:
        """The panel ends; the run goes on."""
        self._look(None)
        self._forget()

    def detach(self) -> None:
        """The scene goes; its run does not."""
        self._forget()

    def _forget(self) -> None:
        if self._run is not None:
            self._run.stateChanged.disconnect(self._onRun)
            self._run = None

    def _look(self, jobs) -> None:
        """Follow the list of runs, or no longer."""
        if jobs is self._jobs:
            return
        if self._jobs is not None:
            self._jobs.jobsChanged.disconnect(self.panel.changed)
            self._jobs.lookAway(self)
        self._jobs = jobs
        if jobs is not None:
            jobs.jobsChanged.connect(self.panel.changed)
            jobs.look(self)

    # Showing

    def status(self) -> dict | None:
        """What is known of the run that was begun here, as the worker's verb "jobs" tells it."""
        folder = self.panel.parameters.run
        return self._jobs.status(folder) if self._jobs is not None and folder else None

    def refresh(self) -> None:
        """Bring the rows in line."""
        ui, machine = self.ui, self.panel.session.machine
        folder, logic = self.panel.parameters.run, trainingLogic()
        asks = bool(folder) and self.panel.shown and not self.panel.setup.problem()
        self._look(logic.session.jobs if asks and logic is not None else None)
        preset = machine.preset if machine.preset in PRESETS else "default"
        ui.presetCombo.setCurrentIndex(list(PRESETS).index(preset))
        ui.seedsSpin.setValue(machine.seeds)
        reason = self.reason()
        ui.trainButton.setEnabled(not reason)
        ui.trainButton.setToolTip(
            reason or _("Start a training that goes on when Slicer is closed; progress is shown here.")
        )
        status = self.status()
        ui.trainLabel.setText(self._text(status) or reason)
        ui.trainLabel.setVisible(bool(ui.trainLabel.text))
        ui.openRunButton.setEnabled(bool(folder) and logic is not None)
        ui.openRunButton.setToolTip(
            _("Show this run's curves, pictures and log in the module Training.")
            if folder
            else _("No training was begun from this scene.")
        )
        model = bool(status and status.get("model"))
        ui.useModelButton.setEnabled(model and not self._taking and not self.panel.running.busy)
        ui.useModelButton.setToolTip(
            _("Take the trained model into the collection, and choose it above.")
            if model
            else _("The training has made no model yet.")
        )

    def reason(self) -> str:
        """Why no training can be begun, in a sentence; "" if one can."""
        problem = self.panel.setup.problem()
        if problem:
            return problem
        if trainingLogic() is None:
            return _("The module SegToolkit: Training is not loaded.")
        data = self.panel.dataset
        if not isDataset(data.folder):
            return _("Collect patients into a data set first.")
        if data.facts and not data.facts.get("tagged") and not data.facts.get("labelled"):
            return _("No patient of the data set is tagged.")
        status = self.status()
        if self._starting:
            return _("A training is starting.")
        if status is not None and status["state"] in LIVE:
            return _("A training goes on: {name}.").format(name=status["name"])
        return ""

    @property
    def _starting(self) -> bool:
        """Whether a training was asked for that has not begun yet."""
        return self._run is not None and not self._run.over and self._run.state == "starting"

    def _text(self, status: dict | None) -> str:
        if self._run is not None and self._run.error is not None:
            return str(self._run.error)
        if status is None:
            return ""
        text = f"{status['name']}: {STATES.get(status['state'], status['state'])}"
        step, total, best = status.get("step"), status.get("total"), status.get("best") or {}
        if step is not None and total:
            text += ", " + _("step {step} of {total}").format(step=step, total=total)
        if best.get("value") is not None:
            text += ", " + _("best {metric} {value:.3g}").format(
                metric=best.get("metric") or "", value=best["value"]
            )
        return text + "."

    # What the person does

    def onPreset(self, index: int) -> None:
        """Another preset; it belongs to this machine."""
        if self._free() and 0 <= index < len(PRESETS):
            self.panel.session.machine.preset = list(PRESETS)[index]

    def onSeeds(self, value: int) -> None:
        """More or fewer seeds; they belong to this machine."""
        if self._free():
            self.panel.session.machine.seeds = int(value)

    def onTrain(self) -> None:
        """Begin the training."""
        if self._starting:
            return  # a double click
        reason = self.reason()
        if reason:
            raise UserError("cannot-train", reason)
        machine, data = self.panel.session.machine, self.panel.dataset
        channels = list(data.facts.get("channels") or self.panel.images.images().names)
        self._forget()
        self.panel.parameters.run = ""
        self._run = self.panel.logic.train(data.folder, channels, preset=machine.preset, seeds=machine.seeds)
        self._run.stateChanged.connect(self._onRun)

    def _onRun(self, run) -> None:
        """The run has begun, or is in another state."""
        if self.panel.parameters is not None and run.folder:
            self.panel.parameters.run = run.folder
        if run.error is not None:
            self.panel.tell(run.error)
        self.panel.changed()

    def onOpen(self) -> None:
        """Show the run in the module Training."""
        folder = self.panel.parameters.run
        self.panel.openModule(TRAINING, _("SegToolkit: Training"))
        trainingLogic().session.jobs.follow(folder)

    def onUse(self) -> None:
        """Take the model of the run."""
        status = self.status()
        if status and status.get("model") and not self._taking:  # else it is a double click
            self._use(str(status["model"]), False)

    def _use(self, path: str, replace: bool) -> None:
        def finished(outputs, error):
            self._taking = False
            if error is not None and error.code == "model-exists" and not replace:
                question = _("{text}\n\nReplace it?").format(text=error.text)
                if slicer.util.confirmOkCancelDisplay(question, _("Use the model")):
                    self._use(path, True)
                return
            self.panel.model.added(outputs, error)

        self._taking = True
        self.panel.session.addModel({"path": path, "replace": replace}, finished)


def settingsOf(channels: list[str], seeds: int) -> dict:
    """What a training from the panel sets beyond its preset."""
    return {"data.modalities": list(channels), "seeds": int(seeds)}
