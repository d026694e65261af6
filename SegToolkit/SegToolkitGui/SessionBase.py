"""What every session is: worker processes, their folder of files, and what they told of this machine.

A session belongs to the application, not to a panel: it goes on when another module is shown.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.InstallLogic import brokenTorchHint
from SegToolkitGui.MachineSettings import MachineSettings
from SegToolkitGui.Signal import Signal
from SegToolkitGui.WorkerClient import OnEvent, OnFinished, WorkerClient

# A worker that waits holds a few hundred MB; after this many minutes without a question it is stopped.
IDLE_MINUTES = 15


class SessionBase:
    """Workers by name, started by the first question and stopped when idle, and the devices they found.

    A session adds its questions, and overrides ``wake``, ``problem`` and ``forgetFailures`` for them.

    Args:
        command: program and arguments that start a worker; None takes SegToolkitLib's.

    Attributes:
        machine: choices that belong to this computer.
        devices, environment: as the worker's verb "environment" tells them, empty while unknown.
        environmentProblem: why nothing can be computed here, "" if nothing is known against it.
        devicesChanged: Signal(), devices or the problem changed.
        logged: Signal(str), a worker printed a line.
    """

    machineClass: ClassVar[type[MachineSettings]] = MachineSettings
    _open: ClassVar[dict[type, SessionBase]] = {}

    def __init__(self, command: list[str] | None = None) -> None:
        self.command = command
        self.machine = self.machineClass()
        self.devices: list[dict] = []
        self.environment: dict = {}
        self.environmentProblem = ""
        self.devicesChanged = Signal()
        self.logged = Signal()
        self._folder: Path | None = None
        self._clients: dict[str, WorkerClient] = {}
        self._idleTimers: dict[str, Any] = {}
        # Of what is asked once: verbs under way, answered, and those that failed.
        self._asking: set[str] = set()
        self._known: set[str] = set()
        self._failed: set[str] = set()
        self._ended = False
        self._quitConnected = slicer.app.connect("aboutToQuit()", self.onQuit)

    # The one of the application

    @classmethod
    def shared(cls):
        """The session of this class in this application; made at the first call."""
        if cls not in SessionBase._open:
            SessionBase._open[cls] = cls()
        return SessionBase._open[cls]

    @classmethod
    def endShared(cls) -> None:
        """End that session, if there is one: before modules are reloaded."""
        session = SessionBase._open.pop(cls, None)
        if session is not None:
            session.shutDown()

    @classmethod
    def allShared(cls) -> list:
        """The sessions of this class and of those derived from it that have been opened."""
        return [one for one in SessionBase._open.values() if isinstance(one, cls)]

    # Workers

    @property
    def folder(self) -> Path:
        """Folder of the files that cross over to the workers; removed with the session.

        Raises:
            UserError: there is no temporary folder, or the session has ended: "cancelled".
        """
        if self._ended:  # who comes late would leave a folder with patients' images behind
            raise UserError("cancelled", _("The application ends."))
        if self._folder is None:
            self._folder = Paths.newSessionFolder()
        elif not self._folder.is_dir():
            # Cleaned away from outside. It holds patients' images, so nobody else may look into it.
            self._folder.mkdir(mode=0o700, parents=True)
        return self._folder

    def worker(self, name: str = "worker") -> WorkerClient:
        """The client of that name; its process starts with the first request.

        Raises:
            UserError: there is no temporary folder, or the session has ended.
        """
        if name not in self._clients:
            client = self._clients[name] = WorkerClient(self.folder / name, self.command)
            timer = self._idleTimers[name] = qt.QTimer()
            timer.setSingleShot(True)
            timer.connect("timeout()", lambda: self._stopIdle(name))
            client.stateChanged.connect(lambda state: self._onWorkerState(name, state))
            client.logged.connect(self.logged.emit)
        return self._clients[name]

    def ask(
        self,
        verb: str,
        body: dict,
        onFinished: OnFinished,
        onEvent: OnEvent | None = None,
        worker: str = "worker",
    ) -> None:
        """Ask a worker (see WorkerClient.request); that it cannot be asked is an answer too."""
        try:
            client = self.worker(worker)
        except UserError as problem:
            error = problem
            qt.QTimer.singleShot(0, lambda: onFinished(None, error))
            return
        client.request(verb, body, onEvent, onFinished)

    def cancel(self, worker: str = "worker") -> None:
        """End at once what a worker does (see WorkerClient.cancel); one that nobody has asked is not made."""
        client = self._clients.get(worker)
        if client is not None:
            client.cancel()

    @property
    def log(self) -> list[str]:
        """The last lines of all workers."""
        return [line for client in self._clients.values() for line in client.log]

    # What is asked once

    @property
    def problem(self) -> str:
        """Why nothing can be computed here, in a sentence; "" if nothing is known against it."""
        return self.environmentProblem

    def wake(self) -> None:
        """Ask what is not known yet, unless the question is under way or has failed."""
        if not self.environment and self.mayAsk("environment"):
            self.askEnvironment()

    def knows(self, verb: str) -> bool:
        """Whether a question was answered, be it by "there is none"."""
        return verb in self._known

    def forgetFailures(self) -> None:
        """Something was installed or mended: what failed may be asked again, and what was known anew."""
        self._failed.clear()
        self._known.clear()
        if self.environmentProblem:
            self.environment, self.environmentProblem = {}, ""

    def mayAsk(self, verb: str) -> bool:
        """Whether a question is neither under way nor has failed."""
        return not self._ended and verb not in self._asking | self._failed

    def askFact(self, verb: str, body: dict, onFinished: OnFinished) -> None:
        """Ask for something that ``wake`` wants to know; a failure is logged and remembered.

        An answer that was lost to Cancel counts as not asked.
        """

        def finished(outputs, error):
            self._asking.discard(verb)
            self._known.discard(verb)
            if error is None:
                self._known.add(verb)
            elif error.code != "cancelled":
                self._failed.add(verb)
                logging.warning("SegToolkit: %s", error)
                self.logged.emit(str(error))
            onFinished(outputs, error)

        self._asking.add(verb)
        self.requestFact(verb, body, finished)

    def requestFact(self, verb: str, body: dict, onFinished: OnFinished) -> None:
        """Hand such a question to a worker; a session with several chooses one."""
        self.ask(verb, body, onFinished)

    def askEnvironment(self, onFinished: OnFinished | None = None) -> None:
        """Ask which devices there are, and whether torch works; devicesChanged follows."""

        def finished(outputs, error):
            if error is None:
                self.environment = outputs
                self.devices = list(outputs["devices"])
                problem = outputs.get("problem", "")
                self.environmentProblem = f"{problem} {brokenTorchHint()}" if problem else ""
            else:
                self.environmentProblem = problemOf(error)
            self.devicesChanged.emit()
            if onFinished is not None:
                onFinished(outputs, error)

        self.askFact("environment", {}, finished)

    @property
    def device(self) -> str:
        """The device chosen on this machine; "auto" if it is no longer there."""
        chosen = self.machine.device
        there = not self.devices or any(one["id"] == chosen for one in self.devices)
        return chosen if there else "auto"

    # The end

    def onQuit(self) -> None:
        """The application ends."""
        self.shutDown()

    def shutDown(self) -> None:
        """End the workers for good and remove their files; safe to call twice."""
        if self._quitConnected:
            slicer.app.disconnect("aboutToQuit()", self.onQuit)
            self._quitConnected = False
        self._ended = True
        self.stopWorkers()
        if self._folder is not None:
            Paths.removeFolder(self._folder)
            self._folder = None

    def stopWorkers(self) -> None:
        """End the workers at once; they start again with the next question."""
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


def problemOf(error: UserError | None) -> str:
    """Text of an error that stands in the way; "" if there is none, or somebody pressed Cancel."""
    return "" if error is None or error.code == "cancelled" else str(error)
