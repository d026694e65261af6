"""Data sets of several registered modalities: reading, checking, writing, and the PNG layouts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmer_runs import made_dataset, made_patient
from dataset_cases import nnunet_complaints
from SegToolkitLib.cli import main
from SegToolkitLib.dataset import Dataset, DatasetDescription
from SegToolkitLib.dataset.channels import on_one_grid, read_channels
from SegToolkitLib.dataset.checks import check
from SegToolkitLib.dataset.new_cases import NewCase, Structure, cases_of
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.dataset.png_slices import import_slices, read_slices
from SegToolkitLib.dataset.splits import read_splits
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import Volume, read_volume, write_volume

FACTS = {
    "name": "two",
    "modality": "MR",
    "labels": {"background": 0},
    "image_pattern": "image_{id}_{channel}.nii.gz",
    "channels": {"T2": "t2", "ADC": "adc"},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("balls"))


def shifted(volume: Volume, mm: float) -> Volume:
    x, y, z = volume.origin
    return Volume(volume.voxels, volume.spacing, (x + mm, y, z), volume.direction)


def test_a_case_has_all_images_and_one_for_methods_that_take_one(dataset: Dataset) -> None:
    case = dataset.case("2")
    assert {name: file.name for name, file in case.images.items()} == {
        "T2": "image_02_t2.nii.gz",
        "ADC": "image_02_adc.nii.gz",
    }
    assert case.image == case.images["T2"]
    chosen = DatasetDescription.parse({**FACTS, "channel": "adc"})
    assert Dataset(chosen, dataset.folder).case("2").image == case.images["ADC"]
    images, label = read_channels(case, ["adc", "t2"])
    assert list(images) == ["adc", "t2"]
    np.testing.assert_array_equal(images["t2"].voxels, dataset.read(case)[0].voxels)
    assert label is not None
    assert label.same_grid(images["adc"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channel": "flair"}, "none of 'channels'"),
        ({"channels": {"T2": "t2", "ADC": "t2"}}, "text of its own"),
        ({"image_pattern": "image_{id}.nii.gz"}, "{channel}"),
    ],
)
def test_a_description_whose_channels_cannot_be_meant_is_refused(
    change: dict[str, object], words: str
) -> None:
    with pytest.raises(SegToolkitError) as caught:
        DatasetDescription.parse({**FACTS, **change})
    assert words in caught.value.message


def test_images_on_other_voxels_are_refused_or_resampled() -> None:
    t2, adc, _ = made_patient()
    coarse = Volume(adc.voxels[:, ::2, ::2], (3.0, 3.0, 5.0), adc.origin, adc.direction)
    for other in (shifted(adc, 1.5), coarse):
        with pytest.raises(SegToolkitError) as caught:
            on_one_grid({"T2": t2, "ADC": other}, "case 1")
        assert caught.value.code == "channel-grid"
        assert "--resample" in caught.value.hint
        assert "General Registration" in caught.value.hint
        found = on_one_grid({"T2": t2, "ADC": other}, "case 1", resample=True)["ADC"]
        assert found.same_grid(t2)
    moved = on_one_grid({"T2": t2, "ADC": shifted(adc, -1.5)}, "case 1", resample=True)["ADC"]
    # i runs against x, so that 1.5 mm less of x are one column more.
    np.testing.assert_array_equal(moved.voxels[:, :, 1:], adc.voxels[:, :, :-1])
    # Rounding of headers is put back.
    assert on_one_grid({"T2": t2, "ADC": shifted(adc, 1e-3)}, "case 1")["ADC"].same_grid(t2, 0)
    with pytest.raises(SegToolkitError) as caught:
        on_one_grid({"T2": t2, "ADC": shifted(adc, 500)}, "case 1", resample=True)
    assert caught.value.code == "no-overlap"


def test_a_channel_that_there_is_not_is_told(dataset: Dataset) -> None:
    with pytest.raises(SegToolkitError) as caught:
        read_channels(dataset.case("1"), ["T2", "flair"])
    assert caught.value.code == "no-channel"
    assert "T2, ADC" in caught.value.message


def test_the_check_looks_at_every_channel(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path, 5)
    assert check(dataset, workers=1) == []
    _t2, adc, _ = made_patient(1)
    write_volume(shifted(adc, 10), tmp_path / "image_01_adc.nii.gz")
    (tmp_path / "image_02_adc.nii.gz").unlink()
    write_volume(made_patient(3)[0], tmp_path / "image_03_adc.nii.gz")
    write_volume(adc.with_voxels(np.full(adc.shape, 7)), tmp_path / "image_04_adc.nii.gz")
    (tmp_path / "image_05_t2.nii.gz").unlink()
    problems = {(one.case, one.code) for one in check(Dataset.open(tmp_path), workers=1)}
    expected = {
        ("1", "channel-grid"),
        ("2", "missing-file"),
        ("3", "same-channels"),
        ("4", "constant-image"),
        ("", "no-image"),
    }
    assert expected <= problems


def test_a_data_set_of_channels_is_written_read_and_extended(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "Dataset7"
    add_cases(folder, dataset.description, list(cases_of(dataset, ["1", "2"])))
    t2, adc, mask = made_patient(9)
    new = NewCase("x", t2, mask, {1: Structure(name="ball")}, channels={"ADC": adc, "T2": t2})
    bare = NewCase("y", t2, channels={"T2": t2, "ADC": adc})
    add_cases(folder, None, [new, bare])
    assert nnunet_complaints(folder) == []
    opened = Dataset.open(folder)
    assert opened.description.channels == {"T2": "0000", "ADC": "0001"}
    images, label = read_channels(opened.case("x"))
    np.testing.assert_array_equal(images["ADC"].voxels, adc.voxels)
    assert label is not None
    images, label = read_channels(opened.case("y"))
    assert label is None
    np.testing.assert_array_equal(images["ADC"].voxels, adc.voxels)
    # x and y have the same images, and there are too few cases for five folds.
    assert {one.code for one in check(opened, workers=1)} == {"duplicate-image", "folds"}


def test_a_case_without_all_channels_is_refused_and_leaves_nothing(dataset: Dataset, tmp_path: Path) -> None:
    t2, adc, _ = made_patient()
    add_cases(tmp_path, dataset.description, list(cases_of(dataset, ["1"])))
    before = (tmp_path / "dataset.json").read_text()
    for case, code in (
        (NewCase("a", t2), "several-channels"),
        (NewCase("a", t2, channels={"T2": t2, "flair": adc}), "several-channels"),
        (NewCase("a", t2, channels={"T2": t2, "ADC": shifted(adc, 9)}), "channel-grid"),
    ):
        with pytest.raises(SegToolkitError) as caught:
            add_cases(tmp_path, None, [case])
        assert caught.value.code == code
    assert (tmp_path / "dataset.json").read_text() == before
    add_cases(tmp_path, None, [NewCase("a", t2, channels={"T2": t2, "ADC": shifted(adc, 9)})], resample=True)
    assert read_channels(Dataset.open(tmp_path).case("a"))[0]["ADC"].same_grid(t2, 0.01)


def test_the_command_line_makes_data_sets_of_channels(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    t2, adc, mask = made_patient()
    files = {name: tmp_path / f"{name}.nrrd" for name in ("t2", "adc", "mask")}
    for volume, file in zip((t2, adc, mask), files.values(), strict=True):
        write_volume(volume, file)
    given = ["--image", f"T2={files['t2']}", "--channel", f"ADC={files['adc']}"]
    given += ["--label", str(files["mask"]), "--structures", "1=ball", "--name", "anna"]
    out = tmp_path / "made"
    assert main(["dataset", "create", str(out), "--modality", "MR", *given]) == 0
    assert main(["dataset", "show", str(out)]) == 0
    assert "T2, ADC" in "".join(capsys.readouterr())
    assert main(["dataset", "check", str(out), "--strict"]) == 0
    # A file alone does not fit, and is refused in a sentence.
    assert main(["dataset", "add", str(out), "--image", str(files["t2"]), "--name", "bert"]) != 0


def pictures(root: Path, prefix: str = "MR_", parts: tuple[str, ...] = ("train", "val", "test")) -> None:
    """Two patients in train, one in each other part; slices 2, 9 and 10, without zeros in front."""
    for n, part in enumerate(parts):
        for patient in ("p_1", "p_2") if part == "train" else (f"q{n}",):
            for number in (2, 9, 10):
                for place, value in ((f"{prefix}T2", number), (f"{prefix}ADC", 100 + number), ("GT", 255)):
                    plane = np.zeros((6, 5), np.uint8)
                    plane[1:3, 1:4] = value if place != "GT" or number > 2 else 0
                    file = root / part / place / f"{patient}_{number}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(plane).save(file)


@pytest.mark.parametrize("prefix", ["MR_", ""])
def test_png_slices_become_volumes_in_the_order_of_their_numbers(prefix: str, tmp_path: Path) -> None:
    pictures(tmp_path / "raw", prefix)
    heard: list[str] = []
    made = import_slices(
        tmp_path / "raw", tmp_path / "set", ["T2", "ADC"], tell=lambda text, hint: heard.append(text)
    )
    assert {folder.name: cases for folder, cases in made.items()} == {
        "set": ["p_1", "p_2", "q1"],
        "set-test": ["q2"],
    }
    dataset = Dataset.open(tmp_path / "set")
    images, label = read_channels(dataset.case("p_1"))
    assert images["ADC"].voxels[:, 1, 1].tolist() == [102, 109, 110]
    assert label is not None
    assert label.voxels[:, 1, 1].tolist() == [0, 1, 1]
    splits = read_splits(dataset)
    assert splits is not None
    assert splits[0].val == ("q1",)
    assert len(heard) == 4
    assert "gaps" in heard[0]


def test_png_slices_that_lack_something_are_named(tmp_path: Path) -> None:
    pictures(tmp_path, parts=("train",))
    (tmp_path / "train" / "MR_ADC" / "p_1_9.png").unlink()
    (tmp_path / "train" / "GT" / "p_2_2.png").unlink()
    with pytest.raises(SegToolkitError) as caught:
        read_slices(tmp_path)
    assert caught.value.code == "missing-slices"
    assert "train/MR_ADC/p_1_9.png" in caught.value.message
    assert "train/GT/p_2_2.png" in caught.value.message
    with pytest.raises(SegToolkitError) as caught:
        read_slices(tmp_path, ["T2", "flair"])
    assert caught.value.code == "no-channel"


def test_a_patient_in_two_parts_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path)
    for place in ("MR_T2", "MR_ADC", "GT"):
        for number in (2, 9, 10):
            (tmp_path / "val" / place / f"q1_{number}.png").rename(
                tmp_path / "val" / place / f"p_1_{number}.png"
            )
    with pytest.raises(SegToolkitError) as caught:
        import_slices(tmp_path, tmp_path / "set")
    assert caught.value.code == "patient-split"


@pytest.mark.parametrize("name", ["brats2015", "brats2021", "ms_lesion", "prostatex"])
def test_the_descriptions_of_public_sets_name_channels_and_terms(name: str) -> None:
    file = Path(__file__).parents[2] / "Resources" / "DataSets" / f"{name}.json"
    description = DatasetDescription.load(file)
    assert len(description.channels) >= 2
    assert description.licence is not None
    assert description.citation
    assert json.loads(file.read_text())["image_pattern"] == "image_{id}_{channel}.nii.gz"


def test_channels_of_one_name_in_nnunets_file_stay_apart(dataset: Dataset, tmp_path: Path) -> None:
    add_cases(tmp_path, dataset.description, list(cases_of(dataset, ["1"])))
    values = json.loads((tmp_path / "dataset.json").read_text())
    values["channel_names"] = {"0": "MR", "1": "MR"}
    (tmp_path / "dataset.json").write_text(json.dumps(values))
    case = Dataset.open(tmp_path).cases[0]
    assert list(case.images) == ["MR_0", "MR_1"]
    assert read_volume(case.images["MR_1"]).shape == read_volume(case.image).shape
