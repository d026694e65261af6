"""NRRD files of a support archive, looked at before a reader trusts their header."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError

HEADER_LIMIT_BYTES = 64 << 10
# Every spelling of NRRD's number types, by their size in bytes.
TYPES = {
    1: "signed char|int8|int8_t|uchar|unsigned char|uint8|uint8_t",
    2: "short|short int|signed short|signed short int|int16|int16_t|ushort|unsigned short|unsigned short int"
    "|uint16|uint16_t",
    4: "int|signed int|int32|int32_t|uint|unsigned int|uint32|uint32_t|float",
    8: "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t|ulonglong"
    "|unsigned long long|unsigned long long int|uint64|uint64_t|double",
}


def check_nrrd(path: Path, limit_bytes: int) -> int:
    """Bytes that the voxels of a NRRD file take in memory.

    Raises:
        SegToolkitError: "bad-support-set": it is no NRRD, keeps its voxels in another file (which could be
            any file of this computer), or is not three-dimensional; "archive-too-large".
    """
    with path.open("rb") as handle:
        head = handle.read(HEADER_LIMIT_BYTES).replace(b"\r\n", b"\n")
    text, blank, _ = head.partition(b"\n\n")
    lines = text.decode("latin-1").split("\n")
    if not blank or not lines[0].startswith("NRRD000"):
        raise _bad(path, "is not a NRRD file")
    # "field: value" are the format's own fields, "key:=value" are comments of programs.
    fields = {
        key.strip().casefold(): value.strip()
        for key, colon, value in (line.partition(":") for line in lines[1:] if not line.startswith("#"))
        if colon and not value.startswith("=")
    }
    if {"data file", "datafile"} & fields.keys():
        raise _bad(path, "keeps its voxels in another file")
    if fields.get("encoding", "").casefold() not in ("gzip", "gz", "raw"):
        raise _bad(path, f"has the encoding {fields.get('encoding')!r}; gzip is needed")
    try:
        sizes = [int(word) for word in fields["sizes"].split()]
        each = next(n for n, names in TYPES.items() if fields["type"].casefold() in names.split("|"))
    except (KeyError, ValueError, StopIteration) as error:
        raise _bad(path, "has a header that says neither size nor type") from error
    if len(sizes) != 3 or min(sizes) < 1:
        raise _bad(path, f"has the size {sizes}; three dimensions are needed")
    total = math.prod(sizes) * each
    if total > limit_bytes:
        raise SegToolkitError(
            "archive-too-large",
            f"{path.name} would take {total / 1e9:.1f} GB of memory, {limit_bytes / 1e9:.1f} GB are left.",
            "Pack fewer volumes into one archive.",
        )
    return total


def _bad(path: Path, what: str) -> SegToolkitError:
    return SegToolkitError(
        "bad-support-set",
        f"{path.parent.name}/{path.name} {what}.",
        "Ask the archive's sender for another one.",
    )


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder beside the target, where there is room for what the target will hold.

    Raises:
        SegToolkitError: "write-failed".
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".segtoolkit-", dir=parent))
    except OSError as error:
        raise SegToolkitError(
            "write-failed",
            f"The folder {parent} cannot be written: {error.strerror or error}.",
            "Choose another folder.",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
