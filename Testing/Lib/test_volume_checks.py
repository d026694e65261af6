"""Labels and values that cannot be meant are refused before work starts."""

import numpy as np
import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import (
    Volume,
    check_label,
    check_not_empty,
    check_range,
)
from volume_cases import oblique


@pytest.mark.parametrize(
    "label",
    [
        oblique("uint8", (4, 5, 7)),
        Volume(oblique("uint8").voxels, (0.8, 1.1, 2.4), oblique().origin, oblique().direction, "l"),
        Volume(oblique("uint8").voxels, (0.8, 1.1, 2.5), (-12.5, 33.5, 101.25), oblique().direction, "l"),
        Volume(oblique("uint8").voxels, (0.8, 1.1, 2.5), oblique().origin, -oblique().direction, "l"),
    ],
    ids=["size", "spacing", "origin", "direction"],
)
def test_label_on_another_grid_is_refused(label):
    with pytest.raises(SegToolkitError, match="oblique") as caught:
        check_label(label, oblique())
    assert caught.value.code == "label-grid"
    assert "resample" in caught.value.hint


def test_label_off_by_rounding_takes_the_grid_of_its_image():
    image = oblique()
    label = Volume(
        image.voxels.astype(float), image.spacing, tuple(o + 0.01 for o in image.origin), image.direction
    )
    checked = check_label(label, image)
    assert checked.same_grid(image, 0)
    assert checked.voxels.dtype.kind in "iu"


def test_empty_mask_is_refused_by_its_name():
    with pytest.raises(SegToolkitError, match=r"The support mask.*oblique") as caught:
        check_not_empty(oblique().with_voxels(np.zeros((4, 5, 6))), "the support mask")
    assert caught.value.code == "empty-mask"
    assert check_not_empty(oblique(), "label").voxels.any()


@pytest.mark.parametrize(
    ("lowest", "modality", "fits"),
    [
        (0, "CT", False),
        (-1024, "CT", True),
        (-1024, "MR", False),
        (0, "MR", True),
        (-300, "mr", True),
        (0, "US", True),
    ],
)
def test_values_that_the_modality_cannot_give_are_refused(lowest, modality, fits):
    volume = oblique().with_voxels(np.linspace(lowest, 900, 120).reshape(4, 5, 6))
    if fits:
        assert check_range(volume, modality) is volume
        return
    with pytest.raises(SegToolkitError, match="oblique") as caught:
        check_range(volume, modality)
    assert caught.value.code == "modality-range"
    assert caught.value.hint
