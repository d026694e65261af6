"""Zip archives from other people: every name and size is checked before anything is written."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from SegToolkitLib.errors import SegToolkitError

MOST_ENTRIES = 2000
# Voxels of MR and CT deflate to a half or a third; hundreds of times smaller is a trap.
LARGEST_RATIO = 200
RATIO_COUNTS_FROM = 1 << 20
CHUNK = 1 << 20
# Names that Windows takes for devices, whatever follows the dot.
DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}


@contextmanager
def opened(path: Path, limit_bytes: int) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose entries all have harmless names and promise a bearable size.

    Args:
        path: of the archive.
        limit_bytes: of all entries together, unpacked.

    Raises:
        SegToolkitError: "missing-file", "bad-archive" (damaged, or no zip), "unsafe-archive" (a path out
            of the folder, a link, a device, an entry twice, encryption), "archive-too-large".
    """
    if not path.is_file():
        raise SegToolkitError("missing-file", f"{path} does not exist.", "Check the path.")
    try:
        with zipfile.ZipFile(path) as archive:
            _check(path, archive.infolist(), limit_bytes)
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise SegToolkitError(
            "bad-archive", f"{path} cannot be read as a zip archive ({error}).", "Copy or download it again."
        ) from error


def _check(path: Path, entries: list[zipfile.ZipInfo], limit_bytes: int) -> None:
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_ENTRIES or total > limit_bytes:
        raise SegToolkitError(
            "archive-too-large",
            f"{path} holds {len(entries)} entries of {total / 1e6:.0f} MB; at most {MOST_ENTRIES} entries and"
            f" {limit_bytes / 1e6:.0f} MB are taken.",
            "Pack fewer volumes into one archive.",
        )
    seen: set[str] = set()
    for entry in entries:
        fault = _fault(entry, seen)
        if fault:
            raise SegToolkitError(
                "unsafe-archive",
                f"{path} was not unpacked: its entry {entry.filename!r} {fault}.",
                "Ask its sender for another archive.",
            )
        seen.add(entry.filename.casefold())


def _fault(entry: zipfile.ZipInfo, seen: set[str]) -> str:
    """What is wrong with an entry; "" for nothing."""
    name = entry.filename
    parts = PurePosixPath(name).parts
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if not parts or name.startswith("/") or "\\" in name or ":" in name or ".." in parts:
        return "leads out of the folder"
    if any(ord(letter) < 32 for letter in name) or any(part.endswith((" ", ".")) for part in parts):
        return "has a name that not every system knows"
    if any(part.split(".")[0].casefold() in DEVICES for part in parts):
        return "is the name of a device"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if name.casefold() in seen:
        return "is there twice"
    if entry.file_size > max(RATIO_COUNTS_FROM, LARGEST_RATIO * entry.compress_size):
        return "would grow without measure"
    return ""


def read_entry(archive: zipfile.ZipFile, name: str, limit_bytes: int) -> bytes:
    """The content of a small entry.

    Raises:
        SegToolkitError: "bad-archive": it is not there; "archive-too-large".
    """
    try:
        entry = archive.getinfo(name)
    except KeyError as error:
        raise SegToolkitError(
            "bad-archive", f"{archive.filename} holds no {name}.", "Choose an archive of the right kind."
        ) from error
    if entry.file_size > limit_bytes:
        raise SegToolkitError(
            "archive-too-large",
            f"{name} in {archive.filename} has {entry.file_size} bytes.",
            f"At most {limit_bytes} are taken.",
        )
    return archive.read(entry)


def extract(
    archive: zipfile.ZipFile, name: str, target: Path, copied: Callable[[int], None] | None = None
) -> None:
    """Write one entry to ``target``, which is a path that we choose, not the archive.

    Args:
        archive: from :func:`opened`.
        name: of the entry.
        target: file to write.
        copied: called with the number of bytes of each piece.

    Raises:
        SegToolkitError: "bad-archive": it is not there; "write-failed".
    """
    try:
        entry = archive.getinfo(name)
    except KeyError as error:
        raise SegToolkitError(
            "bad-archive", f"{archive.filename} holds no {name}.", "Copy or download it again."
        ) from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(target.parent).free < entry.file_size:
            raise OSError(28, os.strerror(28))
        with archive.open(entry) as source, target.open("xb") as out:
            while piece := source.read(CHUNK):
                out.write(piece)
                if copied:
                    copied(len(piece))
    except OSError as error:
        raise SegToolkitError(
            "write-failed",
            f"{target} could not be written: {error.strerror or error}.",
            "Check that you may write there and that the disk is not full.",
        ) from error
