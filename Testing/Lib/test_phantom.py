"""The synthetic abdomen: repeatable, varied, arranged as in people, organs distinct from what is around."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.ndimage import label as connected

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.phantom import LABEL_NAMES, Phantom, phantom
from SegToolkitLib.phantom.mr import acquire
from SegToolkitLib.volume import Volume

LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, SPLEEN = 1, 2, 3, 4
SEEDS = range(6)
SMALL = {"size": (96, 80), "slices": 20, "spacing": (3.5, 4.0, 12.0)}


@pytest.fixture(scope="module")
def patients() -> list[Phantom]:
    return [phantom(seed, **SMALL) for seed in SEEDS]


def centre_lps(label: Volume, code: int) -> np.ndarray:
    """Centroid of a structure in LPS mm, computed here from the geometry alone."""
    ijk = np.argwhere(np.asarray(label.voxels) == code).mean(axis=0)[::-1]
    return np.asarray(label.origin) + np.asarray(label.direction) @ (ijk * np.asarray(label.spacing))


def test_gives_int16_image_and_uint8_label_on_the_grid_that_was_asked_for() -> None:
    patient = phantom(0, size=(96, 80), slices=20, spacing=(3.0, 3.5, 9.0))
    assert patient.image.voxels.shape == patient.label.voxels.shape == (20, 80, 96)
    assert (patient.image.voxels.dtype, patient.label.voxels.dtype) == (np.int16, np.uint8)
    assert tuple(patient.image.spacing) == (3.0, 3.5, 9.0)
    assert patient.image.same_grid(patient.label)


def test_repeats_itself_for_the_same_seed_and_differs_for_another(patients: list[Phantom]) -> None:
    again = phantom(0, **SMALL)
    np.testing.assert_array_equal(again.image.voxels, patients[0].image.voxels)
    np.testing.assert_array_equal(again.label.voxels, patients[0].label.voxels)
    assert again.image.same_grid(patients[0].image)
    for other in patients[1:]:
        assert (other.image.voxels != again.image.voxels).mean() > 0.5
        both = (other.label.voxels == LIVER) & (again.label.voxels == LIVER)
        either = (other.label.voxels == LIVER) | (again.label.voxels == LIVER)
        assert both.sum() / either.sum() < 0.95


def test_organ_sizes_vary_between_patients_within_what_is_human(patients: list[Phantom]) -> None:
    voxel = 3.5 * 4.0 * 12.0 / 1000  # ml
    human = {LIVER: (800, 2600), RIGHT_KIDNEY: (70, 350), LEFT_KIDNEY: (70, 350), SPLEEN: (50, 500)}
    for code, (least, most) in human.items():
        volumes = [(p.label.voxels == code).sum() * voxel for p in patients]
        assert min(volumes) > least
        assert max(volumes) < most
        assert np.std(volumes) / np.mean(volumes) > 0.03


def test_labels_only_gives_the_same_labels() -> None:
    quick, full = phantom(4, labels_only=True, **SMALL), phantom(4, **SMALL)
    np.testing.assert_array_equal(quick.label.voxels, full.label.voxels)
    assert quick.image.same_grid(full.image)
    assert not quick.image.voxels.any()
    assert full.image.voxels.any()


def test_geometry_is_las_with_an_origin_off_zero(patients: list[Phantom]) -> None:
    origins = np.array([p.image.origin for p in patients])
    assert np.abs(origins).min() > 1
    assert np.ptp(origins, axis=0).min() > 1
    for p in patients:
        np.testing.assert_array_equal(np.asarray(p.image.direction), np.diag([1, -1, 1]))


def test_organs_lie_where_they_do_in_people(patients: list[Phantom]) -> None:
    for p in patients:
        liver, right, left, spleen = (centre_lps(p.label, c) for c in (1, 2, 3, 4))
        assert liver[0] < spleen[0] - 60  # x grows to the patient's left
        assert right[0] < left[0] - 60
        assert min(right[1], left[1], spleen[1]) > liver[1]  # y grows to the back
        assert min(liver[2], spleen[2]) > max(right[2], left[2])  # z grows to the head


@pytest.mark.parametrize(("size", "slices"), [((32, 32), 12), ((64, 48), 14), ((256, 256), 32)])
def test_every_organ_is_there_and_clear_of_the_border_on_any_grid(size: tuple[int, int], slices: int) -> None:
    for seed in range(100, 106 if size[0] > 100 else 160):
        voxels = phantom(seed, size=size, slices=slices, labels_only=True).label.voxels
        assert set(np.unique(voxels)) == {0, *LABEL_NAMES}, seed
        inner = voxels[1:-1, 1:-1, 1:-1]
        assert np.count_nonzero(inner) == np.count_nonzero(voxels), seed


def test_organs_stand_out_as_in_fat_suppressed_t2() -> None:
    for seed in (1, 2):
        p = phantom(seed)
        image, label = p.image.voxels.astype(float), p.label.voxels
        median = {code: np.median(image[label == code]) for code in LABEL_NAMES}
        for code in LABEL_NAMES:
            organ = label == code
            rim = binary_dilation(organ, np.ones((1, 3, 3)), iterations=5) & (label == 0)
            assert median[code] > 1.5 * np.median(image[rim])
        assert median[LIVER] < 0.8 * min(median[RIGHT_KIDNEY], median[LEFT_KIDNEY], median[SPLEEN])


def test_intensity_range_noise_and_scale_are_like_the_prepared_real_series(patients: list[Phantom]) -> None:
    tops = [int(p.image.voxels.max()) for p in patients]
    assert 720 <= min(tops) < max(tops) <= 1000
    for p in patients:
        voxels = p.image.voxels
        assert voxels.min() >= 0
        assert 0.004 < (voxels == voxels.max()).mean() < 0.008  # clipped at the 99.5th percentile
        air = voxels[:, :6, :6].astype(float)
        # The magnitude of pure complex noise is Rayleigh distributed: mean / standard deviation = 1.913.
        assert air.mean() / air.std() == pytest.approx(1.913, rel=0.1)


def test_scanner_shades_a_uniform_body_smoothly() -> None:
    body = np.full((16, 64, 64), 0.5, dtype=np.float32)
    for seed in range(3):
        shaded = gaussian_filter(acquire(body, np.random.default_rng(seed)).astype(float), 3)
        assert np.percentile(shaded, 98) / np.percentile(shaded, 2) > 1.15
        assert np.abs(np.diff(shaded, axis=2)).max() < 0.03 * shaded.mean()


def test_every_organ_is_in_one_piece() -> None:
    for seed in range(8):
        voxels = phantom(seed, labels_only=True).label.voxels
        assert [connected(voxels == code)[1] for code in LABEL_NAMES] == [1, 1, 1, 1]


@pytest.mark.parametrize(("size", "slices"), [((31, 64), 32), ((64, 8), 32), ((64, 64), 4)])
def test_refuses_a_grid_that_cannot_hold_the_organs(size: tuple[int, int], slices: int) -> None:
    with pytest.raises(SegToolkitError) as caught:
        phantom(0, size=size, slices=slices)
    assert caught.value.code == "phantom-size"
    assert "at least" in caught.value.hint


def test_refuses_a_negative_seed() -> None:
    with pytest.raises(SegToolkitError) as caught:
        phantom(-1, **SMALL)
    assert caught.value.code == "phantom-seed"
