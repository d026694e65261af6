"""The NRRD files that cross to the worker and back, read and written in pieces."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene.Steps import CHUNK_BYTES

_NAMES = {
    "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16", "int32": "int32",
    "uint32": "uint32", "int64": "int64", "uint64": "uint64", "float32": "float", "float64": "double",
}  # fmt: skip
_DTYPES = {
    **{name: dtype for dtype, name in _NAMES.items()},
    "signed char": "int8", "unsigned char": "uint8", "uchar": "uint8", "int8_t": "int8", "uint8_t": "uint8",
    "short": "int16", "signed short": "int16", "unsigned short": "uint16", "ushort": "uint16", "int": "int32",
    "int16_t": "int16", "uint16_t": "uint16", "int32_t": "int32", "uint32_t": "uint32", "signed int": "int32",
    "unsigned int": "uint32", "uint": "uint32", "long long": "int64", "longlong": "int64", "int64_t": "int64",
    "unsigned long long": "uint64", "ulonglong": "uint64", "uint64_t": "uint64",
}  # fmt: skip
# LPS from RAS and back.
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def isSupported(dtype) -> bool:
    """Whether voxels of this type can be written."""
    return np.dtype(dtype).name in _NAMES


def header(size, dtype, ijkToRas: np.ndarray, channels: int = 1) -> bytes:
    """Header of an uncompressed NRRD, LPS; ``size`` is (i, j, k), ``ijkToRas`` is [4, 4] in mm."""
    colour = channels > 1  # values of a voxel lie together, as in VTK
    matrix = _FLIP @ ijkToRas

    def vector(column: int) -> str:
        return "(" + ",".join(repr(float(value)) for value in matrix[:3, column]) + ")"

    lines = [
        "NRRD0004",
        f"type: {_NAMES[np.dtype(dtype).name]}",
        f"dimension: {3 + colour}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(int(value)) for value in ([channels] * colour + list(size))),
        "space directions: " + "none " * colour + " ".join(vector(axis) for axis in range(3)),
        "kinds: " + "vector " * colour + "domain domain domain",
        f"endian: {sys.byteorder}",
        "encoding: raw",
        f"space origin: {vector(3)}",
    ]
    return ("\n".join(lines) + "\n\n").encode("ascii")


def write(path: Path, array: np.ndarray, ijkToRas: np.ndarray) -> None:
    """Write a small array [k, j, i] at once."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as stream:
        stream.write(header(array.shape[::-1], array.dtype, ijkToRas))
        stream.write(np.ascontiguousarray(array).tobytes())
    temporary.replace(path)


class NrrdReader:
    """A NRRD file of three dimensions, raw or gzip, data in the same file.

    Attributes:
        size: voxels along i, j, k.
        dtype: of the voxels.
        ijkToRas: [4, 4], mm.

    Raises:
        UserError: "bad-file".
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        fields, self._start = self._fields()
        try:
            self.size = tuple(int(word) for word in fields["sizes"].split())
            self.dtype = np.dtype(_DTYPES[fields["type"].lower()])
            self._swap = self.dtype.itemsize > 1 and fields["endian"].lower() != sys.byteorder
            self._encoding = fields["encoding"].lower()
            vectors = [
                [float(word) for word in group.split(",")]
                for name in ("space directions", "space origin")
                for group in re.findall(r"\(([^)]*)\)", fields[name])
            ]
            matrix = np.eye(4)
            matrix[:3, :] = np.array(vectors, dtype=float).reshape(4, 3).T
            space = fields["space"].lower().replace("lps", "left-posterior-superior")
            space = space.replace("ras", "right-anterior-superior")
            flip = {"left-posterior-superior": _FLIP, "right-anterior-superior": np.eye(4)}[space]
            if len(self.size) != 3 or self._encoding not in ("raw", "gzip", "gz") or "data file" in fields:
                raise ValueError(fields)
        except (KeyError, ValueError) as error:
            raise self._bad() from error
        self.ijkToRas = flip @ matrix

    def readInto(self, array: np.ndarray) -> Iterator[int]:
        """Fill an array [k, j, i] of this file's size and type; yields the bytes read so far."""
        view = memoryview(array.reshape(-1)).cast("B")
        done = 0
        try:
            for piece in self._pieces():
                if done + len(piece) > len(view):
                    raise self._bad()
                view[done : done + len(piece)] = piece
                done += len(piece)
                yield done
        except (OSError, zlib.error) as error:
            raise self._bad() from error
        if done != len(view):
            raise self._bad()
        if self._swap:
            array.byteswap(inplace=True)

    def _pieces(self) -> Iterator[bytes]:
        inflate = zlib.decompressobj(31) if self._encoding != "raw" else None
        with self.path.open("rb") as stream:
            stream.seek(self._start)
            while piece := stream.read(CHUNK_BYTES // (1 if inflate is None else 8)):
                if inflate is None:
                    yield piece
                    continue
                while piece:
                    yield inflate.decompress(piece, CHUNK_BYTES)
                    piece = inflate.unconsumed_tail
            if inflate is not None:
                yield inflate.flush()

    def _fields(self) -> tuple[dict[str, str], int]:
        fields = {"endian": sys.byteorder}
        try:
            with self.path.open("rb") as stream:
                if not stream.readline(64).startswith(b"NRRD"):
                    raise self._bad()
                while True:
                    line = stream.readline(65536)
                    if not line:
                        raise self._bad()
                    if not line.strip():
                        return fields, stream.tell()
                    name, colon, value = line.decode("utf-8", "replace").partition(":")
                    if colon and not line.startswith(b"#") and not value.startswith("="):
                        fields[name.strip().lower()] = value.strip()
        except OSError as error:
            raise self._bad() from error

    def _bad(self) -> UserError:
        return UserError(
            "bad-file",
            _("{path} is not a NRRD file that can be read.").format(path=self.path),
            _("Run again; if it comes back, look whether the disk is full."),
        )
