"""PDCR and UAFR, data: slices of any volume, masks, changes of images, batches by number, folds."""

from __future__ import annotations

import itertools
import pickle
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pdcr_runs import Heard, made_pictures, picture, tiny
from SegToolkitLib.dataset.classes import class_names, class_values, classes_of
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.dataset.labelled import roles_of
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.pdcr_uafr.augment import augmented, drawn_affine, moved, recoloured
from SegToolkitLib.methods.pdcr_uafr.data import Sampler
from SegToolkitLib.methods.pdcr_uafr.plan import InputPlan
from SegToolkitLib.methods.pdcr_uafr.reading import Reader, Scan, classes_in
from SegToolkitLib.methods.pdcr_uafr.settings import AugmentSettings, DataSettings, PdcrUafrSettings
from SegToolkitLib.methods.pdcr_uafr.slices import (
    eight_bit,
    normalised,
    resized,
    resized_as_released,
    resized_classes,
    stacked,
)
from SegToolkitLib.volume import Reorient, Volume

STILL = AugmentSettings(
    zoom=(1, 1),
    shift=0,
    rotation_degrees=0,
    shear_degrees=0,
    flip_columns=0,
    flip_rows=0,
    hue=0,
    saturation=0,
)
IDENTITY, NOWHERE = np.eye(2), np.zeros(2)


def scan_volume() -> Volume:
    rng = np.random.default_rng(0)
    return Volume(rng.integers(0, 900, (5, 6, 7)).astype(np.int16), (1, 1.5, 4), (3, 2, 1), np.eye(3), "scan")


def read(dataset: Dataset, settings: PdcrUafrSettings, cache: Path, whole: bool = False) -> list[Scan]:
    reader = Reader(dataset, settings.data, settings.input, cache, Reporter())
    return reader.read(dataset.ids, "cases", whole)


@pytest.mark.parametrize("code", ["LPS", "RAS", "SLP", "PSL", "IAR", "AIR"])
def test_slices_do_not_depend_on_how_a_volume_is_stored(code: str) -> None:
    volume = scan_volume()
    turned = Reorient(code).apply(volume)[0]
    expected, found = stacked(volume, InputPlan()), stacked(turned, InputPlan())
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert found.pixels.shape == (5, 6, 7, 3)
    back = found.restore(found.label(turned))
    assert back.same_grid(turned)
    np.testing.assert_array_equal(back.voxels, turned.voxels)


@pytest.mark.parametrize(
    ("plane", "shape"),
    [("auto", (5, 6, 7)), ("axial", (5, 6, 7)), ("coronal", (6, 5, 7)), ("sagittal", (7, 5, 6))],
)
def test_slices_lie_as_asked_for(plane: str, shape: tuple[int, ...]) -> None:
    volume = scan_volume()
    stack = stacked(volume, InputPlan(slices=plane))
    assert stack.pixels.shape == (*shape, 3)
    np.testing.assert_array_equal(stack.restore(stack.label(volume)).voxels, volume.voxels)
    if plane in ("coronal", "sagittal"):  # the head is above
        assert stack.upright.orientation[1] == "I"


def test_pictures_are_slices_as_they_are() -> None:
    image, _ = picture(0)
    for voxels in (image[None], np.dstack([image, image[..., :1]])[None]):  # with transparency, too
        stack = stacked(Volume(voxels, (1, 1, 1), (0, 0, 0), np.eye(3)), InputPlan())
        np.testing.assert_array_equal(stack.pixels[0], image)
    grey = stacked(
        Volume(image[None, :, :, 0], (1, 1, 1), (0, 0, 0), np.eye(3)), InputPlan(slices="sagittal")
    )
    np.testing.assert_array_equal(grey.pixels[0], np.repeat(image[..., :1], 3, axis=2))
    with pytest.raises(SegToolkitError, match="5 channels"):
        stacked(Volume(np.zeros((1, 3, 3, 5)), (1, 1, 1), (0, 0, 0), np.eye(3)), InputPlan())


