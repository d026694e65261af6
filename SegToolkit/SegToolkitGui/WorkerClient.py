"""Requests to the worker process and their answers, each exactly once, whatever becomes of the process."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Paths import libraryRoot, pythonProgram
from SegToolkitGui.Signal import Signal
from SegToolkitGui.WorkerProcess import PROTOCOL, WorkerProcess

LOG_LINES = 2000
LOG_LINE_LENGTH = 2000
TAIL_LINES = 4  # of the log, in the details of an error
DEATHS_ALLOWED = 3
QUIT_MILLISECONDS = 1000
KILL_NOW_MILLISECONDS = 1500

OnEvent = Callable[[dict], Any]
OnFinished = Callable[[dict | None, UserError | None], Any]


@dataclass(eq=False)
class _Request:
    id: str
    verb: str
    body: dict
    onEvent: OnEvent | None
    onFinished: OnFinished | None
    sent: bool = False


class WorkerClient:
    """Keeps one worker process and asks it one thing after the other.

    The process starts with the first request and stays, so that the next answers need no start-up. Requests
    that wait are held here: when the process dies, the one under way ends with an error and the others go on
    in a new process.

    Callbacks run in the application's event loop, never inside `request`. The owner calls `killNow` when the
    application quits; a client with a running process is not collected as garbage.

    Args:
        folder: Exchange folder of the session. Each process has its own folder in it, removed at the end.
        command: Program and arguments that start a worker; None takes SegToolkitLib's.

    Attributes:
        stateChanged: Signal(str) with the new `state`.
        logged: Signal(str) with each new line of `log`.
        restarts: How many times a process was started after another had died unexpectedly.
    """

    def __init__(self, folder: Path, command: list[str] | None = None) -> None:
        self.stateChanged = Signal()
        self.logged = Signal()
        self.restarts = 0
        self._folder = Path(folder)
        self._command = command
        self._worker: WorkerProcess | None = None
        self._isReady = False  # the worker has said hello
        self._leaving: list[WorkerProcess] = []  # told to quit, or killed, and not yet gone
        self._requests: deque[_Request] = deque()  # the first one is under way once it is sent
        self._lastId = 0
        self._starts = 0
        self._deaths = 0  # in a row, without an answer
        self._afterDeath = False
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._reportedState = "off"

    @property
    def state(self) -> str:
        """ "off", "starting", "idle", "busy" or "stopping"."""
        if self._worker:
            if not self._isReady:
                return "starting"
            return "busy" if self._requests else "idle"
        return "stopping" if self._leaving else "off"

    @property
    def pid(self) -> int | None:
        """Number of the worker's Python process, None while there is none or it has not told it."""
        return self._worker.pid if self._worker else None

    @property
    def log(self) -> list[str]:
        """The last lines that the worker printed outside the protocol, and what happened to it."""
        return list(self._log)

    def request(
        self, verb: str, body: dict, onEvent: OnEvent | None = None, onFinished: OnFinished | None = None
    ) -> str:
        """Queue a request and return its id.

        Args:
            verb: One of the worker's verbs.
            body: Its arguments; values JSON takes, and paths.
            onEvent: Called with each "progress", "warning" and "log" message of this request.
            onFinished: Called once, with (outputs, None) or (None, error). Codes of ours: "worker-died",
                "worker-keeps-dying", "worker-cannot-start", "worker-protocol", "worker-folder", "cancelled",
                "library-missing", "invalid-request"; all others are the worker's.
        """
        self._lastId += 1
        request = _Request(str(self._lastId), verb, body, onEvent, onFinished)
        self._requests.append(request)
        self._reportState()
        # From the event loop, so that no callback runs before the caller has the id.
        qt.QTimer.singleShot(0, self._advance)
        return request.id

    def cancel(self) -> None:
        """End every open request with code "cancelled" and kill the worker, without waiting for it.

        The next request starts a new one.
        """
        self._leave(lambda worker: worker.kill())
        self._endAll(UserError("cancelled", _("Cancelled.")))

    def stop(self) -> None:
        """Let the worker end by itself; kill it after a second. Open requests end with code "cancelled"."""
        self._leave(lambda worker: worker.quit(QUIT_MILLISECONDS))
        self._endAll(UserError("cancelled", _("Cancelled.")))

    def killNow(self) -> None:
        """Kill the worker and wait until it is gone, at most two seconds. For the application's end."""
        self._leave(lambda worker: None)
        leaving, self._leaving = self._leaving, []
        for worker in leaving:
            worker.kill()
        for worker in leaving:
            worker.killAndWait(KILL_NOW_MILLISECONDS // len(leaving))
            worker.release()
        self._endAll(UserError("cancelled", _("Cancelled.")))

    def _advance(self) -> None:
        """Start the worker if there is something to do, and hand it the next request if it is ready."""
        if self._requests and not self._worker:
            self._start()
        # A process that has ended, though its end is not told yet, answers nothing: the next one will.
        isListening = self._isReady and self._worker is not None and not self._worker.ended
        if self._requests and isListening and not self._requests[0].sent:
            request = self._requests[0]
            request.sent = True
            try:
                self._worker.send({**request.body, "id": request.id, "do": request.verb})
            except OSError as error:
                if self._worker.folder.is_dir():
                    self._finish(request, None, self._folderError(error))
                else:  # swept away from outside: this worker hears nothing any more
                    request.sent = False
                    self._leave(lambda worker: worker.kill())
                    self._start()
            except (TypeError, ValueError) as error:
                self._finish(
                    request, None, UserError("invalid-request", _("The request is not valid.") + f" {error}")
                )
        self._reportState()

    def _start(self) -> None:
        self._starts += 1
        self._isReady = False
        try:
            root = libraryRoot()
            command = self._command or [pythonProgram(), "-m", "SegToolkitLib", "worker"]
            worker = WorkerProcess(
                command,
                self._folder / f"worker-{self._starts:03d}",
                root,
                self._onMessage,
                self._addLog,
                self._onEnded,
            )
        except UserError as error:
            self._endAll(error)
            return
        self._worker = worker
        if self._afterDeath:
            self.restarts += 1
            self._afterDeath = False
        try:
            worker.start()
        except OSError as error:
            self._worker = None
            worker.release()
            self._endAll(self._folderError(error))

    def _leave(self, how: Callable[[WorkerProcess], Any]) -> None:
        worker, self._worker, self._isReady = self._worker, None, False
        if worker:
            worker.mute()
            self._leaving.append(worker)
            how(worker)

    def _onMessage(self, message: dict) -> None:
        kind = message["t"]
        if kind == "hello":
            self._onHello(message)
            return
        request = self._requests[0] if self._requests and self._requests[0].sent else None
        if kind in ("log", "warning", "error"):
            self._addLog(" ".join(str(message[key]) for key in ("text", "hint") if message.get(key)))
        if request is None or str(message.get("id")) != request.id:
            return
        if kind == "done":
            self._deaths = 0
            outputs = message.get("outputs")
            self._finish(request, outputs if isinstance(outputs, dict) else {}, None)
        elif kind == "error":
            self._deaths = 0
            texts = [str(message.get(key) or "") for key in ("code", "text", "hint")]
            self._finish(request, None, UserError(*texts))
        elif request.onEvent:
            _call(request.onEvent, message)

    def _onHello(self, message: dict) -> None:
        if message.get("protocol") != PROTOCOL:
            self._leave(lambda worker: worker.kill())
            self._endAll(
                UserError(
                    "worker-protocol",
                    _("The library speaks protocol {theirs}, and this window speaks {ours}.").format(
                        theirs=message.get("protocol"), ours=PROTOCOL
                    ),
                    _("Two versions are mixed: install the SegToolkit extension again and restart Slicer."),
                )
            )
            return
        # Log lines stay in English: they are read by maintainers, in reports.
        self._addLog(f"Worker {message.get('pid')} started, SegToolkitLib {message.get('version')}.")
        self._isReady = True
        self._advance()

    def _onEnded(self, worker: WorkerProcess) -> None:
        if worker is not self._worker:
            if worker in self._leaving:
                self._leaving.remove(worker)
            self._reportState()
            return
        wasReady = self._isReady
        self._worker, self._isReady, self._afterDeath = None, False, True
        self._deaths += 1
        self._addLog(f"The worker ended unexpectedly: {worker.startError or _endOf(worker)}.")
        if worker.startError:
            self._endAll(self._startError(worker))
        elif self._deaths >= DEATHS_ALLOWED:
            self._endAll(self._keepsDyingError())
        elif self._requests and wasReady and not self._requests[0].sent:
            # It died between two questions: nothing of this one is lost, a new worker answers it.
            qt.QTimer.singleShot(0, self._advance)
        elif self._requests:
            self._finish(self._requests[0], None, self._diedError(worker))
        self._reportState()

    def _finish(self, request: _Request, outputs: dict | None, error: UserError | None) -> None:
        """Answer the first request and go on with the next one."""
        self._requests.popleft()
        if self._requests:
            qt.QTimer.singleShot(0, self._advance)
        self._reportState()
        if request.onFinished:
            _call(request.onFinished, outputs, error)

    def _endAll(self, error: UserError) -> None:
        # Taken out first: a callback may ask for something new, which is not to be ended here.
        requests, self._requests = self._requests, deque()
        self._reportState()
        for request in requests:
            if request.onFinished:
                _call(request.onFinished, None, error)

    def _reportState(self) -> None:
        state = self.state
        if state != self._reportedState:
            self._reportedState = state
            self.stateChanged.emit(state)

    def _addLog(self, line: str) -> None:
        line = line if len(line) <= LOG_LINE_LENGTH else line[:LOG_LINE_LENGTH] + "..."
        self._log.append(line)
        self.logged.emit(line)

    def _tail(self) -> str:
        return "\n".join(list(self._log)[-TAIL_LINES:])

    def _diedError(self, worker: WorkerProcess) -> UserError:
        hint = _("Run it again: a new process starts by itself.")
        if _wasKilled(worker):
            hint = _("Memory may have run out: close other programs or use a smaller volume.")
        text = _("The worker process ended unexpectedly ({end}).").format(end=_endOf(worker))
        return UserError("worker-died", text, hint, self._tail())

    def _keepsDyingError(self) -> UserError:
        text = _("The worker process ended {number} times in a row without an answer.").format(
            number=self._deaths
        )
        hint = _(
            "The log shows its last lines: installing PyTorch again helps where they name torch. Otherwise"
            " copy the report for the developers."
        )
        return UserError("worker-keeps-dying", text, hint, self._tail())

    def _startError(self, worker: WorkerProcess) -> UserError:
        return UserError(
            "worker-cannot-start",
            _("The program {program} could not be started: {reason}.").format(
                program=worker.command[0], reason=worker.startError
            ),
            _("Check that it exists and may be run; a virus scanner may hold it back."),
        )

    def _folderError(self, error: OSError) -> UserError:
        return UserError(
            "worker-folder",
            _("The folder for exchange files {folder} cannot be written: {reason}.").format(
                folder=self._folder, reason=error.strerror or error
            ),
            _("Free some space there, or choose another temporary folder in Slicer's application settings."),
        )


def _endOf(worker: WorkerProcess) -> str:
    return f"signal {worker.exitCode}" if worker.crashed else f"exit code {worker.exitCode}"


def _wasKilled(worker: WorkerProcess) -> bool:
    # 9 is SIGKILL; a launcher in between passes it on as 128 + 9.
    return (worker.crashed and worker.exitCode == 9) or worker.exitCode == 137


def _call(callback: Callable[..., Any], *arguments: Any) -> None:
    try:
        callback(*arguments)
    except Exception:
        logging.exception("SegToolkit: the callback of a worker request failed")
