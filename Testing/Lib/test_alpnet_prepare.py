"""Preparation: the authors' numbers, right geometry, whole data sets, and the test protocol."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from SegToolkitLib.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet import prepare
from SegToolkitLib.methods.alpnet.classmap import read_class_map
from SegToolkitLib.methods.alpnet.prepare import PrepareSettings, prepare_dataset, prepare_generic
from SegToolkitLib.methods.alpnet.protocol import chunk_of, scan_scores, support_slices
from SegToolkitLib.volume import Volume, onto_grid, read_volume, write_volume
from test_dataset_chaos import organs, write_scan

ROOT = Path(__file__).parents[2]
SMALL = PrepareSettings(modality="MR", clip_top=0.5, spacing=(2.0, 2.0, 4.0), size=24)
ANGLE = 0.3
OBLIQUE = np.array([[math.cos(ANGLE), math.sin(ANGLE), 0], [math.sin(ANGLE), -math.cos(ANGLE), 0], [0, 0, 1]])


@pytest.fixture(scope="module")
def parity() -> dict[str, np.ndarray]:
    given = os.environ.get("SEGTOOLKIT_PARITY")
    places = [Path(given), Path(given) / "alpnet"] if given else []
    places += [ROOT / "Testing" / "Data" / "parity" / "alpnet", ROOT.parent / "shared" / "parity" / "alpnet"]
    for place in places:
        if (place / "preprocess_protocol.npz").is_file():
            with np.load(place / "preprocess_protocol.npz") as arrays:
                return dict(arrays)
    pytest.fail(f"no preprocess_protocol.npz in {', '.join(map(str, places))}")


@pytest.mark.parametrize(("name", "tolerance"), [("ct", 0.05), ("mr", 1.0)])
def test_arrays_match_the_authors(parity: dict[str, np.ndarray], name: str, tolerance: float) -> None:
    function = {"ct": prepare.prepare_ct_arrays, "mr": prepare.prepare_mr_arrays}[name]
    image, label = function(parity[f"{name}_input"], parity[f"{name}_label"], parity[f"{name}_spacing"])
    assert image.shape == parity[f"{name}_out"].shape
    assert np.abs(image - parity[f"{name}_out"]).max() <= tolerance
    assert label is not None
    assert np.mean(label == parity[f"{name}_label_out"]) >= 0.999


def test_protocol_matches_the_authors(parity: dict[str, np.ndarray]) -> None:
    assert (
        support_slices(parity["support_slices_with_organ"].tolist(), 3) == parity["support_slices"].tolist()
    )
    zmin, zmax = parity["query_zrange"].tolist()
    assert [chunk_of(z, zmin, zmax, 3) for z in parity["query_z"].tolist()] == parity["query_part"].tolist()
    scores = [scan_scores(*pair) for pair in zip(parity["pred"], parity["gt"], strict=True)]
    assert [one.dice for one in scores] == pytest.approx(parity["dice_per_scan"].tolist(), abs=1e-6)
    means = [np.mean([one.precision for one in scores]), np.mean([one.recall for one in scores])]
    assert means == pytest.approx(parity["precision_recall"].tolist(), abs=1e-6)


def test_protocol_at_its_edges() -> None:
    assert support_slices([4], 3) == [4, 4, 4]
    assert support_slices([9, 3, 5, 7], 1) == [7]
    assert chunk_of(8, 5, 5) == 0
    assert [chunk_of(z, 10, 19) for z in (-50, 10, 19, 99)] == [0, 0, 2, 2]
    for slices, parts in (([1], 2), ([], 3)):
        with pytest.raises(SegToolkitError):
            support_slices(slices, parts)
    nothing, something = np.zeros((2, 3, 3)), np.ones((2, 3, 3))
    assert math.isnan(scan_scores(nothing, nothing).dice)
    missed = scan_scores(nothing, something)
    assert (missed.dice, missed.recall, math.isnan(missed.precision)) == (0, 0, True)


def test_clipping_truncates_the_threshold_in_integer_images() -> None:
    image = np.arange(1000, dtype=np.int16).reshape(10, 10, 10)
    clipped = prepare.clip_top(image, 0.5)
    assert clipped.dtype == np.int16
    assert clipped.max() == 994  # the percentile is 994.005
    assert np.array_equal(clipped[image <= 994], image[image <= 994])


@pytest.mark.parametrize(("rows", "columns"), [(300, 200), (256, 257), (31, 400)])
def test_cropping_keeps_the_middle_pixel_in_the_middle(rows: int, columns: int) -> None:
    array = np.zeros((1, rows, columns))
    array[0, rows // 2, columns // 2] = 5
    result = prepare.centre_crop_pad(array, 256, fill=-1)
    assert result.shape == (1, 256, 256)
    assert result[0, 128, 128] == 5
    assert (result == -1).sum() == 256 * 256 - min(rows, 256) * min(columns, 256)


def test_steps_refuse_what_they_cannot_do() -> None:
    with pytest.raises(SegToolkitError, match="Hounsfield"):
        prepare.window_to_255(np.full((2, 3, 3), 4000))
    with pytest.raises(SegToolkitError, match="border of 2 pixels"):
        prepare.cut_border(np.zeros((2, 9, 4)), 2)
    with pytest.raises(SegToolkitError, match="did you mean 'clip_top'"):
        PrepareSettings.parse({"clip_to": 1})
    with pytest.raises(SegToolkitError, match="not both"):
        PrepareSettings.parse({"spacing": (1, 1, 1), "spacing_factor": (2, 2, 1)})


def marked(spacing: tuple[float, float, float], direction: np.ndarray) -> tuple[Volume, Volume]:
    """An image with a bright ball off the centre, and the ball as its label."""
    k, j, i = np.indices((12, 60, 50))
    ball = ((i - 30) * spacing[0]) ** 2 + ((j - 24) * spacing[1]) ** 2 + ((k - 5) * spacing[2]) ** 2 < 80
    image = np.where(ball, 200, -40).astype(np.int16)
    origin = (11.0, -70.0, 33.0)
    return Volume(image, spacing, origin, direction), Volume(
        ball.astype(np.uint8), spacing, origin, direction
    )


def centre(label: Volume) -> np.ndarray:
    ijk = np.argwhere(label.voxels)[:, ::-1]
    return np.asarray(label.world(ijk).mean(axis=0))


@pytest.mark.parametrize(
    "direction", [np.eye(3), np.diag([1.0, -1, 1]), OBLIQUE], ids=["LPS", "LAS", "oblique"]
)
@pytest.mark.parametrize(
    "settings",
    [
        PrepareSettings(modality="MR", spacing=(1.1, 1.3, 2.5), size=40),
        PrepareSettings(modality="MR", spacing=(1.1, 1.3, 2.5), size=96),
        PrepareSettings(modality="MR", size=41, border=3),
        PrepareSettings(modality="CT", window=(-125, 275), border=5, spacing_factor=(1.75, 1.75, 1)),
    ],
    ids=["crop", "pad", "crop without resampling", "ct"],
)
def test_a_marker_keeps_its_place_in_the_world(direction: np.ndarray, settings: PrepareSettings) -> None:
    image, label = marked((0.9, 1.2, 3.0), direction)
    prepared, ball = prepare_generic(image, label, settings)
    assert ball is not None
    assert ball.same_grid(prepared)
    assert np.allclose(prepared.direction, direction)
    assert np.linalg.norm(centre(ball) - centre(label)) < 0.3
    half = (int(prepared.voxels.max()) + int(prepared.voxels.min())) / 2
    assert np.mean((prepared.voxels > half) == (ball.voxels > 0)) > 0.999
    back = onto_grid(ball, label, label=True)
    assert 2 * np.sum(back.voxels & label.voxels) / (back.voxels.sum() + label.voxels.sum()) > 0.9


def test_the_authors_geometry_lies_beside_the_patient_by_what_was_cut() -> None:
    image, label = marked((0.9, 1.2, 3.0), OBLIQUE)
    settings = PrepareSettings(modality="MR", border=5, authors_geometry=True)
    wrong, ball = prepare_generic(image, label, settings)
    assert wrong.origin == image.origin
    assert ball is not None
    assert np.linalg.norm(centre(ball) - centre(label)) == pytest.approx(5 * math.hypot(0.9, 1.2), abs=1e-6)


def test_ct_refuses_what_is_not_in_hounsfield_units() -> None:
    image = Volume(np.full((3, 90, 90), 7, np.int16), (1, 1, 1), (0, 0, 0), np.eye(3))
    with pytest.raises(SegToolkitError, match="CT"):
        prepare.prepare_ct(image)


def raw_set(folder: Path, bad: int | None = None) -> Path:
    folder.mkdir()
    facts = {
        "name": "tiny",
        "modality": "MR",
        "labels": {"background": 0, "ball": 1},
        "fold_borders": [0, 1, 3],
        "image_pattern": "scan{id}.nii.gz",
        "label_pattern": "truth{id}.nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(facts))
    for id in (2, 5, 11):
        image, label = marked((0.9 + id / 100, 1.2, 3.0), OBLIQUE)
        write_volume(image, folder / f"scan{id:02d}.nii.gz")
        write_volume(label, folder / f"truth{id:02d}.nii.gz")
    if bad is not None:
        (folder / f"scan{bad:02d}.nii.gz").write_bytes(b"broken")
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_a_described_folder_is_prepared_whole(tmp_path: Path, workers: int) -> None:
    raw, told = raw_set(tmp_path / "raw"), []
    dataset = prepare_dataset(
        "generic", raw, tmp_path / "out", SMALL, workers, lambda done, total, text: told.append((done, total))
    )
    assert dataset.ids == ["2", "5", "11"]
    assert dataset.check() == []
    assert (dataset.description.fold_borders, dataset.description.size) == ([0, 1, 3], (24, 24))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    slices = read_class_map(tmp_path / "out" / "classmap_1.json")["ball"]["11"]
    label = read_volume(tmp_path / "out" / "label_11.nii.gz", label=True)
    assert slices == np.flatnonzero(label.voxels.any(axis=(1, 2))).tolist()
    assert (tmp_path / "out" / "check.png").stat().st_size > 1000
    facts = json.loads((tmp_path / "out" / "prepare.json").read_text())["cases"]["11"]
    assert facts["original_grid"]["spacing_mm"] == pytest.approx([1.01, 1.2, 3.0])
    assert facts["prepared_grid"] == pytest_approx_grid(label)


def pytest_approx_grid(volume: Volume) -> dict[str, object]:
    described = volume.grid.describe()
    for key in ("spacing_mm", "origin_lps_mm"):
        described[key] = pytest.approx(described[key], abs=1e-4)
    described["direction"] = [pytest.approx(row, abs=1e-5) for row in described["direction"]]
    return dict(described)


def test_what_is_prepared_is_not_prepared_again(tmp_path: Path) -> None:
    raw, out = raw_set(tmp_path / "raw"), tmp_path / "out"
    prepare_dataset("generic", raw, out, SMALL, 1)
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}
    image, _ = marked((1.5, 1.5, 3.0), np.eye(3))
    write_volume(image, raw / "scan05.nii.gz")
    (raw / "truth05.nii.gz").unlink()
    (out / "label_11.nii.gz").unlink()
    prepare_dataset("generic", raw, out, SMALL, 1)
    now = {path.name: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}
    changed = {name for name in times if now.get(name) != times[name]}
    assert changed == {"image_5.nii.gz", "label_5.nii.gz", "image_11.nii.gz", "label_11.nii.gz"}
    assert Dataset.open(out).case(5).label is None


def test_other_settings_never_mix_with_what_is_there(tmp_path: Path) -> None:
    raw, out = raw_set(tmp_path / "raw"), tmp_path / "out"
    prepare_dataset("generic", raw, out, SMALL, 1)
    other = SMALL.model_copy(update={"size": 32})
    with pytest.raises(SegToolkitError) as caught:
        prepare_dataset("generic", raw, out, other, 1)
    assert caught.value.code == "settings-differ"
    (raw / "scan05.nii.gz").write_bytes(b"broken")
    with pytest.raises(SegToolkitError, match="1 of 3 cases"):
        prepare_dataset("generic", raw, out, other, 1, overwrite=True)
    assert Dataset.open(out).ids == ["2", "11"]


@pytest.mark.parametrize("workers", [1, 2])
def test_one_bad_case_does_not_lose_the_others(tmp_path: Path, workers: int) -> None:
    raw = raw_set(tmp_path / "raw", bad=5)
    with pytest.raises(SegToolkitError) as caught:
        prepare_dataset("generic", raw, tmp_path / "out", SMALL, workers)
    assert caught.value.code == "cases-failed"
    assert "1 of 3 cases" in caught.value.message
    assert "scan05.nii.gz" in caught.value.message
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.ids == ["2", "11"]
    assert dataset.description.fold_borders is None  # they counted the lost case


def test_chaos_is_prepared_from_its_raw_layout(tmp_path: Path) -> None:
    grey = organs()
    write_scan(tmp_path, grey, grey.astype(np.int16) * 3, descending=True)
    dataset = prepare_dataset("chaos", tmp_path, tmp_path / "out", workers=1)
    assert (dataset.ids, dataset.description.name) == (["7"], "CHAOST2")
    image, label = dataset.read(dataset.case(7))
    assert label is not None
    assert image.voxels.shape[1:] == (256, 256)
    assert image.spacing == pytest.approx((1.25, 1.25, 7.7))
    assert set(np.unique(label.voxels)) == {0, 1, 2, 3, 4}
    assert image.voxels[label.voxels == 4].mean() > image.voxels[label.voxels == 1].mean() > 0


def test_synapse_is_prepared_from_its_raw_layout(tmp_path: Path) -> None:
    _, j, i = np.indices((4, 120, 120))
    organ = ((i - 50) ** 2 + (j - 66) ** 2 < 120).astype(np.uint8) * 6
    hounsfield = np.where(organ > 0, 100, -1000).astype(np.int16)
    for folder, name, voxels in (("img", "img0001", hounsfield), ("label", "label0001", organ)):
        write_volume(
            Volume(voxels, (0.8, 0.8, 3), (5, 6, 7), np.diag([-1, -1, 1])),
            tmp_path / folder / f"{name}.nii.gz",
        )
    dataset = prepare_dataset("sabs", tmp_path, tmp_path / "out", workers=1)
    image, label = dataset.read(dataset.case(0))
    assert (dataset.description.name, dataset.description.modality) == ("SABS", "CT")
    assert label is not None
    assert image.voxels.shape == (5, 33, 33)  # 120 - 64 = 56 pixels, 56 / 1.75 + 1; one slice more, of zeros
    assert (image.voxels.min(), image.voxels.max()) == (0, 255)
    assert not image.voxels[4].any()
    # The organ's middle, pixel (50, 66) of the raw scan, stays where it is in the patient.
    assert centre(label)[:2] == pytest.approx([5 - 50 * 0.8, 6 - 66 * 0.8], abs=0.3)


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    raw = raw_set(tmp_path / "raw")
    with pytest.raises(SegToolkitError, match="the settings say CT"):
        prepare_dataset("generic", raw, tmp_path / "out", prepare.CT_SETTINGS, 1)
    with pytest.raises(SegToolkitError, match="folder of the raw scans"):
        prepare_dataset("generic", raw, raw, SMALL, 1)
    with pytest.raises(SegToolkitError, match="no source 'nnunet'"):
        prepare_dataset("nnunet", raw, tmp_path / "out", SMALL, 1)  # type: ignore[arg-type]