def test_intensities_become_8_bit() -> None:
    ramp = np.linspace(-1000, 1000, 1001)
    found = eight_bit(ramp, InputPlan(percentiles=(10, 90)))
    assert (found[:100] == 0).all()
    assert (found[901:] == 255).all()
    assert abs(int(found[500]) - 128) <= 1
    kept = np.arange(5, dtype=np.uint8)
    assert eight_bit(kept, InputPlan()) is kept
    assert eight_bit(kept, InputPlan(percentiles=(0, 100))).tolist() == [0, 64, 128, 191, 255]
    assert eight_bit(np.full(3, 7.0), InputPlan()).tolist() == [0, 0, 0]


@pytest.mark.parametrize("scale", [1, 255])
def test_what_the_network_sees(scale: int) -> None:
    pixels = np.array([[[[255, 0, 51]]]], np.uint8)
    found = normalised(pixels, InputPlan(intensity_scale=scale)).flatten()
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = [(v / scale - m) / s for v, m, s in zip((255, 0, 51), mean, std, strict=True)]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_sizes_are_rows_and_columns() -> None:
    image, mask = picture(1)
    assert resized(image[None], (30, 20)).shape == (1, 30, 20, 3)
    small = resized_classes(mask[None].astype(np.uint8) * 3, (30, 40))
    assert small.shape == (1, 30, 40)
    assert set(np.unique(small)) == {0, 3}
    assert abs(small.astype(bool).mean() - mask.mean()) < 0.02


def test_the_released_rule_adds_a_rim() -> None:
    mask = picture(1, (200, 200))[1][None]
    right = resized_classes(mask.astype(np.uint8), (90, 90))
    released = resized_as_released(mask.astype(np.uint8) * np.uint8(255), (90, 90))
    assert ((released == 1) | (right == 0)).all()
    assert released.sum() > 1.02 * right.sum()


@pytest.mark.parametrize(
    ("values", "file", "expected"),
    [
        ([0, 1, 1], "a.png", [0, 1, 1]),
        ([0, 255, 255], "a.png", [0, 1, 1]),
        ([0, 9, 250], "a.jpg", [0, 0, 1]),
        ([0, 255, 1], "a.nii.gz", [0, 0, 1]),
    ],
)
def test_masks_are_read_as_they_were_painted(values: list[int], file: str, expected: list[int]) -> None:
    case = Case("a", Path("i.png"), Path(file))
    assert classes_in(np.array(values, np.uint8), case, {1: 1}).tolist() == expected


def test_several_structures_are_told_apart_by_their_values() -> None:
    found = classes_in(np.array([0, 2, 5, 9]), Case("a", Path("i.png"), Path("l.png")), {2: 1, 5: 2})
    assert found.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize("value", [1, 255])
def test_cases_are_read_once(value: int, tmp_path: Path) -> None:
    dataset = made_pictures(tmp_path / "data", "12", value)
    scans = read(dataset, tiny(), tmp_path / "cache", whole=True)
    again = read(dataset, tiny(), tmp_path / "cache", whole=True)
    for number, (scan, other) in enumerate(zip(scans, again, strict=True)):
        arrays = scan.arrays
        assert arrays["image"].shape == (1, 48, 64, 3)
        np.testing.assert_array_equal(arrays["truth"][0], picture(number)[1])
        np.testing.assert_array_equal(arrays["image"], other.arrays["image"])
    entries = list((tmp_path / "cache" / "entries").iterdir())
    assert len(entries) == 2
    released = tiny("data.mask_rule=released")
    wide = read(dataset, released, tmp_path / "cache")[0].arrays["mask"]
    assert wide.sum() > scans[0].arrays["mask"].sum()


def test_the_released_rule_knows_one_structure(tmp_path: Path) -> None:
    made_pictures(tmp_path, "12").description.model_copy(
        update={"labels": {"background": 0, "a": 1, "b": 2}}
    ).save(tmp_path / "dataset.json")
    with pytest.raises(SegToolkitError, match="knows one structure"):
        read(Dataset.open(tmp_path), tiny("data.mask_rule=released"), tmp_path / "cache")


def test_nothing_drawn_changes_nothing() -> None:
    image, mask = picture(2)
    found = augmented(image, mask.astype(np.uint8), STILL, np.random.default_rng(0))
    np.testing.assert_array_equal(found[0], image)
    np.testing.assert_array_equal(found[1], mask)


