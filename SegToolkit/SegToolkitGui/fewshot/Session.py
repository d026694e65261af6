"""One worker process for all that few-shot does, and what it told about models and devices.

The session belongs to the application, not to a panel: a run goes on when another module is shown, and the
worker keeps the model for the next run.
"""

from __future__ import annotations

import logging

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.InstallLogic import brokenTorchHint
from SegToolkitGui.MachineSettings import MachineSettings
from SegToolkitGui.scene.VolumeExport import ExportCache
from SegToolkitGui.Signal import Signal
from SegToolkitGui.WorkerClient import WorkerClient

# A worker that waits holds a few hundred MB; after this many minutes without a question it is stopped.
IDLE_MINUTES = 15
METHOD = "alpnet"
_shared: FewShotSession | None = None


class FewShotSession:
    """The worker, its folder of files, and what is known of models and devices.

    Signals: modelsChanged(), devicesChanged(), workerChanged(state), logged(line).
    """

    def __init__(self) -> None:
        self.models: list[dict] = []
        self.modelFolder = ""
        self.devices: list[dict] = []
        self.environment: dict = {}
        self.environmentProblem = ""
        self.modelsProblem = ""
        self.machine = MachineSettings()
        self.modelsChanged = Signal()
        self.devicesChanged = Signal()
        self.workerChanged = Signal()
        self.logged = Signal()
        self._folder = None
        self._client = None
        self._exports = None
        self._results = 0
        self._asking: set[str] = set()
        self._failed: set[str] = set()
        self._idleTimer = qt.QTimer()
        self._idleTimer.setSingleShot(True)
        self._idleTimer.connect("timeout()", self.stopWorker)
        self._quitConnected = slicer.app.connect("aboutToQuit()", self.shutDown)

    @staticmethod
    def shared() -> FewShotSession:
        """The session of this application; made at the first call."""
        global _shared
        if _shared is None:
            _shared = FewShotSession()
        return _shared

    @staticmethod
    def endShared() -> None:
        """End the session, if there is one: at the end of the application and before modules are reloaded."""
        global _shared
        if _shared is not None:
            session, _shared = _shared, None
            session.shutDown()

    @property
    def folder(self):
        """Folder of the files that cross over to the worker; removed with the session."""
        if self._folder is None:
            self._folder = Paths.newSessionFolder()
        elif not self._folder.is_dir():
            # Cleaned away from outside. It holds patients' images, so nobody else may look into it.
            self._folder.mkdir(mode=0o700, parents=True)
        return self._folder

    @property
    def client(self) -> WorkerClient:
        """The worker's client; its process starts with the first request."""
        if self._client is None:
            self._client = WorkerClient(self.folder / "worker")
            self._client.stateChanged.connect(self._onWorkerState)
            self._client.logged.connect(self.logged.emit)
        return self._client

    @property
    def exports(self) -> ExportCache:
        """Volumes that were written for the worker and have not changed since."""
        folder = self.folder / "volumes"
        if self._exports is None:
            self._exports = ExportCache(folder)
        return self._exports

    @property
    def workerState(self) -> str:
        """State of the client, "off" while there is none."""
        return self._client.state if self._client is not None else "off"

    @property
    def workerLog(self) -> list[str]:
        """Log of the client, empty while there is none."""
        return self._client.log if self._client is not None else []

    @property
    def problem(self) -> str:
        """Why nothing can be computed here, in a sentence; "" if nothing is known against it."""
        return self.environmentProblem or self.modelsProblem

    def forgetVolumes(self) -> None:
        """Remove the volumes that were written; the scene they came from is closed."""
        if self._exports is not None:
            self._exports.clear()

    def newResultFolder(self):
        """A folder for one result; the run removes it when the result is in the scene."""
        self._results += 1
        path = self.folder / "results" / f"{self._results:05d}"
        path.mkdir(parents=True)
        return path

    # What the panel wants to know

    def wake(self) -> None:
        """Ask what is not known yet, unless the question is under way or has failed."""
        waiting = self._asking | self._failed
        if not self.models and "models" not in waiting:
            self.askModels()
        if not self.environment and "environment" not in waiting:
            self.askEnvironment()

    def forgetFailures(self) -> None:
        """Something was installed or mended: what failed may be asked again."""
        self._failed.clear()
        if self.environmentProblem:
            self.environment, self.environmentProblem = {}, ""
        self.modelsProblem = ""

    def _ask(self, verb: str, body: dict, onFinished) -> None:
        """Ask the worker; an answer that was lost to Cancel counts as not asked."""

        def finished(outputs, error):
            self._asking.discard(verb)
            if error is not None and error.code != "cancelled":
                self._failed.add(verb)
                self._logError(error)
            onFinished(outputs, error)

        self._asking.add(verb)
        try:
            client = self.client
        except UserError as error:  # no temporary folder
            finished(None, error)
            return
        client.request(verb, body, None, finished)

    def askModels(self, onFinished=None) -> None:
        """Ask which models there are; modelsChanged follows."""

        def finished(outputs, error):
            if error is None:
                self.models = list(outputs["models"])
                self.modelFolder = outputs.get("folder", "")
            self.modelsProblem = "" if error is None or error.code == "cancelled" else str(error)
            self.modelsChanged.emit()
            if onFinished is not None:
                onFinished(outputs, error)

        self._ask("models", {"method": METHOD}, finished)

    def askEnvironment(self, onFinished=None) -> None:
        """Ask which devices there are, and whether torch works; devicesChanged follows."""

        def finished(outputs, error):
            if error is None:
                self.environment = outputs
                self.devices = list(outputs["devices"])
                problem = outputs.get("problem", "")
                self.environmentProblem = f"{problem} {brokenTorchHint()}" if problem else ""
            else:
                self.environmentProblem = "" if error.code == "cancelled" else str(error)
            self.devicesChanged.emit()
            if onFinished is not None:
                onFinished(outputs, error)

        self._ask("environment", {}, finished)

    def model(self, name: str) -> dict | None:
        """What is known of a usable model."""
        return next((one for one in self.models if one["name"] == name and one["usable"]), None)

    @property
    def device(self) -> str:
        """The device chosen on this machine; "auto" if it is no longer there."""
        chosen = self.machine.device
        there = not self.devices or any(one["id"] == chosen for one in self.devices)
        return chosen if there else "auto"

    def usableModels(self) -> list[dict]:
        """Models that can be chosen."""
        return [one for one in self.models if one["usable"]]

    def defaultModel(self) -> str:
        """The model used last on this machine, or else the first usable one; "" if there is none."""
        names = [one["name"] for one in self.usableModels()]
        last = self.machine.model
        return last if last in names else (names[0] if names else "")

    def addModel(self, body: dict, onFinished) -> None:
        """Take a model folder, a zip of one, or an authors' checkpoint into the person's collection."""

        def finished(outputs, error):
            if error is None:
                self.askModels()
            onFinished(outputs, error)

        self.client.request("add_model", body, None, finished)

    def acceptLicence(self, name: str, onFinished) -> None:
        """Remember that the terms of a model were accepted."""

        def finished(outputs, error):
            if error is None:
                for one in self.models:
                    if one["name"] == name:
                        one["licence"]["accepted"] = True
                self.modelsChanged.emit()
            onFinished(outputs, error)

        self.client.request("accept_licence", {"model": name}, None, finished)

    def requireModel(self, name: str) -> dict:
        """The model of that name.

        Raises:
            UserError: there is none, or it cannot be used.
        """
        found = next((one for one in self.models if one["name"] == name), None)
        if found is not None and found["usable"]:
            return found
        if found is not None:
            raise UserError("bad-model", found["problem"], _("Choose another model."))
        names = ", ".join(one["name"] for one in self.usableModels()) or _("none")
        raise UserError(
            "unknown-model",
            _("There is no model {name!r}.").format(name=name),
            _("Models: {names}.").format(names=names),
        )

    # The worker's life

    def stopWorker(self) -> None:
        """Let the worker end; it starts again with the next request."""
        if self._client is not None and self._client.state == "idle":
            self._client.stop()

    def shutDown(self) -> None:
        """End the worker for good and remove its files; safe to call twice."""
        self._idleTimer.stop()
        if self._quitConnected:
            slicer.app.disconnect("aboutToQuit()", self.shutDown)
            self._quitConnected = False
        if self._client is not None:
            self._client.killNow()
            self._client = None
        if self._folder is not None:
            Paths.removeFolder(self._folder)
            self._folder = None
            self._exports = None

    def _onWorkerState(self, state: str) -> None:
        if state == "idle":
            self._idleTimer.start(IDLE_MINUTES * 60 * 1000)
        else:
            self._idleTimer.stop()
        self.workerChanged.emit(state)

    def _logError(self, error) -> None:
        logging.warning("SegToolkit: %s", error)
        self.logged.emit(str(error))
