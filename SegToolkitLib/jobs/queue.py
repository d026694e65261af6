"""Whose turn it is on a device. There is no server: each waiting job looks for itself.

The order is a file for each device, changed under a lock. An entry counts while its process works on its
run (``training.alive``), so jobs that ended, however they ended, drop out by themselves.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.home import home_folder
from SegToolkitLib.jobs.devices import Device
from SegToolkitLib.jobs.shared_file import replace_json
from SegToolkitLib.jobs.waiting import waiting_of
from SegToolkitLib.training.alive import owner

LOCK_SECONDS = 30


@dataclass(frozen=True)
class Entry:
    """A job in the queue of a device; ``running`` once it had its turn."""

    folder: str
    name: str
    pid: int
    memory_mb: float | None = None
    running: bool = False

    def is_alive(self) -> bool:
        """Whether the process of this entry still works on the run."""
        found = owner(self.folder)
        return found is not None and found.pid == self.pid


class DeviceQueue:
    """The queue of one device of this machine.

    Args:
        device: its name, such as "cuda:0".
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._file = _folder() / f"{_file_name(device)}.json"
        self._lock_file = self._file.with_suffix(".lock")

    def entries(self) -> list[Entry]:
        """Jobs whose processes live, running ones first, then by their turn; takes no lock."""
        return [entry for entry in _entries(self._file) if entry.is_alive()]

    def place(self, folder: Path) -> int | None:
        """Place among the waiting ones, from 1 on; None for a job that does not wait."""
        waiting = [entry.folder for entry in self.entries() if not entry.running]
        return waiting.index(str(folder)) + 1 if str(folder) in waiting else None

    def enter(self, entry: Entry) -> None:
        """Join at the end."""
        with self._changing() as entries:
            entries[:] = [*(one for one in entries if one.folder != entry.folder), entry]

    def leave(self, folder: Path) -> None:
        """Leave, from whatever place; nothing happens to one that is not in it."""
        with self._changing() as entries:
            entries[:] = [one for one in entries if one.folder != str(folder)]

    def move(self, folder: Path, position: int) -> None:
        """Give a waiting job another place.

        Args:
            folder: of its run.
            position: 1 is the next to have its turn; a number beyond the last means the last.

        Raises:
            SegToolkitError: "not-waiting", "bad-position".
        """
        if position < 1:
            raise SegToolkitError(
                "bad-position", f"There is no place {position}.", "The first place in the queue is 1."
            )
        with self._changing() as entries:
            waiting = [one for one in entries if not one.running]
            moved = next((one for one in waiting if one.folder == str(folder)), None)
            if moved is None:
                raise not_waiting(folder)
            waiting.remove(moved)
            waiting.insert(position - 1, moved)
            entries[:] = [*(one for one in entries if one.running), *waiting]

    def ask(self, own: Entry, device: Device) -> str | None:
        """Take the turn, if it is this job's.

        Args:
            own: as it entered.
            device: with its memory.

        Returns:
            Why it has to wait, in a sentence; None where it may run and is entered as running.
        """
        with self._changing() as entries:
            if own.folder not in [one.folder for one in entries]:
                entries.append(own)  # somebody removed or damaged the file
            number = [one.folder for one in entries].index(own.folder)
            running = [one for one in entries if one.running]
            ahead = [one for one in entries[:number] if not one.running]
            reason = _reason(entries[number], running, ahead, device)
            if reason is None:
                entries[number] = replace(entries[number], running=True)
                entries.sort(key=lambda one: not one.running)
            return reason

    @contextmanager
    def _changing(self) -> Iterator[list[Entry]]:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(str(self._lock_file), timeout=LOCK_SECONDS):
                before = _entries(self._file)
                entries = [entry for entry in before if entry.is_alive()]
                yield entries
                if entries != before:
                    replace_json(self._file, {"entries": [asdict(entry) for entry in entries]})
        except (OSError, Timeout) as error:
            raise SegToolkitError(
                "queue",
                f"The queue of {self.device} in {self._file.parent} cannot be changed: {error}.",
                "Check that you may write there and that the disk is not full.",
            ) from error


def has_place(folder: Path) -> bool:
    """Whether the run's process has joined a queue of this machine and knows whether it has to wait."""
    live = owner(folder)
    if live is None:
        return False
    if waiting_of(folder, live):
        return True
    files = _folder().glob("*.json")
    entries = [entry for file in files for entry in _entries(file)]
    return any(one.running for one in entries if (one.folder, one.pid) == (str(folder), live.pid))


def _folder() -> Path:
    """Of this machine's queues: a home folder may be shared by machines, their devices are not."""
    return home_folder() / "queue" / _file_name(socket.gethostname())


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]", "-", text)


def _entries(file: Path) -> list[Entry]:
    """A damaged file counts as empty: those who wait enter themselves again."""
    try:
        return [Entry(**one) for one in json.loads(file.read_text(encoding="utf-8"))["entries"]]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _reason(own: Entry, running: list[Entry], ahead: list[Entry], device: Device) -> str | None:
    if ahead:
        others = f"; {len(ahead)} jobs are before it" if len(ahead) > 1 else f"; {ahead[0].name} is before it"
        if not running:
            return f"Waits for {ahead[0].name}, which is the next to use {device.name}."
        return f"Waits for {_using(running)} {device.name}{others}."
    if not running:
        return None
    needs = [one.memory_mb for one in (own, *running)]
    known = [need for need in needs if need is not None]
    if not device.name.startswith("cuda") or device.memory_mb is None or len(known) < len(needs):
        return f"Waits for {_using(running)} {device.name}."
    if sum(known) <= device.memory_mb:
        return None
    return (
        f"Waits for {_using(running)} {_gb(sum(known[1:]))} of the {_gb(device.memory_mb)} GB of"
        f" {device.name}; it needs {_gb(known[0])} GB."
    )


def _using(entries: list[Entry]) -> str:
    names = [entry.name for entry in entries]
    if len(names) == 1:
        return f"{names[0]}, which uses"
    return f"{', '.join(names[:-1])} and {names[-1]}, which use"


def _gb(megabytes: float) -> str:
    return f"{megabytes / 1024:.1f}"


def refuse_too_large(name: str, memory_mb: float | None, device: Device) -> None:
    """Refuse a job that would wait for ever.

    Raises:
        SegToolkitError: "too-large-for-device".
    """
    if memory_mb is None or device.memory_mb is None or memory_mb <= device.memory_mb:
        return
    raise SegToolkitError(
        "too-large-for-device",
        f"{name} needs {_gb(memory_mb)} GB of memory, and {device.name} has {_gb(device.memory_mb)} GB.",
        "Choose another device, or settings that need less: smaller batches, a smaller network.",
    )


def not_waiting(folder: Path) -> SegToolkitError:
    """What is said where only a waiting job will do."""
    return SegToolkitError(
        "not-waiting", f"{folder.name} does not wait for its turn.", "Only waiting jobs can be moved."
    )
