"""Volumes that stay in memory for the next time their file is asked for."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from SegToolkitLib.volume.reading import read_volume
from SegToolkitLib.volume.volume import Volume

FileKey = tuple[str, int, int, int]


def file_key(path: Path) -> FileKey:
    """Name, time of change, size and inode of a file: another content has another key.

    A file that does not exist has a key too, so that reading it is what complains.
    """
    try:
        facts = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path.absolute()), facts.st_mtime_ns, facts.st_size, facts.st_ino


class VolumeCache:
    """The volumes that were read last.

    Args:
        limit_bytes: of voxels that are kept; the volume read last stays even if it alone is larger.
    """

    def __init__(self, limit_bytes: int = 2 << 30) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[FileKey, Volume] = OrderedDict()

    def read(self, path: Path) -> Volume:
        """The volume of a file: the same object as the last time while the file has not changed.

        Raises:
            SegToolkitError: what :func:`read_volume` raises.
        """
        key = file_key(path)
        found = self._kept.get(key)
        if found is None:
            for stale in [old for old in self._kept if old[0] == key[0]]:
                del self._kept[stale]
            found = self._kept[key] = read_volume(path)
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(v.voxels.nbytes for v in self._kept.values()) > self._limit:
            self._kept.popitem(last=False)
        return found

    def clear(self) -> None:
        """Forget all volumes."""
        self._kept.clear()
