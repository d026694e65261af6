"""The checksum of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from SegToolkitLib.errors import SegToolkitError

BLOCK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content in hexadecimal digits, whatever its size.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return digest_of(file)


def told_sha256(path: Path) -> str:
    """The same for files that a person named.

    Raises:
        SegToolkitError: "unreadable".
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise SegToolkitError(
            "unreadable", f"{path} could not be read: {error.strerror or error}.", "Check the path."
        ) from error


def digest_of(stream: BinaryIO) -> str:
    """SHA-256 of what is left of a stream, in hexadecimal digits."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
