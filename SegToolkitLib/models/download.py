"""Files from the web: complete and verified, or not there."""

from __future__ import annotations

import hashlib
import http.client
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

from SegToolkitLib.atomic import replacing
from SegToolkitLib.dataset.checksum import sha256_of
from SegToolkitLib.errors import SegToolkitError

CHUNK = 1 << 20
TIMEOUT_S = 30

# (bytes received, bytes in all or 0 if unknown)
Progress = Callable[[int, int], None]


def download(
    url: str,
    folder: str | os.PathLike[str],
    sha256_prefix: str,
    by_hand: str,
    progress: Progress | None = None,
) -> Path:
    """Fetch a file, unless the folder holds it already.

    Args:
        url: its last part becomes the file's name.
        folder: made if missing.
        sha256_prefix: hexadecimal digits that the file's SHA-256 begins with.
        by_hand: what to do instead, as the hint of errors.
        progress: called after every MiB.

    Returns:
        Path of the verified file.

    Raises:
        SegToolkitError: "download-failed" (offline, or not found), "bad-checksum"; nothing is left behind
            then; "write-failed".
    """
    target = Path(folder) / url.rsplit("/", 1)[-1]
    if target.is_file() and sha256_of(target).startswith(sha256_prefix):
        return target
    digest = hashlib.sha256()
    with replacing(target) as temporary:
        with temporary.open("wb") as file:
            for chunk, total in _received(url, by_hand):
                digest.update(chunk)
                file.write(chunk)
                if progress is not None:
                    progress(file.tell(), total)
        if not digest.hexdigest().startswith(sha256_prefix):
            raise SegToolkitError(
                "bad-checksum",
                f"What {url} sent is not the expected file: its SHA-256 begins with {digest.hexdigest()[:8]}"
                f" instead of {sha256_prefix}.",
                by_hand,
            )
    return target


def _received(url: str, by_hand: str) -> Iterator[tuple[bytes, int]]:
    """Pieces of the content, each with the bytes in all (0 if unknown).

    Failures of the network become sentences here, so that they are not taken for failures of the disk.
    """
    try:
        with urlopen(url, timeout=TIMEOUT_S) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(CHUNK):
                yield chunk, total
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SegToolkitError(
            "download-failed", f"{url} could not be downloaded ({error or type(error).__name__}).", by_hand
        ) from error
