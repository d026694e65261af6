"""Arrays that took long to make, kept on disk by what they were made from.

Any number of processes may read and write one cache. An entry is a folder of .npy files that appears by one
rename, so that a reader finds it whole or not at all; whoever is killed while writing leaves a folder under
"working" that the next one takes away.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from SegToolkitLib.atomic import write_text
from SegToolkitLib.dataset.checksum import digest_of as _digest
from SegToolkitLib.dataset.in_use import InUse
from SegToolkitLib.dataset.mapped import read_array
from SegToolkitLib.dataset.open_files import check_errno, check_spare
from SegToolkitLib.volume.cache import FileKey, file_key

Arrays = Mapping[str, np.ndarray]

ENTRY = "entry.json"
NAME = re.compile(r"[A-Za-z0-9_-]+")
# A file that was changed so lately may change again without another time of change.
SETTLED_AFTER_SECONDS = 2.0
_known_hashes: dict[FileKey, str] = {}


class Cache:
    """A folder of arrays by content; what was used least recently goes first when it grows too large.

    What a cache has given out stays for as long as that cache lives, in whichever process: to remove it would
    free no disk while it is mapped, and others (the workers of a training) would make it again.

    Args:
        folder: is made where it does not exist; nothing else may lie in it.
        limit_gb: size of all entries together, in 10^9 bytes; entries in use stay even if they are larger.

    Attributes:
        folder, limit_gb: as given.
    """

    def __init__(self, folder: str | os.PathLike[str], limit_gb: float = 20.0) -> None:
        self.folder, self.limit_gb = Path(folder), limit_gb
        self._entries, self._working = self.folder / "entries", self.folder / "working"
        self._locks, self._hashes = self.folder / "locks", self.folder / "hashes"
        self._in_use = InUse(self.folder / "users", self._locks)
        self._sizes: dict[str, int] = {}
        self._sweep()

    def __reduce__(self) -> tuple[type[Cache], tuple[Path, float]]:
        # Another process uses entries of its own.
        return type(self), (self.folder, self.limit_gb)

    @property
    def used_gb(self) -> float:
        """Size of the entries that this cache has given out, in 10^9 bytes."""
        return sum(self._sizes.values()) / 1e9

    def get(self, parts: Any, make: Callable[[], Arrays]) -> Arrays:
        """The arrays that belong to ``parts``: from the disk, or made now and kept.

        Of several processes that ask for the same parts one makes them while the others wait. A disk
        that is full or may not be written costs the keeping, never the arrays.

        Args:
            parts: everything that decides the result, as JSON values; a ``Path`` among them stands for
                the content of that file. Name the version of the code that makes the arrays, too.
            make: makes them, by name. A name is one of a file: letters, digits, hyphens, underscores.

        Returns:
            The arrays by name; those from the disk are read-only and, but for small ones, memory-mapped.

        Raises:
            OSError: a file among the parts cannot be read.
            SegToolkitError: "too-many-files".
            TypeError: the parts are no JSON values.
            ValueError: a name that no file can have, or an array of objects.
        """
        key = self.key(parts)
        # Before it is looked for: nobody may take it away in between.
        self._in_use.add(key)
        found = self._read(key)
        if found is not None:
            return found
        try:
            self._locks.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._locks / key)
            lock.acquire()
        except OSError as error:
            check_errno(error)
            return make()
        try:
            found = self._read(key)
            if found is not None:
                return found
            # What is there all the same is damaged (a power loss, a hand from outside).
            self._remove(self._entries / key)
            made = {name: np.asanyarray(array) for name, array in make().items()}
            kept = self._write(key, made)
        finally:
            lock.release()
        self._shrink()
        return self._read(key) or made if kept else made

    def key(self, parts: Any) -> str:
        """Name of the entry that belongs to ``parts``."""
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=self._content)
        return hashlib.sha256(text.encode()).hexdigest()

    def _content(self, part: Any) -> Any:
        if isinstance(part, Path):
            return {"sha256": self.content_hash(part)}
        if isinstance(part, (np.integer, np.floating, np.bool_)):
            return part.item()
        raise TypeError(f"{part!r} of the type {type(part).__name__} is no part of a key")

    def content_hash(self, path: Path) -> str:
        """SHA-256 of a file's content, remembered by its name, size, time of change and inode."""
        key = file_key(path)
        if key in _known_hashes:
            return _known_hashes[key]
        note = self._hashes / hashlib.sha256(repr(key).encode()).hexdigest()
        with suppress(OSError):
            text = note.read_text(encoding="ascii")
            if len(text) == 64:
                return _known_hashes.setdefault(key, text)
        with path.open("rb") as stream:
            digest = _digest(stream)
        if file_key(path) == key and time.time() - key[1] / 1e9 > SETTLED_AFTER_SECONDS:
            _known_hashes[key] = digest
            with suppress(Exception):  # only speed depends on it
                write_text(note, digest)
        return digest

    def _read(self, key: str) -> dict[str, np.ndarray] | None:
        place = self._entries / key
        try:
            facts = json.loads((place / ENTRY).read_text(encoding="utf-8"))
            found = {name: read_array(place / f"{name}.npy") for name in facts["arrays"]}
            size = int(facts["bytes"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            if isinstance(error, OSError):
                check_errno(error)
            return None
        with suppress(OSError):  # a cache that may only be read
            os.utime(place / ENTRY)
        self._sizes[key] = size
        return found

    def _write(self, key: str, arrays: Arrays) -> bool:
        working = self._working / f"{key}.{uuid.uuid4().hex[:8]}"
        try:
            working.mkdir(parents=True)
            size = 0
            for name, array in arrays.items():
                if not NAME.fullmatch(name):
                    raise ValueError(f"{name!r} cannot name an array of a cache")
                with (working / f"{name}.npy").open("wb") as stream:
                    np.save(stream, array, allow_pickle=False)
                    stream.flush()
                    os.fsync(stream.fileno())
                    size += stream.tell()
            write_text(working / ENTRY, json.dumps({"arrays": list(arrays), "bytes": size}))
            self._entries.mkdir(exist_ok=True)
            working.rename(self._entries / key)
            return True
        except Exception as error:
            if isinstance(error, ValueError):
                raise
            check_spare()
            return False
        finally:
            shutil.rmtree(working, ignore_errors=True)

    def _shrink(self) -> None:
        """Remove what is not in use, the least recently used first, until the rest fits; one process at
        a time."""
        try:
            with FileLock(self._locks / "shrinking", timeout=0):
                sizes = {place: _size(place) for place in self._entries.iterdir()}
                total = sum(size for size, _ in sizes.values())
                if total <= self.limit_gb * 1e9:
                    return
                in_use = self._in_use.keys()
                for place, (size, _) in sorted(sizes.items(), key=lambda one: one[1][1]):
                    if total <= self.limit_gb * 1e9:
                        break
                    if place.name not in in_use:
                        self._remove(place)
                        total -= size
        except (OSError, Timeout):
            return

    def _remove(self, place: Path) -> None:
        # Renamed first: nobody may find half of it. Whoever has its arrays open keeps them (on Windows the
        # rename fails and the entry stays).
        gone = self._working / f"{place.name}.{uuid.uuid4().hex[:8]}"
        with suppress(OSError):
            self._working.mkdir(parents=True, exist_ok=True)
            place.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def _sweep(self) -> None:
        """Take away what killed writers and users left: the lock of a living one cannot be taken."""
        self._in_use.keys()
        for left in list(self._working.iterdir()) if self._working.is_dir() else ():
            with suppress(OSError, Timeout), FileLock(self._locks / left.name.partition(".")[0], timeout=0):
                shutil.rmtree(left, ignore_errors=True)


def _size(place: Path) -> tuple[int, int]:
    """Bytes of an entry, and when it was used last."""
    try:
        facts = (place / ENTRY).stat()
        return sum(file.stat().st_size for file in place.iterdir()), facts.st_mtime_ns
    except OSError:
        return 0, 0
