"""One life of the worker process: start, lines in, requests out, and an end that leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt

from SegToolkitGui.Paths import removeFolder

PROTOCOL = 1
SLICE_SECONDS = 0.010  # of the event loop's time for one batch of lines


class WorkerProcess:
    """Runs the program, and turns its output into messages (JSON objects with "t") and log lines.

    Output is read in Qt's slots but handed on from a timer of our own. So callbacks may open dialogs, kill
    this process or drop the last reference to it: no QProcess signal is under way then, and a flood of lines
    cannot freeze the window.

    Args:
        command: Program and arguments; "--folder FOLDER --parent PID" is appended.
        folder: A folder of this process alone; made here, removed at the end.
        workingFolder: Current folder of the process, also put on its PYTHONPATH.
        onMessage: Called with each JSON object.
        onLog: Called with each other line of stdout and with each line of stderr.
        onEnded: Called once with this object after the last line, also if the program could not be started.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        workingFolder: Path,
        onMessage: Callable[[dict], Any],
        onLog: Callable[[str], Any],
        onEnded: Callable[[WorkerProcess], Any],
    ) -> None:
        self.command = [*command, "--folder", str(folder), "--parent", str(os.getpid())]
        self.folder = folder
        self.pid: int | None = None  # of the Python process itself, from its first line
        self.ended = False
        self.killed = False
        self.exitCode: int | None = None
        self.crashed = False
        self.startError = ""
        self._callbacks: tuple[Callable, Callable, Callable] | None = (onMessage, onLog, onEnded)
        self._requests = 0
        self._lines: deque[tuple[bool, bytes]] = deque()  # (is from stdout, line)
        self._unfinished: dict[bool, list[bytes]] = {True: [], False: []}

        self._process = qt.QProcess()
        self._process.setWorkingDirectory(str(workingFolder))
        self._process.setProcessEnvironment(workerEnvironment(workingFolder))
        self._pumpTimer = qt.QTimer()
        self._pumpTimer.setSingleShot(True)
        self._killTimer = qt.QTimer()
        self._killTimer.setSingleShot(True)
        # The same callables are needed for disconnecting, without which Qt would hold this object for ever.
        self._connections = [
            (self._process, "readyReadStandardOutput()", self._onStdout),
            (self._process, "readyReadStandardError()", self._onStderr),
            (self._process, "errorOccurred(QProcess::ProcessError)", self._onError),
            (self._process, "finished(int,QProcess::ExitStatus)", self._onFinished),
            (self._pumpTimer, "timeout()", self._pump),
            (self._killTimer, "timeout()", self.kill),
        ]
        for sender, signature, slot in self._connections:
            sender.connect(signature, slot)

    def start(self) -> None:
        """Start the program. Failing to is told by onEnded, with `startError`.

        Raises:
            OSError: the folder cannot be made.
        """
        (self.folder / "requests").mkdir(parents=True, exist_ok=True)
        self._process.start(self.command[0], self.command[1:])

    def send(self, request: dict) -> None:
        """Hand a request to the worker. It sees the file only when it is complete.

        Raises:
            OSError, TypeError: the file cannot be written, or the request is no JSON.
        """
        self._requests += 1
        target = self.folder / "requests" / f"{self._requests:06d}.json"
        beside = target.with_suffix(".part")
        beside.write_text(json.dumps(request, default=_asText), encoding="ascii")
        beside.replace(target)

    def quit(self, milliseconds: int) -> None:
        """Ask the worker to end by itself, and kill it if it has not after so many milliseconds."""
        try:
            self.send({"id": "quit", "do": "quit"})
        except OSError:
            self.kill()
        else:
            self._killTimer.start(milliseconds)

    def kill(self) -> None:
        """Kill the worker and all that it started. Returns at once; onEnded follows.

        PythonSlicer is a launcher: killing it alone leaves the Python process running. That one has told its
        own number and leads a process group. Before it has, removing its folder ends it: it watches for that.
        """
        if self.ended:
            return
        self.killed = True
        self._killGroup()
        self._killPid()
        self._process.kill()
        removeFolder(self.folder, patience=0)

    def killAndWait(self, milliseconds: int) -> None:
        """Kill as `kill` does and wait for the program's end, at most so long. For the application's end."""
        self.kill()
        started = time.monotonic()
        if self._process.state() != qt.QProcess.NotRunning:
            self._process.waitForFinished(milliseconds)
        removeFolder(self.folder, patience=max(0.0, milliseconds / 1000 - (time.monotonic() - started)))
        self._onFinished()

    def mute(self) -> None:
        """Report no more messages and lines; only onEnded still comes."""
        if self._callbacks:
            self._callbacks = (_ignore, _ignore, self._callbacks[2])

    def release(self) -> None:
        """Let go of the Qt objects. Nothing is reported from here on."""
        self._callbacks = None
        self._pumpTimer.stop()
        self._killTimer.stop()
        for sender, signature, slot in self._connections:
            sender.disconnect(signature, slot)
        # They may be in the middle of a signal, where deleting them would crash: keep them for one more turn
        # of the event loop.
        keep = (self._process, self._pumpTimer, self._killTimer)
        qt.QTimer.singleShot(0, lambda: keep and None)
        self._connections = []

    def _killGroup(self) -> None:
        """Kill the processes of the worker's group, which may outlive it. One that is gone is no error."""
        if self.pid and os.name != "nt" and self.pid != os.getpgrp():
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)

    def _killPid(self) -> None:
        """Kill the worker itself, which may lead no group. Only while it runs: numbers are used again."""
        if self.pid and self.pid != os.getpid():
            with contextlib.suppress(OSError):
                # On Windows any signal means TerminateProcess, and there is no SIGKILL.
                os.kill(self.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)

    def _onStdout(self) -> None:
        self._split(True, _bytes(self._process.readAllStandardOutput()))

    def _onStderr(self) -> None:
        self._split(False, _bytes(self._process.readAllStandardError()))

    def _split(self, isStdout: bool, data: bytes) -> None:
        # A line may come in many pieces: they are joined once, at its end.
        *complete, rest = data.split(b"\n")
        unfinished = self._unfinished[isStdout]
        for piece in complete:
            self._lines.append((isStdout, b"".join(unfinished) + piece))
            unfinished.clear()
        if rest:
            unfinished.append(rest)
        if complete:
            self._pumpTimer.start(0)

    def _onError(self, error: Any) -> None:
        # A program that could not be started sends no finished(). QProcess.error() would not do: to scripts
        # that name is the signal of Qt 5.
        if error == qt.QProcess.FailedToStart:
            self.startError = str(self._process.errorString())
            self._onFinished()

    def _onFinished(self, *_arguments: Any) -> None:
        if self.ended:
            return
        if not self.startError:
            self._onStdout()
            self._onStderr()
        for isStdout, unfinished in self._unfinished.items():
            if unfinished:
                self._lines.append((isStdout, b"".join(unfinished)))
                unfinished.clear()
        self.exitCode = int(self._process.exitCode())
        self.crashed = self._process.exitStatus() == qt.QProcess.CrashExit
        self.ended = True
        self._killTimer.stop()
        self._pumpTimer.start(0)

    def _pump(self) -> None:
        deadline = time.monotonic() + SLICE_SECONDS
        while self._lines and self._callbacks:
            self._handle(*self._lines.popleft())
            if time.monotonic() > deadline:
                break
        if not self._callbacks:
            return
        if self._lines:
            self._pumpTimer.start(0)
        elif self.ended:
            # Also after a death of its own accord the worker's children may still run.
            self._killGroup()
            removeFolder(self.folder, patience=0)
            onEnded = self._callbacks[2]
            self.release()
            onEnded(self)

    def _handle(self, isStdout: bool, line: bytes) -> None:
        onMessage, onLog, _onEnded = self._callbacks
        text = line.decode("utf-8", errors="replace").rstrip("\r")
        message = _message(text) if isStdout else None
        if message is None:
            if text:
                onLog(text)
            return
        if message["t"] == "hello" and self.pid is None:
            pid = message.get("pid")
            if isinstance(pid, int) and pid > 1:
                self.pid = pid
            if self.killed and not self.ended:
                self._killGroup()
                self._killPid()
        onMessage(message)


