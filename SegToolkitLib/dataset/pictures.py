"""Folders of 2-D pictures and of their masks, paired by their names and described in place.

Pictures stay where they are. Masks are written anew as PNG files of 0 and 1, so that every part of this
library reads them alike.
Source of the layouts: documentation of the released code of PDCR and UAFR. Its pairing takes the first mask
whose path contains the picture's name, which pairs wrongly where a name is part of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.in_place import Found, describe_in_place, problem_of
from SegToolkitLib.dataset.masks import foreground, write_mask
from SegToolkitLib.dataset.new_cases import case_id
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import read_volume

SUFFIXES = (".jpg", ".jpeg", ".png")
# What may follow a picture's name in that of its mask.
MARKS = ("", "_segmentation", "_mask", "_lesion")
IMAGES, MASKS = "img", "mask_jpg"
MOST_NAMED = 5
# Pictures have none; where a name is wanted, it is the one that any range of values fits.
MODALITY = "MR"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Layout:
    """Where the published code looks for a data set, below the folder that holds all of them.

    Attributes:
        parts: "train" and "test" -> folder with ``img`` and ``mask_jpg``; of several the first that exists.
        structure: what the masks show.
    """

    parts: Mapping[str, tuple[str, ...]]
    structure: str


LAYOUTS: Mapping[str, Layout] = {
    "ISIC2016": Layout(
        {"train": ("ISIC2016/train",), "test": ("ISIC2016/test", "ISIC2016/val")}, "skin lesion"
    ),
    "ISIC2017": Layout(
        {"train": ("ISIC2017/train",), "test": ("ISIC2017/val", "ISIC2017/test")}, "skin lesion"
    ),
    "ISIC2016_PH2": Layout({"train": ("ISIC2016/train",), "test": ("PH2",)}, "skin lesion"),
    "MC": Layout({"train": ("MC/train",), "test": ("MC/val", "MC/test")}, "lungs"),
    "DigestPath": Layout(
        {"train": ("DigestPath/train",), "test": ("DigestPath/val", "DigestPath/test")}, "tumour"
    ),
}


@dataclass
class Pairing:
    """Pictures and masks of two folders.

    Attributes:
        pairs: picture and mask by case.
        alone: pictures without a mask.
        several: picture -> the masks that could be its own.
        unused: masks that belong to no picture.
    """

    pairs: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    alone: list[Path] = field(default_factory=list)
    several: dict[Path, list[Path]] = field(default_factory=dict)
    unused: list[Path] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether every picture has its one mask."""
        return not self.alone and not self.several

    def text(self) -> str:
        """What a person reads."""
        parts = [f"{len(self.pairs)} pictures have their mask"]
        if self.alone:
            parts.append(f"{len(self.alone)} have none ({_few(self.alone)})")
        if self.several:
            parts.append(f"{len(self.several)} have several ({_few(list(self.several))})")
        if self.unused:
            parts.append(f"{len(self.unused)} masks belong to no picture ({_few(self.unused)})")
        return "; ".join(parts)


def paired(images: Path, masks: Path) -> Pairing:
    """Pair the pictures of a folder with the masks of another (or of the same) one.

    A mask has the name of its picture, or that and ``_Segmentation``, ``_mask`` or ``_lesion``, in letters of
    either case; nothing else counts.

    Raises:
        SegToolkitError: "no-folder", "no-cases"; "same-name": two pictures of one case.
    """
    by_name: dict[str, list[Path]] = {}
    for path in _pictures(masks):
        by_name.setdefault(path.stem.casefold(), []).append(path)
    found, taken = Pairing(), set()
    marked = {path for path in _pictures(images) if images == masks and _is_marked(path, by_name)}
    for image in [path for path in _pictures(images) if path not in marked]:
        fitting = [
            mask
            for mark in MARKS
            for mask in by_name.get(f"{image.stem.casefold()}{mark}", [])
            if mask != image
        ]
        taken.update(fitting)
        if not fitting:
            found.alone.append(image)
        elif len(fitting) > 1:
            found.several[image] = fitting
        else:
            id = case_id(image.stem)
            if id in found.pairs:
                raise SegToolkitError(
                    "same-name",
                    f"{found.pairs[id][0]} and {image} are both case {id}.",
                    "Rename one of them.",
                )
            found.pairs[id] = (image, fitting[0])
    if images != masks:
        found.unused = [path for path in _pictures(masks) if path not in taken]
    if not found.pairs:
        raise SegToolkitError(
            "no-cases",
            f"No picture in {images} has its mask in {masks}.",
            f"A mask has the name of its picture, or that and {', '.join(MARKS[1:])}.",
        )
    return found


