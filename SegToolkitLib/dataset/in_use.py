"""Which entries of a cache are in use, by this process and by others."""

from __future__ import annotations

import os
import uuid
import weakref
from contextlib import suppress
from pathlib import Path

from filelock import FileLock


class InUse:
    """The entries that one cache has given out, noted in a file for the others that share its folder.

    It holds a lock for as long as it lives: a note whose lock is free was left by a dead process.

    Args:
        folder: of the notes of all.
        locks: folder of the locks.
    """

    def __init__(self, folder: Path, locks: Path) -> None:
        self._folder, self._locks = folder, locks
        self._keys: set[str] = set()
        self._name = ""

    def add(self, key: str) -> None:
        """Note an entry; a folder that cannot be written costs the others' knowledge of it alone."""
        if key in self._keys:
            return
        self._keys.add(key)
        with suppress(OSError):
            if not self._name:
                self._join()
            with (self._folder / self._name).open("a", encoding="ascii") as stream:
                stream.write(key + "\n")

    def keys(self) -> set[str]:
        """The entries that anybody uses; notes of the dead are taken away."""
        found = set(self._keys)
        for note in list(self._folder.iterdir()) if self._folder.is_dir() else ():
            if note.name == self._name:
                continue
            lock = self._lock(note.name)
            try:
                with FileLock(lock, timeout=0):
                    note.unlink(missing_ok=True)
                lock.unlink(missing_ok=True)
            except OSError:  # held (a Timeout is one), or somebody else's
                with suppress(OSError):
                    found |= set(note.read_text(encoding="ascii").split())
        return found

    def _join(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._locks.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        # Any thread may be the one that lets go of it.
        lock = FileLock(self._lock(name), timeout=0, thread_local=False)
        lock.acquire()
        self._name = name
        weakref.finalize(self, _leave, lock, self._folder / name, os.getpid())

    def _lock(self, name: str) -> Path:
        return self._locks / f"user-{name}"


def _leave(lock: FileLock, note: Path, process: int) -> None:
    if os.getpid() != process:  # a fork of the one that uses them
        return
    with suppress(OSError):
        note.unlink(missing_ok=True)
        lock.release(force=True)
        Path(lock.lock_file).unlink(missing_ok=True)