def workerEnvironment(libraryFolder: Path) -> Any:
    """Return the QProcessEnvironment of the worker.

    It is the application's own with additions. slicer.util.executePythonModule runs pip the same way: the
    environment from before Slicer's start (slicer.util.startupEnvironment) is for programs that are not
    Slicer's; PythonSlicer needs the folders of Slicer's libraries and of installed extensions.
    """
    environment = qt.QProcessEnvironment.systemEnvironment()
    environment.insert("PYTHONUTF8", "1")
    environment.insert("PYTHONUNBUFFERED", "1")
    # Nothing is written into the folder of the installed extension, which may be read-only or shared.
    environment.insert("PYTHONDONTWRITEBYTECODE", "1")
    earlier = str(environment.value("PYTHONPATH", "") or "")
    environment.insert("PYTHONPATH", os.pathsep.join(part for part in (str(libraryFolder), earlier) if part))
    return environment


def _message(text: str) -> dict | None:
    """Return the JSON object of a protocol line, or None for any other line."""
    if not text.startswith("{"):
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and isinstance(message.get("t"), str) else None


def _bytes(array: Any) -> bytes:
    """Return the bytes of a QByteArray. PythonQt gives a str for an empty one."""
    data = array.data()
    return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else bytes(data)


def _asText(value: Any) -> str:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} cannot be sent to the worker")


def _ignore(*_arguments: Any) -> None:
    pass