@pytest.mark.parametrize(
    ("matrix", "shift", "expected"),
    [
        (IDENTITY, np.array([3.0, -2.0]), "shifted"),
        (np.array([[-1.0, 0], [0, -1.0]]), NOWHERE, "half turn"),
        (np.array([[0, -1.0], [1.0, 0]]), NOWHERE, "quarter turn"),
    ],
)
def test_pixels_move_where_the_matrix_says(matrix: np.ndarray, shift: np.ndarray, expected: str) -> None:
    image, mask = picture(3, (40, 40))
    classes = mask.astype(np.uint8)
    found, drawn_mask = moved(image, classes, matrix, shift)
    if expected == "shifted":
        np.testing.assert_allclose(found[:-2, 3:], image[2:, :-3], atol=1)
        np.testing.assert_array_equal(drawn_mask[:-2, 3:], classes[2:, :-3])
        assert not found[-2:].any()
    else:
        # A quarter turn takes what lies to the right of the centre to below it.
        turned = np.rot90(image, 2 if expected == "half turn" else -1)
        np.testing.assert_allclose(found, turned, atol=1)


def test_a_mask_moves_with_its_image() -> None:
    rng = np.random.default_rng(5)
    for number in range(10):
        image, mask = picture(number)
        seen, classes = augmented(image, mask.astype(np.uint8), AugmentSettings(hue=0, saturation=0), rng)
        assert seen.shape == image.shape
        inside = (seen[..., 0] < 150) & (seen.sum(-1) > 60)  # dark, and not what came in
        overlap = (inside & (classes == 1)).sum() / max(1, (inside | (classes == 1)).sum())
        assert overlap > 0.7


def test_draws_keep_to_their_ranges() -> None:
    rng = np.random.default_rng(0)
    settings = AugmentSettings(rotation_degrees=0, shear_degrees=0)
    drawn_zooms = [drawn_affine(settings, (100, 200), rng) for _ in range(300)]
    zooms = np.array([np.diag(matrix) for matrix, _ in drawn_zooms])
    shifts = np.array([shift for _, shift in drawn_zooms])
    assert 0.8 <= zooms.min() < 0.83
    assert 1.17 < zooms.max() <= 1.2
    assert abs(np.corrcoef(zooms.T)[0, 1]) < 0.2  # each axis by itself
    assert 17 < np.abs(shifts[:, 0]).max() <= 20
    assert 8 < np.abs(shifts[:, 1]).max() <= 10
    turned = [
        drawn_affine(STILL.model_copy(update={"rotation_degrees": 90.0}), (9, 9), rng)[0] for _ in range(300)
    ]
    angles = np.rad2deg([np.arctan2(one[1, 0], one[0, 0]) for one in turned])
    assert 80 < np.abs(angles).max() <= 90


def test_colours_shift_and_grey_stays_grey() -> None:
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0], red[..., 1:] = 200, 100
    assert (recoloured(red, 0, 0) == red).all()
    np.testing.assert_allclose(recoloured(red, 255, 0), red, atol=3)  # once around
    cyan = recoloured(red, 128, 0)[0, 0].astype(int)
    assert cyan[0] < cyan[1]
    assert abs(cyan[1] - cyan[2]) <= 6
    paler, deeper = (np.ptp(recoloured(red, 0, one)[0, 0].astype(int)) for one in (-50, 50))
    assert paler < 100 < deeper
    grey = np.full((2, 2, 3), 90, np.uint8)
    assert (recoloured(grey, 50, 50) == grey).all()


def test_batches_follow_from_seed_and_number(tmp_path: Path) -> None:
    dataset, settings = made_pictures(tmp_path / "data", "12345"), tiny()
    scans = read(dataset, settings, tmp_path / "cache")

    def sampler(seed: int, augment: AugmentSettings | None = settings.augment) -> Sampler:
        return Sampler(scans, settings.data, augment, settings.input, 2, seed)

    first, same = sampler(1).draw(3), pickle.loads(pickle.dumps(sampler(1))).draw(3)
    assert torch.equal(first.images, same.images)
    assert torch.equal(first.masks, same.masks)
    assert first.images.shape == (2, 3, 48, 64)
    assert not torch.equal(first.images, sampler(2).draw(3).images)
    # Five images in batches of two: each is seen once in five places, twice in ten.
    plain = sampler(1, None)
    seen = torch.cat([plain.draw(number).images for number in range(5)])
    known = torch.cat([normalised(scan.arrays["image"], settings.input) for scan in scans])
    counts = [sum(torch.equal(one, other) for other in seen) for one in known]
    assert counts == [2] * 5
    assert [sum(torch.equal(one, other) for other in seen[:5]) for one in known] == [1] * 5


