"""WSS-CMER: tasks of the Decathlon and folders of BraTS patients become data sets, exactly as they lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from cmer_runs import run, tiny, trained
from SegToolkitLib.dataset.channels import read_channels
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer import msd
from SegToolkitLib.methods.cmer.brats import read_patients
from SegToolkitLib.methods.cmer.cases import object_values
from SegToolkitLib.methods.cmer.msd import import_task, read_task
from SegToolkitLib.methods.registry import commands_of
from SegToolkitLib.volume import Volume, read_volume

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = (6, 10, 8)
SPACING, ORIGIN = (0.625, 0.7, 3.5), (-31.5, 12.25, 88.0)


def rotated() -> np.ndarray:
    """Axes that are turned about all three."""
    a, b, c = 0.3, -0.2, 0.4
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return x @ y @ z


DIRECTIONS = {
    "straight": np.eye(3),
    "oblique": rotated(),
    "permuted": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
}


def image(seed: int, kind: Any, direction: np.ndarray) -> sitk.Image:
    """Voxels by chance, 2 to 199."""
    voxels = np.random.default_rng(seed).integers(2, 200, SHAPE).astype(kind)
    return placed(voxels, direction)


def mask(values: tuple[int, ...], direction: np.ndarray) -> sitk.Image:
    """A bar of each value in the middle slices."""
    voxels = np.zeros(SHAPE, np.uint8)
    for number, value in enumerate(values):
        voxels[2:4, 2:5, 2 + number] = value
    return placed(voxels, direction)


def placed(voxels: np.ndarray, direction: np.ndarray) -> sitk.Image:
    found = sitk.GetImageFromArray(voxels)
    found.SetSpacing(SPACING)
    found.SetOrigin(ORIGIN)
    found.SetDirection(direction.ravel().tolist())
    return found


def made_task(folder: Path, direction: np.ndarray = DIRECTIONS["oblique"], **changes: Any) -> Path:
    """A task of two cases with the frames T2 and ADC, an image for testing, and what macOS leaves behind."""
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / name).mkdir(parents=True)
    for id in (4, 16):
        frames = [image(10 * id + frame, np.float32, direction) for frame in (0, 1)]
        sitk.WriteImage(sitk.JoinSeries(frames), str(folder / "imagesTr" / f"prostate_{id:02d}.nii.gz"))
        labels = folder / "labelsTr" / f"prostate_{id:02d}.nii.gz"
        sitk.WriteImage(mask((1, 2), direction), str(labels))
        labels.with_name(f"._{labels.name}").write_bytes(b"\0\5\x16\7")
    (folder / "imagesTs" / "prostate_03.nii.gz").write_bytes(b"")
    (folder / "imagesTr" / "._prostate_04.nii.gz").write_bytes(b"\0\5\x16\7")
    facts: dict[str, Any] = {
        "name": "PROSTATE",
        "reference": "Radboud University",
        "licence": "CC-BY-SA 4.0",
        "tensorImageSize": "4D",
        "modality": {"0": "T2", "1": "ADC"},
        "labels": {"0": "background", "1": "PZ", "2": "TZ"},
        "training": [
            {"image": f"./imagesTr/prostate_{id:02d}.nii.gz", "label": f"./labelsTr/prostate_{id:02d}.nii.gz"}
            for id in (16, 4)
        ],
        "test": ["./imagesTs/prostate_03.nii.gz"],
    }
    facts = {name: value for name, value in (facts | changes).items() if value is not None}
    (folder / "dataset.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def made_patients(folder: Path, grade: str = "", direction: np.ndarray = DIRECTIONS["oblique"]) -> Path:
    """Two patients of BraTS, the second without a mask."""
    for number in (1, 2):
        id = f"BraTS19_2013_{number}_1"
        place = folder / grade / id
        place.mkdir(parents=True)
        for seed, end in enumerate(("t1", "t1ce", "t2", "flair")):
            file = place / f"{id}_{end}.nii.gz"
            sitk.WriteImage(image(10 * number + seed, np.int16, direction), str(file))
        if number == 1:
            sitk.WriteImage(mask((1, 2, 4), direction), str(place / f"{id}_seg.nii.gz"))
    return folder


def errors_of(dataset: Dataset) -> list[str]:
    """What a check complains of; that two patients are few for folds is a warning."""
    return [one.message for one in dataset.check() if one.severity == "error"]


def same_place(volume: Volume, direction: np.ndarray) -> bool:
    expected = Volume(np.zeros(SHAPE), SPACING, ORIGIN, direction)
    return volume.same_grid(expected, 1e-4)


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_frames_of_a_task_become_modalities_where_they_lay(direction: np.ndarray, tmp_path: Path) -> None:
    task = made_task(tmp_path / "Task05_Prostate", direction)
    found = run("prepare", "--msd", task, "--out", tmp_path / "set")
    assert found["folders"] == {str(tmp_path / "set"): ["prostate_16", "prostate_04"]}
    dataset = Dataset.open(tmp_path / "set")
    facts = dataset.description
    assert (facts.name, facts.modality, tuple(facts.channels)) == ("PROSTATE", "MR", ("T2", "ADC"))
    assert facts.labels == {"background": 0, "PZ": 1, "TZ": 2}
    assert facts.licence is not None
    assert (facts.licence.name, facts.citation) == ("CC-BY-SA 4.0", "Radboud University")
    assert dataset.ids == ["prostate_04", "prostate_16"]
    assert errors_of(dataset) == []
    for case, id in zip(dataset.cases, (4, 16), strict=True):
        images, label = read_channels(case, ("adc", "t2"))
        assert label is not None
        for name, frame in (("t2", 0), ("adc", 1)):
            expected = sitk.GetArrayFromImage(image(10 * id + frame, np.float32, direction))
            np.testing.assert_array_equal(images[name].voxels, expected)
            assert images[name].voxels.dtype == np.float32
            assert same_place(images[name], direction)
        np.testing.assert_array_equal(label.voxels, sitk.GetArrayFromImage(mask((1, 2), direction)))
        assert same_place(label, direction)
        # Both of NIfTI's ways to say it, as the task's own label has them.
        for file in (*case.images.values(), case.label):
            ours, theirs = (
                sitk.ReadImage(str(one)) for one in (file, task / "labelsTr" / f"prostate_{id:02d}.nii.gz")
            )
            keys = [key for key in theirs.GetMetaDataKeys() if key.startswith(("srow", "qoffset", "quatern"))]
            assert len(keys) >= 9
            for key in keys:
                pair = [np.array(one.GetMetaData(key).split(), float) for one in (ours, theirs)]
                np.testing.assert_allclose(pair[0], pair[1], atol=1e-4)


def test_modalities_are_chosen_by_name_and_in_the_order_wanted(tmp_path: Path) -> None:
    task = made_task(tmp_path / "task")
    run("prepare", "--msd", task, "--out", tmp_path / "set", "--modalities", "adc, T2")
    dataset = Dataset.open(tmp_path / "set")
    assert tuple(dataset.description.channels) == ("ADC", "T2")
    first = read_volume(dataset.case("prostate_04").image).voxels
    expected = sitk.GetArrayFromImage(image(41, np.float32, DIRECTIONS["oblique"]))
    np.testing.assert_array_equal(first, expected)


def test_a_task_without_a_list_has_the_files_of_its_folders(tmp_path: Path) -> None:
    task = read_task(made_task(tmp_path / "task", training=None))
    assert list(task.cases) == ["prostate_04", "prostate_16"]
    assert task.without_masks == 1


def test_a_file_is_read_once_for_all_its_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = msd._read
    monkeypatch.setattr(msd, "_read", lambda path: read.append(path.name) or whole(path))
    import_task(made_task(tmp_path / "task"), tmp_path / "set")
    assert read == ["prostate_16.nii.gz", "prostate_04.nii.gz"]


def test_a_prepared_task_trains(tmp_path: Path) -> None:
    run("prepare", "--msd", made_task(tmp_path / "task"), "--out", tmp_path / "set")
    dataset = Dataset.open(tmp_path / "set")
    model = trained(dataset, tmp_path / "run", tiny("optimiser.epochs=1", "data.fold=null"))
    assert (model / "model.json").is_file()


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"modality": {"0": "MRI"}}, "one-modality", "MRI"),
        ({"modality": {"0": "T2", "1": "ADC", "2": "DWI"}}, "frames", "has 2 frames"),
        ({"modality": {"0": "T2", "1": "t2"}}, "bad-task", "share a name"),
        ({"modality": {"1": "T2", "2": "ADC"}}, "bad-task", "'modality'"),
        ({"modality": None}, "bad-task", "'modality' is None"),
        ({"labels": {"background": 0}}, "bad-task", "'labels'"),
        ({"labels": {"0": "background", "1": "PZ", "3": "TZ"}}, "label-gap", "0, 1, 3"),
        ({"labels": {"0": "background", "1": "PZ"}}, "unknown-label", "the value 2"),
        ({"training": [{"image": "imagesTr/x.nii.gz"}]}, "bad-task", "'training'"),
        (
            {"training": [{"image": "./imagesTr/x.nii.gz", "label": "../../labelsTr/x.nii.gz"}]},
            "missing-files",
            "2 files",
        ),
        ({"channel_names": {"0": "T2"}, "file_ending": ".nii.gz"}, "bad-task", "already"),
    ],
)
def test_a_task_that_does_not_fit_is_refused_and_leaves_nothing(
    changes: dict[str, Any], code: str, words: str, tmp_path: Path
) -> None:
    task = made_task(tmp_path / "task", **changes)
    with pytest.raises(SegToolkitError) as caught:
        run("prepare", "--msd", task, "--out", tmp_path / "new" / "set")
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.hint
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("what", ["images", "label"])
def test_volumes_that_do_not_fit_the_task_are_refused(what: str, tmp_path: Path) -> None:
    task = made_task(tmp_path / "task")
    oblique = DIRECTIONS["oblique"]
    if what == "images":
        sitk.WriteImage(image(1, np.float32, oblique), str(task / "imagesTr" / "prostate_04.nii.gz"))
    else:
        label = mask((1, 2), DIRECTIONS["straight"])
        sitk.WriteImage(label, str(task / "labelsTr" / "prostate_04.nii.gz"))
    with pytest.raises(SegToolkitError) as caught:
        import_task(task, tmp_path / "set")
    assert caught.value.code == {"images": "frames", "label": "label-grid"}[what]
    assert not (tmp_path / "set").exists()


def test_a_preparation_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    class Cancelled(Reporter):
        def progress(self, phase: str, step: int, total: int, **values: Any) -> None:
            raise KeyboardInterrupt

    for option, source in (
        ("--msd", made_task(tmp_path / "task")),
        ("--brats", made_patients(tmp_path / "brats")),
    ):
        command = commands_of("cmer")["prepare"]
        from argparse import ArgumentParser

        parser = ArgumentParser()
        command.add_arguments(parser)
        options = parser.parse_args([option, str(source), "--out", str(tmp_path / "new" / "set")])
        with pytest.raises(KeyboardInterrupt):
            command.run(options, Cancelled())
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("option", ["--msd", "--brats"])
def test_a_data_set_that_is_there_stays(option: str, tmp_path: Path) -> None:
    made = {"--msd": made_task, "--brats": made_patients}[option]
    source = made(tmp_path / "source")
    run("prepare", option, source, "--out", tmp_path / "set")
    before = {path: path.read_bytes() for path in (tmp_path / "set").rglob("*") if path.is_file()}
    assert before
    with pytest.raises(SegToolkitError) as caught:
        run("prepare", option, source, "--out", tmp_path / "set")
    assert caught.value.code == "dataset-exists"
    after = {path: path.read_bytes() for path in (tmp_path / "set").rglob("*") if path.is_file()}
    assert after == before


def test_a_task_is_not_written_into_itself(tmp_path: Path) -> None:
    task = made_task(tmp_path / "task")
    before = (task / "dataset.json").read_bytes()
    with pytest.raises(SegToolkitError) as caught:
        import_task(task, task)
    assert caught.value.code == "dataset-exists"
    assert (task / "dataset.json").read_bytes() == before


@pytest.mark.parametrize("grade", ["", "HGG"])
@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_patients_of_brats_are_listed_where_they_lie(
    grade: str, direction: np.ndarray, tmp_path: Path
) -> None:
    root = made_patients(tmp_path / "MICCAI", grade, direction)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    run("prepare", "--brats", root, "--out", tmp_path / "set")
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert [path.name for path in (tmp_path / "set").rglob("*")] == ["dataset.json"]
    dataset = Dataset.open(tmp_path / "set")
    assert tuple(dataset.description.channels) == ("T1", "T1c", "T2", "Flair")
    assert dataset.ids == ["BraTS19_2013_1_1", "BraTS19_2013_2_1"]
    # The whole tumour, as the authors take it.
    assert object_values(dataset, None) == (1, 2, 3, 4)
    assert errors_of(dataset) == []
    images, label = read_channels(dataset.cases[0], ("Flair", "T1"))
    for name, seed in (("Flair", 13), ("T1", 10)):
        expected = sitk.GetArrayFromImage(image(seed, np.int16, direction))
        np.testing.assert_array_equal(images[name].voxels, expected)
        assert same_place(images[name], direction)
    assert label is not None
    assert np.unique(label.voxels).tolist() == [0, 1, 2, 4]
    assert dataset.cases[1].label is None
    assert dataset.cases[1].unlabelled


def test_a_description_beside_the_patients_can_be_moved_with_them(tmp_path: Path) -> None:
    root = made_patients(tmp_path / "brats")
    run("prepare", "--brats", root, "--out", root, "--modalities", "t1,t2")
    moved = root.rename(tmp_path / "elsewhere")
    dataset = Dataset.open(moved)
    assert tuple(dataset.description.channels) == ("T1", "T2")
    assert all(file.is_file() for case in dataset.cases for file in case.images.values())
    model = trained(
        dataset,
        tmp_path / "run",
        tiny('data.modalities=["T1","T2"]', "data.fold=null", "optimiser.epochs=1"),
    )
    assert (model / "model.json").is_file()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("missing", "BraTS19_2013_1_1_t2.nii.gz"),
        ("size", "differ in size"),
        ("value", "the value 7"),
        ("damaged", "_t2.nii.gz cannot be read"),
    ],
)
def test_a_patient_that_does_not_fit_is_left_out_and_told(change: str, words: str, tmp_path: Path) -> None:
    root = made_patients(tmp_path / "brats")
    place = root / "BraTS19_2013_1_1"
    t2, seg = (place / f"BraTS19_2013_1_1_{end}.nii.gz" for end in ("t2", "seg"))
    if change == "missing":
        t2.unlink()
    elif change == "damaged":
        t2.write_bytes(b"nothing")
    elif change == "size":
        sitk.WriteImage(image(1, np.int16, np.eye(3))[:, :, 1:], str(t2))
    else:
        sitk.WriteImage(mask((1, 7), DIRECTIONS["oblique"]), str(seg))
    found = read_patients(root)
    assert list(found.images) == ["BraTS19_2013_2_1"]
    assert words in found.left_out["BraTS19_2013_1_1"]
    made = run("prepare", "--brats", root, "--out", tmp_path / "set")
    assert list(made["left_out"]) == ["BraTS19_2013_1_1"]
    # Of those that are wanted alone it may have all.
    names = ("T1", "Flair")
    assert ("BraTS19_2013_1_1" in read_patients(root, names).images) == (change != "value")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--modalities", "T1,T9"), "no-channel"),
        (("--modalities", "T1"), "one-modality"),
        (("--modalities", "T1,t1"), "same-name"),
        (("--structure", "tumour"), "bad-choice"),
        (("--spacing", 1, 1, 1), "bad-choice"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(words: tuple[Any, ...], code: str, tmp_path: Path) -> None:
    for option, source in (
        ("--msd", made_task(tmp_path / "task")),
        ("--brats", made_patients(tmp_path / "brats")),
    ):
        changed = ["T2,T9" if one == "T1,T9" else one for one in words]
        changed = ["T2" if one == "T1" else "T2,t2" if one == "T1,t1" else one for one in changed]
        with pytest.raises(SegToolkitError) as caught:
            run("prepare", option, source, "--out", tmp_path / "new", *changed)
        assert caught.value.code == code
        assert not (tmp_path / "new").exists()


def test_a_folder_without_patients_or_task_is_told(tmp_path: Path) -> None:
    for option, code in (("--msd", "no-task"), ("--brats", "no-cases")):
        with pytest.raises(SegToolkitError) as caught:
            run("prepare", option, tmp_path, "--out", tmp_path / "new")
        assert caught.value.code == code


def test_a_folder_of_patients_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError) as refused:
        read_patients(tmp_path / "BraTS")
    assert refused.value.code == "no-folder"
    assert refused.value.message == f"There is no folder {tmp_path / 'BraTS'}."
