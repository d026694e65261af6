"""Memory that large arrays have used, kept for the next ones while a computation lasts.

glibc asks the system anew for each large block and hands it back at once, and the system clears every page of
4 KB at its first touch: a third of a network's forward pass on two cores went there.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

# Parameters of mallopt(3), and glibc's own values of them.
TRIM_THRESHOLD, MMAP_MAX = -1, -4
RELEASED_TRIM, RELEASED_MMAP = 128 * 1024, 65536
NEVER = 2**31 - 1
# Asked for in large pages ahead of time; none of it is taken before it is used.
AHEAD = 2**31
PAGE = 2**21


@contextmanager
def kept() -> Iterator[None]:
    """Freed memory stays with the process until the end of this, then all that is unused goes back.

    Does nothing where the C library is not glibc. It counts for the whole process: nested, or in several
    threads at once, it lasts until the last one ends.
    """
    library = _glibc()
    if library is None:
        yield
        return
    _users.enter(library)
    try:
        yield
    finally:
        _users.leave(library)


class _Users:
    """How many computations keep memory at the moment."""

    def __init__(self) -> None:
        self._lock, self._count = Lock(), 0

    def enter(self, library: ctypes.CDLL) -> None:
        with self._lock:
            self._count += 1
            if self._count == 1:
                library.mallopt(TRIM_THRESHOLD, NEVER)
                library.mallopt(MMAP_MAX, 0)
                _ask_for_large_pages(library)

    def leave(self, library: ctypes.CDLL) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                library.mallopt(TRIM_THRESHOLD, RELEASED_TRIM)
                library.mallopt(MMAP_MAX, RELEASED_MMAP)
                library.malloc_trim(0)


_users = _Users()


def _ask_for_large_pages(library: ctypes.CDLL) -> None:
    """For the top of the heap, which the next arrays are cut from; a system that has none ignores it."""
    address = library.malloc(AHEAD)
    if address:
        start = -(-address // PAGE) * PAGE
        library.madvise(start, address + AHEAD - start, mmap.MADV_HUGEPAGE)
        library.free(address)


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    if not (hasattr(library, "gnu_get_libc_version") and hasattr(mmap, "MADV_HUGEPAGE")):
        return None
    library.malloc.argtypes, library.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    library.free.argtypes, library.free.restype = [ctypes.c_void_p], None
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    return library