def test_slices_without_a_structure_can_be_dropped() -> None:
    arrays = {"image": np.zeros((4, 8, 8, 3)), "mask": np.zeros((4, 8, 8)), "filled": np.array([1])}
    made = types.SimpleNamespace(arrays=arrays)
    for rule, expected in (("keep", 4), ("drop", 1)):
        data = DataSettings(empty_slices=rule)
        sampler = Sampler([made], data, None, InputPlan(), 2, 0)  # type: ignore[list-item]
        assert len(sampler.index) == expected


def test_a_smaller_fraction_is_a_part_of_a_larger_one_and_patients_are_drawn_whole(tmp_path: Path) -> None:
    ids = [str(number) for number in range(10, 50)]
    dataset = made_pictures(tmp_path, ids)
    patients = {id: f"p{int(id) // 2}" for id in ids}
    dataset.description.model_copy(update={"patients": patients}).save(tmp_path / "dataset.json")
    dataset = Dataset.open(tmp_path)

    def drawn(fraction: float, seed: int = 666) -> tuple[str, ...]:
        return roles_of(dataset, DataSettings(fold=None, fraction=fraction), seed).train

    parts = [drawn(part) for part in (0.01, 0.25, 0.5, 1)]
    assert [len(part) for part in parts] == [2, 10, 20, 40]
    assert all(set(small) <= set(large) for small, large in itertools.pairwise(parts))
    assert all(len(part) == 2 * len({patients[id] for id in part}) for part in parts)
    assert drawn(0.25) == parts[1] != drawn(0.25, 667)
    assert list(parts[1]) == sorted(parts[1], key=int)


def test_patients_stay_on_one_side(tmp_path: Path) -> None:
    dataset = made_pictures(tmp_path, "123456")
    patients = {"1": "a", "2": "a", "3": "b", "4": "b", "5": "c", "6": "c"}
    dataset.description.model_copy(update={"patients": patients}).save(tmp_path / "dataset.json")
    dataset = Dataset.open(tmp_path)
    for fold in range(3):
        roles = roles_of(dataset, DataSettings(fold=fold), 0)
        assert not {patients[id] for id in roles.train} & {patients[id] for id in roles.held_out}
        assert len(roles.held_out) == 2
    half = roles_of(dataset, DataSettings(fold=0, fraction=0.5), 1)
    assert (len(half.train), len(half.not_drawn)) == (2, 2)
    assert roles_of(dataset, DataSettings(fold=None), 0).held_out == ()
    chosen = roles_of(dataset, DataSettings(fold=None, cases=("6", "2")), 0)
    assert chosen.train == ("2", "6")
    with pytest.raises(SegToolkitError, match="no fold 3"):
        roles_of(dataset, DataSettings(fold=3), 0)


def test_labels_become_classes(tmp_path: Path) -> None:
    made_pictures(tmp_path, "12").description.model_copy(
        update={"labels": {"background": 0, "left": 2, "right": 5, "ignore": 9}}
    ).save(tmp_path / "dataset.json")
    dataset = Dataset.open(tmp_path)
    assert classes_of(dataset, DataSettings()) == {2: 1, 5: 2}
    joined = DataSettings(classes={2: 1, 5: 1})
    assert class_names(dataset, joined) == {1: "left + right"}
    assert class_values(dataset, joined) == {1: 2}
    with pytest.raises(SegToolkitError, match="no label 7"):
        classes_of(dataset, DataSettings(classes={7: 1}))


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    dataset = made_pictures(tmp_path / "data", "123")
    (tmp_path / "data" / "image_2.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / "data" / "label_3.png")
    heard, settings = Heard(), tiny()
    reader = Reader(dataset, settings.data, settings.input, tmp_path / "cache", heard)
    assert [scan.id for scan in reader.read(dataset.ids, "cases")] == ["1"]
    assert set(reader.failures) == {"2", "3"}
    assert "Case 2 is left out" in " ".join(heard.warnings)
