"""Support examples as one file: a zip of volumes, outlines and what the outlines are.

``support.json`` says what is in it; ``images/N.nrrd`` and ``masks/N.nrrd`` are gzip-compressed NRRD. An
image that several items share is stored once. Nothing of a DICOM header is stored.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, Literal, cast

import numpy as np
from pydantic import Field, field_validator

from SegToolkitLib.archive import extract, opened, read_entry
from SegToolkitLib.atomic import replacing
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.support_files import check_nrrd, temporary_folder
from SegToolkitLib.palette import label_colour_fraction
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated
from SegToolkitLib.volume import Segment, Segmentation, Volume, check_label, read_volume, write_volume
from SegToolkitLib.volume.grid import Shape
from SegToolkitLib.volume.lattice import cut, sub_grid

INDEX_FILE = "support.json"
FORMAT: Final = "segtoolkit-support"
FORMAT_VERSION: Final = 1
LIMIT_BYTES = 8 << 30
INDEX_LIMIT_BYTES = 4 << 20

Number = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Stored = Annotated[str, Field(pattern=r"^(images|masks)/\d{1,4}\.nrrd$")]
Progress = Callable[[int, int], None]


class Structure(Settings):
    """What a value of a mask is.

    Attributes:
        name: what people call it.
        colour: red, green, blue in 0..1; None lets the program choose.
        terminology: Slicer's string of seven fields; "" for none.
    """

    name: str = Field(min_length=1, max_length=200)
    colour: tuple[Fraction, Fraction, Fraction] | None = None
    terminology: str = Field(default="", max_length=4000)


class SupportItem(Settings):
    """One outlined volume.

    Attributes:
        image: file of the volume.
        mask: file of a label map that covers a part of the volume's grid.
        offset: voxel (i, j, k) of the volume at which the mask begins.
        axis: 0, 1 or 2: the axis i, j or k along which slices are counted.
        plane: anatomical name of the slices' plane.
        slices: outlined slices, counted from 0 along ``axis``.
        name: what to call the example.
        structures: value in the mask -> what it is.
    """

    image: str = Field(min_length=1)
    mask: str = Field(min_length=1)
    offset: tuple[Number, Number, Number]
    axis: Literal[0, 1, 2]
    plane: Literal["axial", "coronal", "sagittal"] | None = None
    slices: list[Number] = Field(min_length=1)
    name: str = Field(default="", max_length=200)
    structures: dict[Annotated[int, Field(ge=1, le=255)], Structure] = Field(min_length=1)

    @field_validator("slices")
    @classmethod
    def _each_once(cls, slices: list[int]) -> list[int]:
        return sorted(set(slices))


class StoredItem(SupportItem):
    """An item whose files are entries of the archive."""

    image: Stored
    mask: Stored


class Index(Settings):
    """What ``support.json`` says."""

    format: Literal["segtoolkit-support"] = FORMAT
    version: Literal[1] = FORMAT_VERSION
    items: list[StoredItem] = Field(min_length=1, max_length=500)


def placed_mask(volume: Volume, mask: Volume, item: SupportItem) -> Volume:
    """The mask on the volume's whole grid, uint8.

    Raises:
        SegToolkitError: "mask-outside": it does not fit in at its offset; "mask-place": its own header
            says that it belongs elsewhere; "slice-outside".
    """
    size, whole = mask.grid.size, volume.grid.size
    if any(o + n > w for o, n, w in zip(item.offset, size, whole, strict=True)):
        raise SegToolkitError(
            "mask-outside",
            f"The mask {mask.name} of {_times(size)} voxels does not fit into {volume.name or 'its image'}"
            f" ({_times(whole)}) at the voxel {item.offset}.",
            "Export the mask again from the image that it was drawn on.",
        )
    if max(item.slices) >= whole[item.axis]:
        raise SegToolkitError(
            "slice-outside",
            f"Slice {max(item.slices)} does not exist: {volume.name or 'the image'} has slices 0 to"
            f" {whole[item.axis] - 1} along the axis {'ijk'[item.axis]}.",
            "Count slices from 0 along the slice axis.",
        )
    try:
        on_grid = check_label(mask, sub_grid(volume.grid, cast(Shape, tuple(item.offset)), size))
    except SegToolkitError as error:
        if error.code != "label-grid":
            raise
        raise SegToolkitError(
            "mask-place",
            f"The header of the mask {mask.name} places it elsewhere than at the voxel {item.offset} of"
            f" {volume.name or 'its image'}. {error.message}",
            "Export the mask again from the image that it was drawn on.",
        ) from error
    values = on_grid.voxels
    if values.size and not 0 <= int(values.min()) <= int(values.max()) <= 255:
        raise SegToolkitError(
            "bad-label-value",
            f"The mask {mask.name} has values from {values.min()} to {values.max()}; 0 to 255 are possible.",
            "Number the structures from 1.",
        )
    start = cast(Shape, tuple(-o for o in item.offset))
    return volume.with_voxels(cut(values.astype(np.uint8), start, whole, 0), mask.name)


def as_segmentation(labels: Volume, structures: Mapping[int, Structure]) -> Segmentation:
    """A placed mask with the names, colours and terms of its structures."""
    segments = [
        Segment(value, s.name, s.colour or label_colour_fraction(value), s.terminology)
        for value, s in structures.items()
    ]
    return Segmentation(labels, segments)


def pack(path: Path, items: Sequence[SupportItem], progress: Progress | None = None) -> None:
    """Write an archive of support examples; an earlier file stays until the new one is whole.

    Raises:
        SegToolkitError: an image or a mask cannot be read, they do not fit together, or "write-failed".
    """
    images: dict[str, str] = {}
    stored: list[StoredItem] = []
    with (
        temporary_folder(path.absolute().parent) as folder,
        replacing(path) as target,
        zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive,
    ):
        for number, item in enumerate(items):
            volume, mask = read_volume(item.image), read_volume(item.mask, label=True)
            placed_mask(volume, mask, item)
            if item.image not in images:
                images[item.image] = f"images/{len(images)}.nrrd"
                _add(archive, volume, images[item.image], folder)
            mask_name = f"masks/{number}.nrrd"
            _add(archive, mask.with_voxels(mask.voxels.astype(np.uint8)), mask_name, folder)
            values = {**item.model_dump(), "image": images[item.image], "mask": mask_name}
            stored.append(validated(StoredItem, values, f"Support example {number + 1}"))
            if progress:
                progress(number + 1, len(items))
        text = json.dumps(Index(items=stored).model_dump(mode="json"), indent=1, ensure_ascii=False)
        archive.writestr(zipfile.ZipInfo(INDEX_FILE), text.encode())


def _add(archive: zipfile.ZipFile, volume: Volume, name: str, folder: Path) -> None:
    file = folder / "part.nrrd"
    write_volume(volume, file, compress=True)
    # A fixed date: equal examples give equal archives.
    info = zipfile.ZipInfo(name)
    with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as out:
        shutil.copyfileobj(source, out, 1 << 20)
    file.unlink()


def unpack(
    path: Path, folder: Path, progress: Progress | None = None, limit_bytes: int = LIMIT_BYTES
) -> list[SupportItem]:
    """Unpack an archive into an empty folder; if anything is wrong with it, nothing stays there.

    Args:
        path: of the archive.
        folder: is made if it is not there.
        progress: called with (items done, items in all).
        limit_bytes: of all voxels together, in memory.

    Returns:
        The items with absolute paths of the unpacked files.

    Raises:
        SegToolkitError: "folder-not-empty"; "newer-support-set"; "bad-support-set": its index is wrong or
            an image or a mask is not what the index says; what ``archive.opened`` raises.
    """
    folder = folder.absolute()
    _check_empty(folder)
    try:
        with opened(path, limit_bytes) as archive:
            index = _read_index(path, archive)
            files = sorted({name for item in index.items for name in (item.image, item.mask)})
            left = limit_bytes
            for name in files:
                extract(archive, name, folder / name)
                left -= check_nrrd(folder / name, left)
        found = []
        for number, item in enumerate(index.items, 1):
            values = {**item.model_dump(), **{f: str(folder / getattr(item, f)) for f in ("image", "mask")}}
            own = SupportItem.model_validate(values)
            _check_fits(path, own)
            found.append(own)
            if progress:
                progress(number, len(index.items))
        return found
    except BaseException:
        for part in ("images", "masks"):
            shutil.rmtree(folder / part, ignore_errors=True)
        raise


def _check_empty(folder: Path) -> None:
    with suppress(FileNotFoundError):
        if any(folder.iterdir()):
            raise SegToolkitError(
                "folder-not-empty", f"The folder {folder} is not empty.", "Choose an empty or a new folder."
            )


def _read_index(path: Path, archive: zipfile.ZipFile) -> Index:
    hint = "Make the archive again with this version of SegToolkit."
    try:
        values = json.loads(read_entry(archive, INDEX_FILE, INDEX_LIMIT_BYTES))
    except (ValueError, RecursionError) as error:
        raise SegToolkitError("bad-support-set", f"{INDEX_FILE} in {path} is not JSON.", hint) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise SegToolkitError(
            "bad-support-set",
            f"{path} is not a set of support examples.",
            "Choose a zip that was saved from the few-shot panel or by SegToolkit.",
        )
    version = values.get("version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise SegToolkitError(
            "newer-support-set",
            f"{path} is of format {version}; this SegToolkit knows formats up to {FORMAT_VERSION}.",
            "Update SegToolkit.",
        )
    try:
        return validated(Index, values, f"{INDEX_FILE} in {path}")
    except SegToolkitError as error:
        raise SegToolkitError("bad-support-set", error.message, hint) from error


def _check_fits(path: Path, item: SupportItem) -> None:
    """Read both files, so that what is handed on is known to be whole and to fit together."""
    try:
        placed_mask(read_volume(item.image), read_volume(item.mask, label=True), item)
    except SegToolkitError as error:
        raise SegToolkitError(
            "bad-support-set",
            f"The example {item.name or Path(item.image).stem!r} of {path} cannot be used. {error.message}",
            "Ask its sender for another archive, or save the examples again.",
        ) from error


def _times(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))