def layout_folders(root: Path, layout: str) -> dict[str, tuple[Path, Path]]:
    """Folders of pictures and masks of the parts of a published layout: "train", and "test" if there is one.

    Raises:
        SegToolkitError: "unknown-layout"; "no-folder": there is nothing to train on.
    """
    known = {name.casefold(): one for name, one in LAYOUTS.items()}
    chosen = known.get(layout.casefold())
    if chosen is None:
        raise SegToolkitError(
            "unknown-layout", f"There is no layout {layout!r}.", f"Choose {', '.join(LAYOUTS)}."
        )
    found: dict[str, tuple[Path, Path]] = {}
    for part, places in chosen.parts.items():
        # A person may give the data set's own folder, too.
        candidates = [
            base / inside
            for place in places
            for base, inside in ((root, place), (root, place.partition("/")[2] or place))
        ]
        there = next((one for one in candidates if (one / IMAGES).is_dir()), None)
        if there is not None:
            found[part] = (there / IMAGES, there / MASKS)
    if "train" not in found:
        raise SegToolkitError(
            "no-folder",
            f"{root} has no {chosen.parts['train'][0]}/{IMAGES}.",
            f"Arrange the pictures so: {chosen.parts['train'][0]}/{IMAGES} and .../{MASKS}.",
        )
    return found


def describe_pictures(
    pairing: Pairing,
    out: Path,
    *,
    name: str,
    structure: str = "lesion",
    keep_masks: bool = False,
    licence: Mapping[str, object] | None = None,
    citation: str = "",
    progress: Progress | None = None,
) -> tuple[Dataset, dict[str, str]]:
    """Write ``<out>/dataset.json``, which lists the pictures where they lie, and masks of 0 and 1.

    Args:
        pairing: of :func:`paired`; what has no mask, or several, is left out.
        out: folder of the data set; made if missing.
        name: of the data set.
        structure: what the masks show.
        keep_masks: list the masks as they are; trainings that want the released rule for masks read them.
        licence: of the data, as a description has it.
        citation: what to cite.
        progress: called with (done, total) after each case.

    Returns:
        The data set; and why a case was left out, by case.

    Raises:
        SegToolkitError: "dataset-exists", "no-cases", "write-failed".
    """
    found = Found()
    for done, (id, (image, mask)) in enumerate(sorted(pairing.pairs.items()), start=1):
        problem = problem_of(image, mask)
        if problem is None and not keep_masks:
            try:
                target = out / "masks" / f"{id}.png"
                write_mask(target, foreground(_grey(mask)))
                mask = target
            except SegToolkitError as error:
                if error.code == "write-failed":
                    raise
                problem = error.message
        if problem is None:
            found.labelled[id] = (image, mask)
        else:
            found.left_out[id] = problem
        if progress is not None:
            progress(done, len(pairing.pairs))
    if not found.labelled:
        first = next(iter(found.left_out.values()), "")
        raise SegToolkitError("no-cases", f"No picture of {name} can be used: {first}.", "Check the files.")
    images = next(iter(found.labelled.values()))[0].parent
    dataset = describe_in_place(
        images,
        found,
        out,
        {structure: 1},
        name=name,
        modality=MODALITY,
        ending=".png",
        licence=licence,
        citation=citation,
        pictures=True,
    )
    return dataset, found.left_out


def _grey(mask: Path) -> NDArray[Any]:
    """The values [rows, columns] of a mask; a colour picture of three equal channels is grey."""
    values: NDArray[Any] = read_volume(mask, label=True).voxels[0]
    return values


def _is_marked(path: Path, by_name: Mapping[str, list[Path]]) -> bool:
    """Whether a picture of a folder of both is a mask of another one."""
    stem = path.stem.casefold()
    return any(stem.endswith(mark) and stem[: -len(mark)] in by_name for mark in MARKS[1:])


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise SegToolkitError("no-folder", f"There is no folder {folder}.", "Check the path.")
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]


def _few(paths: list[Path]) -> str:
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(path.name for path in paths[:MOST_NAMED]) + more
