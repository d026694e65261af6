"""Corrupted volumes, the command that makes them, and the counts of what was taken for what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cooperative_cases import made_heart
from SegToolkitLib.cli import main
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation import artefacts, corruptions
from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.corruption_draws import Bias, Ghosting, Motion, Spike
from SegToolkitLib.evaluation.corruptions import (
    KINDS,
    CorruptionSettings,
    GhostingSettings,
    apply,
    corrupted,
)
from SegToolkitLib.volume import Reorient, Volume, read_volume, write_volume

SHAPES = [(4, 6, 8), (5, 8, 7), (1, 7, 9)]
SETTINGS = CorruptionSettings()


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def spectrum(array: np.ndarray) -> np.ndarray:
    return np.fft.fftshift(np.fft.fftn(array.astype(np.float64)))


def image_of(shifted: np.ndarray) -> np.ndarray:
    return np.fft.ifftn(np.fft.ifftshift(shifted)).real


# -- the formulas, against whole three-dimensional transforms ------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", range(3))
def test_ghosts(shape: tuple[int, int, int], axis: int) -> None:
    array = noise(shape)
    planes = np.moveaxis(spectrum(array), axis, 0)
    middle = planes[shape[axis] // 2].copy()
    planes[::3] *= 0.3
    planes[shape[axis] // 2] = middle
    np.testing.assert_allclose(
        artefacts.ghosted(array, 3, axis, 0.7), image_of(np.moveaxis(planes, 0, axis)), atol=1e-5
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("positive", [False, True])
def test_spikes(shape: tuple[int, int, int], positive: bool) -> None:
    array = np.abs(noise(shape)) if positive else noise(shape)
    points = spectrum(array)
    place = tuple(int(part * n) for part, n in zip((0.3, 0.6, 0.9), shape, strict=True))
    points[place] += 2 * points.max()
    found = artefacts.spiked(array, (0.3, 0.6, 0.9), 2)
    np.testing.assert_allclose(found, image_of(points), atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("times", [(0.3, 0.7), (0.2, 0.4), (0.6, 0.8), (0.5,)])
def test_movements(shape: tuple[int, int, int], times: tuple[float, ...]) -> None:
    poses = [noise(shape, seed) for seed in range(len(times) + 1)]
    parts = [spectrum(pose) for pose in poses]
    late = [number for number, time in enumerate(times) if time > 0.5]
    centre = late[0] if late else len(times)
    parts[0], parts[centre] = parts[centre], parts[0]
    ends = [0, *(int(shape[2] * time) for time in times), shape[2]]
    joined = np.concatenate([part[..., ends[n] : ends[n + 1]] for n, part in enumerate(parts)], axis=2)
    np.testing.assert_allclose(artefacts.mixed(poses, times), image_of(joined), atol=1e-5)


def test_a_bias_field_is_one_in_the_middle_and_smooth() -> None:
    array = np.ones((5, 7, 9), np.float32)
    coefficients = np.zeros(20)
    coefficients[artefacts.terms(3).index((1, 0, 0))] = 0.4
    coefficients[artefacts.terms(3).index((0, 0, 2))] = -0.3
    found = artefacts.biased(array, coefficients)
    a, d = np.linspace(-1, 1, 5), np.linspace(-1, 1, 9)
    np.testing.assert_allclose(found[:, 3, :], np.exp(0.4 * a[:, None] - 0.3 * d**2), rtol=1e-6)
    assert (artefacts.biased(np.ones((1, 1, 4), np.float32), np.full(20, 0.3)) > 0).all()


def test_without_strength_nothing_changes() -> None:
    volume, _ = made_heart()
    still = [
        Bias(coefficients=(0.0,) * 20),
        Spike(positions=((0.2, 0.3, 0.4),), intensity=0),
        Ghosting(ghosts=4, axis=1, intensity=0),
        Motion(degrees=((0, 0, 0),) * 2, translation=((0, 0, 0),) * 2, times=(0.3, 0.7)),
    ]
    for drawn in still:
        np.testing.assert_allclose(apply(volume, drawn).voxels, volume.voxels, atol=1e-2)


def test_motion_is_about_the_volume_s_centre_in_millimetres() -> None:
    voxels = np.zeros((5, 21, 31), np.float32)
    voxels[2, 10, 15] = 100
    voxels[2, 10, 20] = 50
    volume = Volume(voxels, (2, 2, 10), (-300, 200, 70), np.diag([-1.0, -1.0, 1.0]))

    def pose(degrees: Any, translation: Any) -> np.ndarray:
        # All of k-space but a first part of no planes is of the second pose.
        moved = Motion(degrees=(degrees,), translation=(translation,), times=(0.01,))
        array = np.ascontiguousarray(voxels)
        return moved._posed(array, volume.spacing, degrees, translation)

    turned = pose((0, 0, 90), (0, 0, 0))
    assert turned[2, 10, 15] == pytest.approx(100, abs=1)
    assert turned[2, 5, 15] == pytest.approx(50, abs=1)
    shifted = pose((0, 0, 0), (4, -2, 10))
    assert shifted[1, 11, 13] == pytest.approx(100, abs=1)


# -- volumes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("canvas", [None, 24])
def test_a_copy_lies_on_its_volume_s_grid_however_that_is_stored(kind: Any, canvas: int | None) -> None:
    volume, _ = made_heart()
    settings = CorruptionSettings(canvas=canvas)
    drawn = corrupted(volume, kind, settings, np.random.default_rng(4)).drawn
    expected = apply(volume, drawn, canvas)
    assert expected.same_grid(volume)
    assert expected.voxels.dtype == np.float32
    changed = np.abs(expected.voxels - volume.voxels).mean()
    assert changed > 1
    # Slices, rows and columns keep their order and sense, so the same numbers do the same.
    turned = Reorient("SRA").apply(volume)[0]
    copy = apply(turned, drawn, canvas)
    assert copy.same_grid(turned)
    np.testing.assert_allclose(Reorient("RAS").apply(copy)[0].voxels, expected.voxels, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_and_what_was_drawn_can_be_applied_again(kind: Any) -> None:
    volume, _ = made_heart()
    one, same, other = (corrupted(volume, kind, SETTINGS, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert one.drawn == same.drawn != other.drawn
    np.testing.assert_array_equal(one.volume.voxels, same.volume.voxels)
    kept = type(one.drawn).model_validate_json(one.drawn.model_dump_json())
    np.testing.assert_allclose(apply(volume, kept).voxels, one.volume.voxels, rtol=1e-5)


def test_draws_keep_their_ranges() -> None:
    rng = np.random.default_rng(1)
    draws = {kind: [getattr(SETTINGS, kind).draw(rng, (10, 40, 40)) for _ in range(1500)] for kind in KINDS}
    assert {len(one.coefficients) for one in draws["bias"]} == {20}
    assert {one.ghosts for one in draws["ghosting"]} == set(range(4, 11))
    assert {one.axis for one in draws["ghosting"]} == {0, 1, 2}
    for low, high, numbers in [
        (-0.5, 0.5, [one.coefficients for one in draws["bias"]]),
        (0, 1, [one.positions for one in draws["spike"]]),
        (1, 3, [one.intensity for one in draws["spike"]]),
        (0.5, 1, [one.intensity for one in draws["ghosting"]]),
        (-30, 30, [one.degrees for one in draws["motion"]]),
        (-10, 10, [one.translation for one in draws["motion"]]),
        (1 / 3 - 0.1, 1 / 3 + 0.1, [one.times[0] for one in draws["motion"]]),
        (2 / 3 - 0.1, 2 / 3 + 0.1, [one.times[1] for one in draws["motion"]]),
    ]:
        edge = 0.02 * (high - low)
        assert low <= np.min(numbers) < low + edge
        assert high - edge < np.max(numbers) <= high


def test_a_single_slice_is_changed_within_its_plane() -> None:
    picture = Volume(np.abs(noise((1, 40, 50))) + 1, (1, 1, 1), (0, 0, 0), np.eye(3))
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert SETTINGS.ghosting.draw(rng, picture.shape).axis != 0
        motion = corrupted(picture, "motion", SETTINGS, rng)
        assert motion.volume.voxels.mean() == pytest.approx(picture.voxels.mean(), rel=0.2)
        assert {one[:2] for one in motion.drawn.degrees} == {(0, 0)}


def test_the_published_way_leaves_a_canvas_of_slices_from_0_to_1() -> None:
    volume, _ = made_heart(0, (4, 40, 30))
    settings = SETTINGS.as_published()
    assert (settings.canvas, settings.motion.frame) == (192, "voxels")
    found = corrupted(volume, "motion", settings, np.random.default_rng(0)).volume.voxels
    assert found.shape == (4, 40, 30)
    assert 0 <= found.min() < found.max() <= 1.0001
    small = corrupted(volume, "spike", CorruptionSettings(canvas=20), np.random.default_rng(0)).volume.voxels
    assert small[:, 10:30, 5:25].max(axis=(1, 2)) == pytest.approx(1)
    small[:, 10:30, 5:25] = 0
    assert not small.any()


@pytest.mark.parametrize("wrong", [(0, 4), (5, 4)])
def test_numbers_of_ghosts_must_rise(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        GhostingSettings(ghosts=wrong)


def test_a_colour_picture_is_told() -> None:
    picture = Volume(np.zeros((1, 4, 4, 3)), (1, 1, 1), (0, 0, 0), np.eye(3))
    with pytest.raises(SegToolkitError) as caught:
        corrupted(picture, "bias", SETTINGS, np.random.default_rng(0))
    assert caught.value.code == "colour-volume"


def test_the_example_of_the_module_runs() -> None:
    import doctest

    assert doctest.testmod(corruptions).attempted >= 4
    assert doctest.testmod(corruptions).failed == 0


# -- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, seed in (("a", 1), ("b_0000", 2)):
        image, label = made_heart(seed)
        write_volume(image, tmp_path / "in" / f"{name}.nii.gz")
        write_volume(label, tmp_path / "in" / f"{name.removesuffix('_0000')}_seg.nii.gz")
    return tmp_path


def run(*arguments: Any) -> int:
    return main(["corrupt", *map(str, arguments)])


def test_a_folder_gives_copies_of_every_kind_and_a_record(folder: Path) -> None:
    assert run("-i", folder / "in", "-o", folder / "out", "--repeats", 2) == 0
    files = sorted(path.relative_to(folder / "out").as_posix() for path in folder.glob("out/*/*"))
    assert files == sorted(f"{kind}/{name}_{n}.nii.gz" for kind in KINDS for name in "ab" for n in (0, 1))
    record = json.loads((folder / "out" / "corruptions.json").read_text())
    assert sorted(record["images"]) == files
    entry = record["images"]["ghosting/b_1.nii.gz"]
    assert entry["source"] == str(folder / "in" / "b_0000.nii.gz")
    source, copy = read_volume(entry["source"]), read_volume(folder / "out/ghosting/b_1.nii.gz")
    assert copy.same_grid(source)
    again = apply(source, Ghosting.model_validate(entry["drawn"]), entry["canvas"])
    np.testing.assert_allclose(copy.voxels, again.voxels, rtol=1e-5, atol=1e-4)
    drawn = [json.dumps(one["drawn"]) for one in record["images"].values()]
    assert len(set(drawn)) == len(drawn)


def test_a_copy_does_not_depend_on_what_else_is_made(folder: Path) -> None:
    assert run("-i", folder / "in", "-o", folder / "all", "--repeats", 2, "--seed", 5) == 0
    one = ("-i", folder / "in" / "a.nii.gz", "--kind", "motion", "--format", ".nrrd")
    assert run(*one, "-o", folder / "one", "--seed", 5) == 0
    assert run(*one, "-o", folder / "other", "--seed", 6) == 0
    voxels = [
        read_volume(folder / name).voxels
        for name in ("all/motion/a_0.nii.gz", "one/motion/a_0.nrrd", "other/motion/a_0.nrrd")
    ]
    np.testing.assert_array_equal(voxels[0], voxels[1])
    assert (voxels[0] != voxels[2]).any()


def test_a_second_run_adds_to_the_record(folder: Path) -> None:
    for kind in ("bias", "spike"):
        assert run("-i", folder / "in" / "a.nii.gz", "-o", folder / "out", "--kind", kind) == 0
    record = json.loads((folder / "out" / "corruptions.json").read_text())
    assert list(record["images"]) == ["bias/a_0.nii.gz", "spike/a_0.nii.gz"]


def test_ranges_can_be_set(folder: Path) -> None:
    wide = ("--set", "ghosting.intensity=[0.1,0.1]", "--set", "ghosting.axes=[1]", "--as-published")
    assert run("-i", folder / "in", "-o", folder / "out", "--kind", "ghosting,motion", *wide) == 0
    images = json.loads((folder / "out" / "corruptions.json").read_text())["images"]
    assert {one["canvas"] for one in images.values()} == {192}
    drawn = images["ghosting/a_0.nii.gz"]["drawn"]
    assert (drawn["intensity"], drawn["axis"]) == (0.1, 1)
    assert images["motion/a_0.nii.gz"]["drawn"]["frame"] == "voxels"


def test_label_maps_are_left_out_and_a_bad_image_does_not_stop_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "in" / "a.nii.gz").write_bytes(b"nothing")
    assert run("-i", folder / "in", "-o", folder / "out", "--kind", "bias") == 1
    told = capsys.readouterr().err
    assert "a_seg.nii.gz" in told
    assert "1 of 2 images failed; the first, a.nii.gz" in told
    assert (folder / "out" / "bias" / "b_0.nii.gz").exists()


def test_copies_replace_no_input_and_not_each_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, _ = made_heart()
    write_volume(image, folder / "bias" / "a_0.nii.gz")
    write_volume(image, folder / "bias" / "a.nii.gz")
    assert run("-i", folder / "bias", "-o", folder, "--kind", "bias") == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert run("-i", folder / "in", "-i", folder / "bias" / "a.nii.gz", "-o", folder / "out") == 1
    assert "Two images are called 'a'" in capsys.readouterr().err


@pytest.mark.parametrize("kinds", ["fog", "", "bias,fog"])
def test_kinds_that_there_are_not_are_told(kinds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("-i", "x", "-o", "y", "--kind", kinds)
    assert "there are bias, spike, ghosting, motion" in capsys.readouterr().err


# -- counts --------------------------------------------------------------------------------------------------


def test_pixels_are_counted_over_all_images() -> None:
    counts = Confusion(3)
    counts.add(np.array([[0, 0, 1, 2]]), np.array([[0, 1, 1, 0]]))
    counts.add(np.array([1, 1], np.uint8), np.array([1, 0], np.uint8))
    assert counts.counts.tolist() == [[1, 1, 0], [1, 2, 0], [1, 0, 0]]
    assert counts.iou.tolist() == [1 / 4, 2 / 4, 0]
    assert counts.mean_iou == pytest.approx(0.25)
    assert counts.accuracy == pytest.approx(0.5)


def test_a_class_that_nobody_has_is_left_out_of_the_mean() -> None:
    counts = Confusion(4)
    assert np.isnan([counts.mean_iou, counts.accuracy]).all()
    counts.add(np.array([0, 1]), np.array([0, 1]))
    assert np.isnan(counts.iou).tolist() == [False, False, True, True]
    assert counts.mean_iou == 1


@pytest.mark.parametrize(
    ("truth", "found", "code"),
    [([0, 1], [0], "shape"), ([0, 3], [0, 1], "bad-labels"), ([0, 1], [0, -1], "bad-labels")],
)
def test_maps_that_cannot_be_counted_are_told(truth: Any, found: Any, code: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        Confusion(3).add(np.array(truth), np.array(found))
    assert caught.value.code == code
