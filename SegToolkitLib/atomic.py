"""Files that are either there as a whole or not at all: write beside, fsync, rename."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from SegToolkitLib.errors import SegToolkitError


@contextmanager
def replacing(path: str | os.PathLike[str], suffix: str | None = None) -> Iterator[Path]:
    """Give a temporary path beside ``path``; what is written there replaces ``path`` at the end.

    The temporary name keeps every suffix of the target (``.nii.gz``), because writers choose their
    format by it; or it ends in ``suffix`` alone, for writers that the rest of a name leads astray. If the
    block raises, the temporary file is removed and ``path`` stays as it was.

    Raises:
        SegToolkitError: the folder cannot be made or written, or the disk is full.
    """
    target = Path(path)
    ending = f".{target.name}" if suffix is None else suffix
    temporary = target.with_name(f".{uuid.uuid4().hex[:8]}{ending}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise SegToolkitError(
            "write-failed",
            f"{target} could not be written: {error.strerror or error}.",
            "Check that the folder exists, that you may write there and that the disk is not full;"
            " an earlier file of that name is unchanged.",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power loss (POSIX only; Windows has no such call)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; NaN is refused because JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
