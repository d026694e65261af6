"""The raw Synapse (BTCV) abdominal CT scans: imgNNNN.nii.gz and labelNNNN.nii.gz in two folders."""

from __future__ import annotations

from pathlib import Path

from SegToolkitLib.dataset.dataset import Case, trailing_number
from SegToolkitLib.errors import SegToolkitError

IMAGE_FOLDERS = ("averaged-training-images", "img", "imagesTr", ".")
LABEL_FOLDERS = ("averaged-training-labels", "label", "labelsTr", ".")


def sabs_cases(folder: Path) -> list[Case]:
    """List the scans below ``folder``; they are numbered 0, 1, 2, ... by their order among the files.

    The folder holds ``averaged-training-images`` and ``averaged-training-labels``, or ``img`` and
    ``label``, or lies one above them (``Training``, ``RawData/Training``). A scan without a label
    file is listed with none.

    Raises:
        SegToolkitError: there is no imgNNNN.nii.gz.
    """
    for root in (folder, folder / "Training", folder / "RawData" / "Training"):
        images = _files(root, IMAGE_FOLDERS, "img")
        if images:
            labels = _files(root, LABEL_FOLDERS, "label")
            return [Case(str(new), images[old], labels.get(old)) for new, old in enumerate(sorted(images))]
    raise SegToolkitError(
        "no-cases",
        f"{folder} holds no Synapse scans (imgNNNN.nii.gz).",
        f"Give the folder that holds {IMAGE_FOLDERS[0]} and {LABEL_FOLDERS[0]}, or img and label.",
    )


def _files(root: Path, folders: tuple[str, ...], prefix: str) -> dict[int, Path]:
    """Return the files ``<prefix>NNNN.nii[.gz]`` of the first folder that has any, by their number."""
    for name in folders:
        found: dict[int, Path] = {}
        for path in sorted((root / name).glob(f"{prefix}*.nii*")):
            number = trailing_number(path.name.split(".")[0])
            if number is not None:
                found[number] = path
        if found:
            return found
    return {}
