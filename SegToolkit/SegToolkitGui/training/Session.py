"""The workers behind the training module, and what they told about methods, devices and runs.

The session belongs to the application, not to a panel. Runs belong to nobody: each is a process of its own,
and neither the session's end nor Slicer's ends one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.InstallLogic import brokenTorchHint
from SegToolkitGui.Signal import Signal
from SegToolkitGui.training.JobWatch import JobWatch
from SegToolkitGui.training.Machine import TrainingMachine
from SegToolkitGui.training.SlowWork import SlowWork
from SegToolkitGui.WorkerClient import OnEvent, OnFinished, WorkerClient

# A worker that nobody asks anything is stopped after so many minutes.
IDLE_MINUTES = 15
_shared: TrainingSession | None = None


class TrainingSession:
    """Two workers: one that answers at once, about runs, and one for what takes its time.

    Args:
        command: program and arguments that start a worker; None takes SegToolkitLib's.

    Attributes:
        methods: what can be trained, as the worker's verb "methods" tells it.
        methodsProblem: why that is not known, "" if it is or is still being asked.
        devices, environment, environmentProblem: as in the few-shot session.
        jobs: the runs (JobWatch).
        slow: checks, estimates, files to be written (SlowWork).
        methodsChanged, devicesChanged, logged: signals, without arguments but for logged(line).
    """

    def __init__(self, command: list[str] | None = None) -> None:
        self.command = command
        self.methods: list[dict] = []
        self.methodsProblem = ""
        self.devices: list[dict] = []
        self.environment: dict = {}
        self.environmentProblem = ""
        self.machine = TrainingMachine()
        self.methodsChanged = Signal()
        self.devicesChanged = Signal()
        self.logged = Signal()
        self._folder = None
        self._clients: dict[str, WorkerClient] = {}
        self._idleTimers: dict[str, Any] = {}
        self._asking: set[str] = set()
        self._failed: set[str] = set()
        self.jobs = JobWatch(self.quick, lambda: self.machine.runsFolder)
        self.slow = SlowWork(
            lambda *request: self.ask("slow", *request), lambda: self.client("slow").cancel()
        )
        self._quitConnected = slicer.app.connect("aboutToQuit()", self.onQuit)

    @staticmethod
    def shared() -> TrainingSession:
        """The session of this application; made at the first call."""
        global _shared
        if _shared is None:
            _shared = TrainingSession()
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
        """Folder of the files that cross over to the workers; removed with the session."""
        if self._folder is None:
            self._folder = Paths.newSessionFolder()
        elif not self._folder.is_dir():
            # Cleaned away from outside. It holds patients' images, so nobody else may look into it.
            self._folder.mkdir(mode=0o700, parents=True)
        return self._folder

    def client(self, name: str) -> WorkerClient:
        """The client "quick" or "slow"; its process starts with the first request.

        Raises:
            UserError: there is no temporary folder.
        """
        if name not in self._clients:
            client = self._clients[name] = WorkerClient(self.folder / name, self.command)
            timer = self._idleTimers[name] = qt.QTimer()
            timer.setSingleShot(True)
            timer.connect("timeout()", lambda: self._stopIdle(name))
            client.stateChanged.connect(lambda state: self._onWorkerState(name, state))
            client.logged.connect(self.logged.emit)
        return self._clients[name]

    def ask(self, name: str, verb: str, body: dict, onEvent: OnEvent | None, onFinished: OnFinished) -> None:
        """Ask a worker; that it cannot be asked is an answer too."""
        try:
            client = self.client(name)
        except UserError as problem:
            error = problem
            qt.QTimer.singleShot(0, lambda: onFinished(None, error))
            return
        client.request(verb, body, onEvent, onFinished)

    @property
    def device(self) -> str:
        """The device chosen on this machine; "auto" if it is no longer there."""
        chosen = self.machine.device
        there = not self.devices or any(one["id"] == chosen for one in self.devices)
        return chosen if there else "auto"

    @property
    def problem(self) -> str:
        """Why nothing can be trained here, in a sentence; "" if nothing is known against it."""
        return self.environmentProblem or self.methodsProblem

    @property
    def log(self) -> list[str]:
        """The last lines of both workers."""
        return [line for client in self._clients.values() for line in client.log]

    # What the panel wants to know

    def wake(self) -> None:
        """Ask what is not known yet, unless the question is under way or has failed."""
        waiting = self._asking | self._failed
        if not self.methods and "methods" not in waiting:
            self.askMethods()
        if not self.environment and "environment" not in waiting:
            self.askEnvironment()

    def forgetFailures(self) -> None:
        """Something was installed or mended: what failed may be asked again."""
        self._failed.clear()
        if self.environmentProblem:
            self.environment, self.environmentProblem = {}, ""
        self.methodsProblem = ""

    def askMethods(self, onFinished: OnFinished | None = None) -> None:
        """Ask what can be trained; methodsChanged follows."""

        def finished(outputs, error):
            self._answered("methods", error)
            if error is None:
                self.methods = list(outputs["methods"])
            self.methodsProblem = "" if error is None or error.code == "cancelled" else str(error)
            self.methodsChanged.emit()
            if onFinished is not None:
                onFinished(outputs, error)

        self._asking.add("methods")
        self.ask("quick", "methods", {}, None, finished)

    def askEnvironment(self) -> None:
        """Ask which devices there are, and whether torch works; devicesChanged follows."""

        def finished(outputs, error):
            self._answered("environment", error)
            if error is None:
                self.environment = outputs
                self.devices = list(outputs["devices"])
                problem = outputs.get("problem", "")
                self.environmentProblem = f"{problem} {brokenTorchHint()}" if problem else ""
            else:
                self.environmentProblem = "" if error.code == "cancelled" else str(error)
            self.devicesChanged.emit()

        self._asking.add("environment")
        self.slow.ask("environment", "environment", {}, None, finished)

    def method(self, name: str) -> dict | None:
        """What is known of a method."""
        return next((one for one in self.methods if one["name"] == name), None)

    def requireMethod(self, name: str) -> dict:
        """The method of that name.

        Raises:
            UserError: there is none.
        """
        found = self.method(name)
        if found is None:
            names = ", ".join(one["name"] for one in self.methods) or _("none")
            raise UserError(
                "unknown-method",
                _("There is no method {name!r} in this SegToolkit.").format(name=name),
                _("Methods: {names}.").format(names=names),
            )
        return found

    def quick(self, verb: str, body: dict, onFinished: OnFinished, onEvent: OnEvent | None = None) -> None:
        """Ask the worker that answers at once."""
        self.ask("quick", verb, body, onEvent, onFinished)

    def act(
        self, verb: str, body: dict, onDone: Callable[[dict], Any], onError: Callable[[Any], Any]
    ) -> None:
        """Do something with a run; the list of runs follows by itself."""

        def finished(outputs, error):
            if error is None:
                onDone(outputs)
            else:
                onError(error)
            self.jobs.poll()

        self.quick(verb, body, finished)

    # The workers' life

    def onQuit(self) -> None:
        """Slicer ends; runs do not."""
        names = [job["name"] for job in self.jobs.live]
        if names:
            logging.info("SegToolkit: these trainings go on without Slicer: %s", ", ".join(names))
        self.shutDown()

    def shutDown(self) -> None:
        """End the workers for good and remove their files; safe to call twice. Runs go on."""
        if self._quitConnected:
            slicer.app.disconnect("aboutToQuit()", self.onQuit)
            self._quitConnected = False
        self.jobs.end()
        self.stopWorkers()
        if self._folder is not None:
            Paths.removeFolder(self._folder)
            self._folder = None

    def stopWorkers(self) -> None:
        """End the workers at once; they start again with the next request. Runs go on."""
        self.slow.clear()
        for timer in self._idleTimers.values():
            timer.stop()
        clients, self._clients = self._clients, {}
        for client in clients.values():
            client.killNow()
        self._asking.clear()

    def _stopIdle(self, name: str) -> None:
        client = self._clients.get(name)
        if client is not None and client.state == "idle":
            client.stop()

    def _onWorkerState(self, name: str, state: str) -> None:
        timer = self._idleTimers[name]
        if state == "idle":
            timer.start(IDLE_MINUTES * 60 * 1000)
        else:
            timer.stop()

    def _answered(self, verb: str, error) -> None:
        self._asking.discard(verb)
        if error is not None and error.code != "cancelled":
            self._failed.add(verb)
            logging.warning("SegToolkit: %s", error)
            self.logged.emit(str(error))
