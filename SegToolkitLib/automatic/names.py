"""What the name of a file says: its case, and whether it is evidently a label map."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
# nnU-Net and FLARE number the channels of an image; the case is named without.
CHANNEL = "_0000"
# Words of a name that no image has: what people and programs call label maps.
MARKS = frozenset(("label", "labels", "labelmap", "seg", "segmentation", "segmentations", "mask", "masks"))
# Last words of the names of our own maps; elsewhere in a name ("residual tumour 3") they say nothing.
MAP_MARKS = frozenset(("uncertainty", "disagreement", "residual"))


def case_name(image: Path) -> str:
    """What a result is named after: the file's name without suffix and channel number."""
    return _stem(image.resolve()).removesuffix(CHANNEL) or "image"


def label_maps(files: Sequence[Path]) -> list[Path]:
    """Those of a folder's volume files that are label maps, or results of ours, by their names.

    Either a word of the name says so ("label_01", "scan-seg", "case_uncertainty"), or the name is that of an
    image without its channel number, as nnU-Net, FLARE and we name the labels of a case.
    """
    stems = {_stem(file) for file in files}
    return [file for file in files if _is_marked(_stem(file)) or f"{_stem(file)}{CHANNEL}" in stems]


def _is_marked(stem: str) -> bool:
    words = [word.rstrip("0123456789") for word in re.split(r"[-_. ]", stem.casefold())]
    return not MARKS.isdisjoint(words) or words[-1] in MAP_MARKS


def _stem(path: Path) -> str:
    suffix = next((s for s in VOLUME_SUFFIXES if path.name.lower().endswith(s)), path.suffix)
    return path.name[: len(path.name) - len(suffix)]
