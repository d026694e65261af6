"""DICOM series in a folder: list them, pick one, stack its slices by their place in the patient."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import SimpleITK as sitk

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.checks import check_finite
from SegToolkitLib.volume.dicom_stack import Slice, ordered, stacked
from SegToolkitLib.volume.grid import Shape, Triple
from SegToolkitLib.volume.header_errors import truncated
from SegToolkitLib.volume.loading import check_readable, quiet
from SegToolkitLib.volume.volume import Volume

UID, DESCRIPTION, MODALITY, NUMBER = "0020|000e", "0008|103e", "0008|0060", "0020|0011"
# Tag, then "UI" and a 16-bit length, or (implicit) a 32-bit length.
STATED_UID = re.compile(rb"\x20\x00\x0e\x00(?:UI..|.\x00\x00\x00)([0-9.]+)", re.DOTALL)
POSITION, ORIENTATION, INSTANCE = "0020|0032", "0020|0037", "0020|0013"


@dataclass(frozen=True)
class DicomSeries:
    """One series of images in a folder.

    Args:
        uid: its Series Instance UID.
        description: what the scanner calls it.
        modality: "CT", "MR", ...
        number: the series number (0 if there is none).
        files: how many files with images it has.
        shape: [k, j, i] of the volume they make.
        spacing: mm along i, j, k.
        slices: the headers of its files, in order.
        damaged: files that say they belong to it but cannot be read.
    """

    uid: str
    description: str
    modality: str
    number: int
    files: int
    shape: Shape
    spacing: Triple
    slices: tuple[Slice, ...] = field(repr=False, compare=False, default=())
    damaged: tuple[Path, ...] = ()

    def __str__(self) -> str:
        size = " x ".join(str(n) for n in self.shape[::-1])
        return f"{self.number} {self.modality} “{self.description}”, {size} voxels, uid {self.uid}"


def list_dicom_series(folder: str | os.PathLike[str]) -> list[DicomSeries]:
    """The image series in a folder and below it, by series number; other files are ignored.

    Raises:
        SegToolkitError: "missing-file", "unreadable-permission", "not-a-folder".
    """
    root = Path(folder)
    check_readable(root)
    if not root.is_dir():
        raise SegToolkitError(
            "not-a-folder", f"{root} is not a folder.", "Give the folder of the DICOM files."
        )
    groups: dict[str, list[tuple[Slice, dict[str, str]]]] = defaultdict(list)
    unreadable: dict[str, list[Path]] = defaultdict(list)
    with quiet():
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            if not _may_be_dicom(path):
                continue
            if found := _slice(path):
                groups[found[1][UID]].append(found)
            else:
                # Reports and structure sets have no image; but a slice among images is missing one.
                unreadable[_stated_uid(path)].append(path)
    series = [_series(uid, members, tuple(unreadable[uid])) for uid, members in groups.items()]
    return sorted(series, key=lambda s: (s.number, s.description, s.uid))


def read_dicom_series(folder: str | os.PathLike[str], uid: str | None = None) -> Volume:
    """One series of a folder as a volume [k, j, i]; rescaled to Hounsfield units where the files say how.

    Slices are ordered by their position along the normal of the image plane, towards growing position.

    Args:
        folder: searched with everything below it.
        uid: Series Instance UID; may be left out if the folder has just one series.

    Raises:
        SegToolkitError: what :func:`pick_dicom_series` raises; "dicom-mixed", "dicom-repeated", "dicom-gaps".
    """
    picked = pick_dicom_series(folder, uid)
    return check_finite(stacked(picked.slices, f"{folder} (series {picked.description or picked.uid})"))


def pick_dicom_series(folder: str | os.PathLike[str], uid: str | None = None) -> DicomSeries:
    """The series of that uid in a folder, or the only one there.

    Raises:
        SegToolkitError: "no-dicom", "dicom-several-series" or "dicom-unknown-series" (both list what is
            there), "truncated-file", and what :func:`list_dicom_series` raises.
    """
    series = list_dicom_series(folder)
    if not series:
        raise SegToolkitError(
            "no-dicom",
            f"{folder} has no DICOM images.",
            "Give a folder of DICOM files, or an image file (NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF).",
        )
    listing = "; ".join(str(s) for s in series)
    if uid is None and len(series) > 1:
        raise SegToolkitError(
            "dicom-several-series",
            f"{folder} has {len(series)} DICOM series: {listing}.",
            "Pick one by its uid.",
        )
    chosen = [s for s in series if uid in (None, s.uid)]
    if not chosen:
        raise SegToolkitError(
            "dicom-unknown-series", f"{folder} has no DICOM series {uid}.", f"It has: {listing}."
        )
    picked = chosen[0]
    if picked.damaged:
        count = len(picked.damaged)
        detail = f"{count} of {picked.files + count} files of its series cannot be read"
        raise truncated(picked.damaged[0], detail)
    return picked


def _may_be_dicom(path: Path) -> bool:
    """The mark, or the start of a data set without one (old scanners: group 2 or 8, little-endian)."""
    try:
        if path.name.upper() == "DICOMDIR":
            return False
        with path.open("rb") as handle:
            head = handle.read(132)
    except OSError:
        return False
    return head[128:] == b"DICM" or (
        len(head) == 132 and head[:2] in (b"\x08\x00", b"\x02\x00") and head[3] == 0
    )


def _slice(path: Path) -> tuple[Slice, dict[str, str]] | None:
    """The header of a file; None for DICOM without image (reports, structure sets)."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    tags = {
        key: _tag(reader, key)
        for key in (UID, DESCRIPTION, MODALITY, NUMBER, POSITION, ORIENTATION, INSTANCE)
    }
    size = (*reader.GetSize(), 1)[:3]
    placed = bool(tags[POSITION] and tags[ORIENTATION])
    item = Slice(
        path=path,
        size=cast(Shape, size),
        spacing=cast(Triple, (*reader.GetSpacing(), 1.0)[:3]),
        position=cast(Triple, (*reader.GetOrigin(), 0.0)[:3]) if placed else None,
        direction=tuple(reader.GetDirection())
        if len(reader.GetDirection()) == 9
        else (1.0, 0, 0, 0, 1, 0, 0, 0, 1),
        instance=_number(tags[INSTANCE]),
    )
    return item, tags


