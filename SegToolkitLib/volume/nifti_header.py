"""NIfTI headers: is the file whole, and does it say one thing about its geometry?

SimpleITK fills what a truncated file lacks with anything, takes NaN for 0 and a spacing of 0 for 1, and picks
one of two contradicting geometries with no more than a warning.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.grid import SINGULAR_BELOW, UNIT_LENGTH_TOLERANCE
from SegToolkitLib.volume.header_errors import CORRECT_HEADER, not_an_image, not_finite, sheared, truncated

CHUNK = 1 << 20
# sform and pixdim are both 32-bit floats that should say the same spacing.
SPACING_TOLERANCE = 0.01
# NIfTI's data type codes for real floating-point numbers.
FLOAT_TYPES = {16: "f4", 64: "f8"}
# Where NIfTI-1 and NIfTI-2 keep the fields that matter: struct format and byte offset of each.
LAYOUTS = {
    348: {"dim": ("8h", 40), "bits": ("h", 72), "kind": ("h", 70), "pixdim": ("8f", 76), "offset": ("f", 108)}
    | {"code": ("h", 254), "rows": ("12f", 280)},
    540: {
        "dim": ("8q", 16),
        "bits": ("h", 14),
        "kind": ("h", 12),
        "pixdim": ("8d", 104),
        "offset": ("q", 168),
    }
    | {"code": ("i", 348), "rows": ("12d", 400)},
}


@dataclass(frozen=True)
class NiftiHeader:
    """What of a header is checked.

    Args:
        size: voxels along each dimension.
        data_bytes: bytes that the voxels take.
        offset: where in the file they begin.
        float_type: how they are stored if they are real floating-point numbers.
        spacing: of the first three axes.
        sform: [3, 4], if it is in use.
    """

    size: tuple[int, ...]
    data_bytes: int
    offset: int
    float_type: np.dtype | None
    spacing: tuple[float, ...]
    sform: np.ndarray | None


def check_nifti(path: Path) -> None:
    """Raise if the file ends too early or its header cannot be trusted.

    Raises:
        SegToolkitError: "truncated-file", "not-an-image", "bad-spacing", "singular-direction",
            "sheared-direction" or "contradictory-header".
    """
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        try:
            head = stream.read(540)
            header = _parsed(path, head)
            _check_geometry(path, header)
            if path.suffix.lower() == ".hdr":
                _check_pair(path, header.data_bytes)
                return
            found = path.stat().st_size
            missing = endless = 0
            if packed or header.float_type:
                stream.seek(header.offset)
                found = header.offset
                # Read to the end: the check sum at the end of a gzip stream finds damage as well.
                while chunk := stream.read(CHUNK):
                    wanted = chunk[: max(header.offset + header.data_bytes - found, 0)]
                    found += len(chunk)
                    if header.float_type:
                        values = np.frombuffer(
                            wanted[: len(wanted) - len(wanted) % header.float_type.itemsize],
                            header.float_type,
                        )
                        missing, endless = missing + np.isnan(values).sum(), endless + np.isinf(values).sum()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise truncated(path, f"its compressed stream cannot be read to the end ({error})") from error
    promised = header.offset + header.data_bytes
    if found < promised:
        raise truncated(path, f"it holds {found} of the {promised} bytes that its header promises")
    if missing or endless:
        raise not_finite(path, int(missing), int(endless), math.prod(header.size))


def _parsed(path: Path, head: bytes) -> NiftiHeader:
    """The header, NIfTI-1 (also Analyze) or NIfTI-2 in either byte order."""
    sizes = {order: int.from_bytes(head[:4], order) for order in ("little", "big")}
    order = next((o for o, size in sizes.items() if size in LAYOUTS), None)
    if order is None:
        raise not_an_image(path, "a NIfTI file, although its suffix says so")
    if len(head) < sizes[order]:
        raise truncated(path, f"its header has {len(head)} of {sizes[order]} bytes")
    mark = "<" if order == "little" else ">"
    layout = LAYOUTS[sizes[order]]
    field = {key: struct.unpack_from(mark + form, head, place) for key, (form, place) in layout.items()}
    count, size = field["dim"][0], field["dim"][1:]
    if not 1 <= count <= 7 or any(n < 1 for n in size[:count]):
        raise not_an_image(path, f"a usable NIfTI file: its header has the dimensions {list(field['dim'])}")
    # Analyze files keep other things where NIfTI has its sform.
    analyze = sizes[order] == 348 and head[344:347] not in (b"n+1", b"ni1")
    return NiftiHeader(
        size=size[:count],
        data_bytes=math.prod(size[:count]) * field["bits"][0] // 8,
        offset=int(field["offset"][0]),
        float_type=np.dtype(mark + FLOAT_TYPES[kind]) if (kind := field["kind"][0]) in FLOAT_TYPES else None,
        spacing=field["pixdim"][1 : min(count, 3) + 1],
        sform=None if analyze or field["code"][0] < 1 else np.array(field["rows"], float).reshape(3, 4),
    )


def _check_geometry(path: Path, header: NiftiHeader) -> None:
    spacing = [float(s) for s in header.spacing]
    # Converters leave 0 for axes that have one voxel.
    many = np.array([n > 1 for n in header.size[:3]])
    if any(used and not (math.isfinite(s) and s > 0) for s, used in zip(spacing, many, strict=True)):
        raise SegToolkitError(
            "bad-spacing",
            f"{path} has the voxel spacing {spacing} mm; positive numbers are needed.",
            CORRECT_HEADER,
        )
    if header.sform is None or len(spacing) < 3:
        return
    columns = header.sform[:, :3]
    lengths = np.linalg.norm(columns, axis=0)
    usable = bool(np.isfinite(header.sform).all() and lengths.min() > 0)
    axes = columns / lengths if usable else np.zeros((3, 3))
    if abs(float(np.linalg.det(axes))) < SINGULAR_BELOW:
        raise SegToolkitError(
            "singular-direction",
            f"{path} has a singular direction matrix (sform {columns.tolist()}): its axes do not span space.",
            CORRECT_HEADER,
        )
    if np.abs(axes.T @ axes - np.eye(3)).max() > UNIT_LENGTH_TOLERANCE:
        raise sheared(path)
    if np.abs(lengths[many] / np.array(spacing)[many] - 1).max(initial=0) > SPACING_TOLERANCE:
        raise SegToolkitError(
            "contradictory-header",
            f"{path} states two voxel spacings: {spacing} mm (pixdim) and {lengths.tolist()} mm (sform).",
            CORRECT_HEADER,
        )


def _check_pair(path: Path, promised: int) -> None:
    packed = path.with_suffix(".img.gz")
    image = path.with_suffix(".img")
    if packed.exists():
        return
    found = image.stat().st_size if image.exists() else 0
    if found < promised:
        raise truncated(path, f"its voxels in {image.name} have {found} of {promised} bytes")
