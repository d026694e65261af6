"""The files of a run's cases: read once and checked, before nnU-Net sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from SegToolkitLib.dataset.checksum import told_sha256
from SegToolkitLib.dataset.classes import structures_of
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet.preparing import Tell
from SegToolkitLib.volume import Volume, check_finite


def check_dataset(dataset: Dataset, ids: Sequence[str]) -> None:
    """Refuse what nnU-Net, or the model that it makes, could not use here.

    Raises:
        SegToolkitError: "pictures", "several-images", "no-labels".
    """
    name = dataset.description.name
    if dataset.description.pictures:
        raise SegToolkitError(
            "pictures",
            f"{name} holds pictures, which are not brought to nnU-Net.",
            "Train them with pdcr_uafr.",
        )
    several = [id for id in ids if len(dataset.case(id).image_files) > 1]
    if several:
        raise SegToolkitError(
            "several-images",
            f"Case {several[0]} of {name} has several images; SegToolkit gives models one volume.",
            "Describe the data set with one of its channels ('channel'), or train with nnU-Net's own programs"
            " (segtoolkit prepare nnunet).",
        )
    structures_of(dataset)


def checksums_of(dataset: Dataset, ids: Sequence[str], tell: Tell) -> dict[str, str]:
    """SHA-256 of each file of the cases, by case and kind.

    Raises:
        SegToolkitError: "unreadable".
    """
    found: dict[str, str] = {}
    for done, id in enumerate(ids, start=1):
        case = dataset.case(id)
        assert case.label is not None  # roles hold no others
        for kind, file in (("image", case.image), ("label", case.label)):
            found[f"{id} {kind}"] = told_sha256(file)
        tell("comparing", done, len(ids))
    return found


def check_cases(dataset: Dataset, ids: Sequence[str], tell: Tell) -> str | None:
    """Read all cases; nnU-Net would end in the midst of its work on what is refused here.

    Args:
        dataset: of the run.
        ids: of its labelled cases.
        tell: hears of phase, cases done and in all.

    Returns:
        The orientation of the axes (three letters, "RAS"), where all cases have the same.

    Raises:
        SegToolkitError: "not-finite", "label-grid", "unknown-label", and what reading raises.
    """
    labels = dataset.description.labels
    known = {0, *structures_of(dataset)}
    known |= {value for name, value in labels.items() if name.casefold() == IGNORE}
    codes: set[str] = set()
    for done, id in enumerate(ids, start=1):
        case = dataset.case(id)
        image, label = dataset.read(case)
        assert label is not None
        _check_volume(case, image)
        strange = sorted(set(np.unique(label.voxels).tolist()) - known)
        if strange:
            raise SegToolkitError(
                "unknown-label",
                f"The label of case {id} holds the value {strange[0]}, which the data set does not name.",
                f"Its labels are {labels}; mend the file, or name the value.",
            )
        codes.add(image.orientation)
        tell("checking", done, len(ids))
    return codes.pop() if len(codes) == 1 else None


def _check_volume(case: Case, image: Volume) -> None:
    if image.voxels.ndim != 3:
        raise SegToolkitError(
            "channels",
            f"The image of case {case.id} has {image.voxels.shape[-1]} values a voxel.",
            "Give volumes with one value a voxel.",
        )
    check_finite(image)