def _series(uid: str, members: list[tuple[Slice, dict[str, str]]], damaged: tuple[Path, ...]) -> DicomSeries:
    slices, tags = ordered([m[0] for m in members]), members[0][1]
    first = slices[0]
    depth = sum(s.size[2] for s in slices)
    gaps = np.diff([s.along for s in slices]) if len(slices) > 1 and first.position else np.array([])
    step = float(np.median(gaps)) if gaps.size and np.median(gaps) > 0 else first.spacing[2]
    return DicomSeries(
        uid=uid,
        description=tags[DESCRIPTION],
        modality=tags[MODALITY],
        number=_number(tags[NUMBER]),
        files=len(slices),
        shape=(depth, first.size[1], first.size[0]),
        spacing=(first.spacing[0], first.spacing[1], step),
        slices=tuple(slices),
        damaged=damaged,
    )


def _stated_uid(path: Path) -> str:
    """The series that a file without readable image says it belongs to (its tag 0020,000e), or ""."""
    with path.open("rb") as handle:
        match = STATED_UID.search(handle.read(1 << 16))
    return match[1].decode() if match else ""


def _tag(reader: sitk.ImageFileReader, key: str) -> str:
    return str(reader.GetMetaData(key)).strip().strip("\0") if reader.HasMetaDataKey(key) else ""


def _number(text: Any) -> int:
    try:
        return int(float(text))
    except ValueError:
        return 0
