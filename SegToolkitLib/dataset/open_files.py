"""Out of open files: no fault of the case that was read at that moment."""

from __future__ import annotations

import errno
import os

from SegToolkitLib.errors import SegToolkitError

TOO_MANY = "too-many-files"
# Of this process, and of the whole system.
EXHAUSTED = (errno.EMFILE, errno.ENFILE)
# Reading an image takes several, which are free again when its failure is heard of.
SPARE = 8


def check_errno(error: OSError) -> None:
    """Raise SegToolkitError "too-many-files" if that is what an error says."""
    if error.errno in EXHAUSTED:
        raise SegToolkitError(
            TOO_MANY,
            f"No further file can be opened ({os.strerror(error.errno)}){_limit()}.",
            "Allow more (ulimit -n 4096, for instance), or close other programs, and run it again.",
        ) from error


def check_spare() -> None:
    """Raise SegToolkitError "too-many-files" unless some more files can be opened.

    Readers of images call a file unreadable that could not be opened for that reason.
    """
    files: list[int] = []
    try:
        for _ in range(SPARE):
            files.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        check_errno(error)
    finally:
        for file in files:
            os.close(file)


def _limit() -> str:
    """How many this process may open, where the system says so."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    return f"; this process may have {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"
