"""Arrays of .npy files, mapped into memory; the files do not stay open.

A map of Python's mmap (numpy.load makes such) keeps its file open on Linux and macOS, where a process may
open 1024 files, or 256: a few hundred arrays. To raise that limit would not do: a cluster or a container may
allow no more, or 4096, which a thousand cases use up; and the whole process, such as Slicer, and all that it
starts would get it, though select() knows no file above 1024.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.dataset.open_files import check_errno

# Below this a read costs less than a map, and the memory is nothing.
SMALL_BYTES = 64 << 10
FAILED = ctypes.c_void_p(-1).value


def read_array(path: Path) -> NDArray[Any]:
    """The array of a file that ``numpy.save`` wrote, read-only: mapped, but for a small one, which is read.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such file, it is cut short, or it holds objects.
        SegToolkitError: "too-many-files".
    """
    array = None
    if path.stat().st_size >= SMALL_BYTES:
        try:
            array = _mapped(path)
        except OSError as error:
            # Some file systems map nothing, and a system has so many maps.
            check_errno(error)
    if array is None:
        array = np.load(path, allow_pickle=False)
    array.setflags(write=False)
    return array


def _mapped(path: Path) -> NDArray[Any]:
    with path.open("rb") as stream:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError(f"{path} has a header of another version")
        shape, fortran, kind = np.lib.format.read_array_header_1_0(stream)
        start, size = stream.tell(), os.fstat(stream.fileno()).st_size
        if kind.hasobject or size < start + prod(shape) * kind.itemsize:
            raise ValueError(f"{path} holds objects, or is cut short")
        pages = _pages(stream.fileno(), size)
    return np.ndarray(shape, kind, pages, start, order="F" if fortran else "C")


def _pages(file: int, size: int) -> Any:
    """The bytes of an open file, to be read, for as long as somebody uses them."""
    if os.name != "posix":
        # There the map keeps no descriptor but a handle, of which there are millions.
        return mmap.mmap(file, size, access=mmap.ACCESS_READ)
    if sys.version_info >= (3, 13):
        return mmap.mmap(file, size, access=mmap.ACCESS_READ, trackfd=False)
    return np.asarray(_Pages(file, size))


class _Pages:
    """What ``mmap.mmap(..., trackfd=False)`` is from Python 3.13 on, for numpy."""

    def __init__(self, file: int, size: int) -> None:
        library = _library()
        address = library.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file, 0)
        if address == FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        place = (address, True)
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "shape": (size,), "data": place}
        # Not at the interpreter's end, when arrays may still be looked at.
        weakref.finalize(self, library.munmap, address, size).atexit = False


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    number, pointer, size = ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t
    library.mmap.argtypes = [pointer, size, number, number, number, ctypes.c_long]
    library.mmap.restype = pointer
    library.munmap.argtypes, library.munmap.restype = [pointer, size], number
    return library
