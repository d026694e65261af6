"""Who works on a run folder: a lock that ends with its process, and a heartbeat for other machines.

The operating system lets go of the lock when the process ends, however it ends, so a crash, a kill or a
power loss leaves nothing behind that says otherwise. Needs no torch.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from SegToolkitLib.atomic import write_json
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.processes import birth

LOCK_FILE = "alive.lock"
PROCESS_FILE = "process.json"
HEARTBEAT_SECONDS = 10.0
# An owner on another machine is gone when it was silent for so long.
SILENT_SECONDS = 60.0
# Somebody who looks whether the lock is held holds it for a moment himself.
PATIENCE_SECONDS = 2.0
HELD_ELSEWHERE = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK}


@dataclass(frozen=True)
class Owner:
    """The live process that works on a run.

    Attributes:
        pid: its id; 0 where it is not known (yet).
        host: name of its machine.
        since: when it took the folder, in seconds since 1970.
        born: ``processes.birth`` of it, for telling it from a later process with the same id.
        events: bytes of events.jsonl that were there before it.
    """

    pid: int
    host: str
    since: float
    born: str = ""
    events: int = 0

    @property
    def here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == socket.gethostname()


@contextmanager
def holding(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Work on the run in ``folder``, which nobody else may do meanwhile; made where it is missing.

    May be nested, and used in several threads of one process.

    Raises:
        SegToolkitError: "run-busy": another live process works on it; "write-failed".
    """
    path = Path(folder).resolve()
    with _guard:
        hold = _held.get(path)
        if hold is None:
            hold = _held[path] = _Hold(path)
        hold.count += 1
    try:
        yield
    finally:
        with _guard:
            hold.count -= 1
            if hold.count == 0 and _held.get(path) is hold:
                del _held[path]
                hold.release()


def owner(folder: str | os.PathLike[str]) -> Owner | None:
    """The live process that works on the run in ``folder``, or None; changes nothing there."""
    path = Path(folder)
    for _attempt in range(5):
        found = last_owner(path)
        locked = _is_locked(path / LOCK_FILE)
        if locked is False and (found is None or found.here):
            return None
        if found is not None and not found.here:
            if locked or _heard_of(path):
                return found
            return None
        if found is not None and birth(found.pid) == found.born:
            return found
        if not locked:
            return None
        # The lock is held, but not (yet) by the process that the file names: it is about to be written.
        time.sleep(0.01)
    return Owner(0, socket.gethostname(), _modified(path / LOCK_FILE) or 0.0)


class _Hold:
    """The lock of one folder, held by this process."""

    def __init__(self, folder: Path) -> None:
        self.count = 0
        self._folder = folder
        self._made = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.descriptor = _lock(folder)
        except OSError as error:
            raise SegToolkitError(
                "write-failed",
                f"The run folder {folder} cannot be used: {error.strerror or error}.",
                "Choose a folder where you may write.",
            ) from error
        self._ended = threading.Event()
        try:
            self._refuse_owner_without_lock()
            pid = os.getpid()
            write_json(
                folder / PROCESS_FILE,
                {
                    "pid": pid,
                    "host": socket.gethostname(),
                    "born": birth(pid) or "",
                    "started": round(time.time(), 3),
                    # Events from here on are this process's; no clock is asked.
                    "events": _size(folder / "events.jsonl"),
                },
            )
        except BaseException:
            _unlock(self.descriptor)
            raise
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _refuse_owner_without_lock(self) -> None:
        """Where machines do not share locks, or the file system has none, the heartbeat speaks."""
        found = last_owner(self._folder)
        if found is None:
            return
        if not found.here:
            if _heard_of(self._folder):
                raise _busy(self._folder, found)
        elif self.descriptor is None and found.pid != os.getpid() and birth(found.pid) == found.born:
            raise _busy(self._folder, found)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with suppress(OSError):
                os.utime(self._folder / PROCESS_FILE)

    def release(self) -> None:
        self._ended.set()
        with suppress(OSError):
            (self._folder / PROCESS_FILE).unlink(missing_ok=True)
        if self._made:
            self._remove_what_came_to_nothing()
        _unlock(self.descriptor)

    def _remove_what_came_to_nothing(self) -> None:
        """A run that was refused before it wrote anything leaves no folder."""
        with suppress(OSError):
            if [entry.name for entry in self._folder.iterdir()] == [LOCK_FILE]:
                (self._folder / LOCK_FILE).unlink()
                self._folder.rmdir()


_guard = threading.Lock()
_held: dict[Path, _Hold] = {}


def _forget_in_child() -> None:
    """A forked child must not keep its parent's lock alive: it is the parent's, and ends with it."""
    global _guard
    _guard = threading.Lock()
    for hold in _held.values():
        if hold.descriptor is not None:
            with suppress(OSError):
                os.close(hold.descriptor)  # not unlocked: that would free the parent's too
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def _lock(folder: Path) -> int | None:
    """Take the lock and return its descriptor; None where the file system has no locks.

    filelock is not used here: in its older versions a forked child of a killed process keeps the lock,
    and looking whether one is held would make the file.
    """
    path = folder / LOCK_FILE
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock_descriptor(descriptor, shared=False)
            if _is_still_there(descriptor, path):
                return descriptor
            os.close(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in HELD_ELSEWHERE:
                return None
            if time.monotonic() > deadline:
                raise _busy(folder, last_owner(folder)) from error
            time.sleep(0.02)


def _unlock(descriptor: int | None) -> None:
    if descriptor is not None:
        with suppress(OSError):
            os.close(descriptor)


def _is_still_there(descriptor: int, path: Path) -> bool:
    """Whether the locked file is the one of that name, and not one that was removed meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _lock_descriptor(descriptor: int, shared: bool) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def _is_locked(path: Path) -> bool | None:
    """Whether a process holds the lock; None where that cannot be found out."""
    try:
        descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        # Shared: two who look at the same time do not take each other for the owner.
        _lock_descriptor(descriptor, shared=True)
    except OSError as error:
        return True if error.errno in HELD_ELSEWHERE else None
    finally:
        os.close(descriptor)
    return False


def last_owner(folder: Path) -> Owner | None:
    """Who worked on the run and did not leave it in order, or works on it now; None otherwise."""
    try:
        values = json.loads((folder / PROCESS_FILE).read_text(encoding="utf-8"))
        return Owner(
            int(values["pid"]),
            str(values["host"]),
            float(values["started"]),
            str(values.get("born", "")),
            int(values.get("events", 0)),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _heard_of(folder: Path) -> bool:
    """Whether the owner's heartbeat is fresh; a clock that differs in either direction counts as old."""
    modified = _modified(folder / PROCESS_FILE)
    return modified is not None and abs(time.time() - modified) <= SILENT_SECONDS


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _busy(folder: Path, found: Owner | None) -> SegToolkitError:
    who = f"process {found.pid} on {found.host}" if found is not None and found.pid else "another process"
    return SegToolkitError(
        "run-busy",
        f"The run {folder} is being worked on by {who}.",
        "Wait until it has ended, stop it, or choose another folder.",
    )
