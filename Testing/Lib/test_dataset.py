"""Descriptions, folds, and finding the cases of a data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from SegToolkitLib.dataset import CHAOST2, SABS, Dataset, DatasetDescription, even_borders, fold_split
from SegToolkitLib.dataset.known import CHAOST2_IDS, SABS_IDS
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import Volume, write_volume

FACTS = {"name": "tiny", "modality": "MR", "labels": {"background": 0, "blob": 1}}


def volume(value: int = 0, spacing: tuple[float, float, float] = (1, 1, 2), mark: int = 0) -> Volume:
    voxels = np.zeros((3, 6, 5), np.uint8)
    voxels[1, 2:4, 2:4] = value
    voxels[0, 0, 0] = mark
    return Volume(voxels, spacing, (0, 0, 0), np.eye(3))


def folder_of(tmp_path: Path, names: list[str], **facts: object) -> Path:
    (tmp_path / "dataset.json").write_text(json.dumps({**FACTS, **facts}))
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_volume(volume(1), tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lables": {}}, "'lables' (did you mean 'labels'?)"),
        ({"fold_border": [0, 2]}, "did you mean 'fold_borders'?"),
        ({"licence": {"name": "x", "permisive": True}}, "(did you mean 'licence.permissive'?)"),
        ({"modality": "PET"}, "'MR' or 'CT'"),
        ({"labels": {"blob": 1}}, '"background": 0'),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "share a value"),
        ({"test_groups": {"0": [4]}}, "[4]"),
        ({"image_pattern": "image.nii.gz"}, "must hold {id} once or more"),
        ({"label_pattern": "{channel}/seg.nii.gz"}, "must hold {id} once or more"),
        ({"image_pattern": "{id}_{channel}.nii.gz"}, "needs the field 'channel'"),
        ({"foreground_threshold": "percentile:101"}, "percentile:NN"),
    ],
)
def test_a_wrong_description_is_told_by_field(change: dict[str, object], words: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        DatasetDescription.parse({**FACTS, **change}, "my.json")
    assert words in caught.value.message
    assert caught.value.message.startswith("my.json: ")


def test_a_missing_field_is_named() -> None:
    with pytest.raises(SegToolkitError, match="'modality' is missing"):
        DatasetDescription.parse({"name": "x", "labels": {"background": 0}})


@pytest.mark.parametrize("threshold", [50.0001, "otsu", "percentile:12.5"])
def test_a_description_survives_the_disk(tmp_path: Path, threshold: float | str) -> None:
    description = DatasetDescription.parse({**FACTS, "foreground_threshold": threshold, "spacing": [1, 1, 2]})
    description.save(tmp_path / "d.json")
    assert DatasetDescription.load(tmp_path / "d.json") == description


def test_unknown_label_values_are_told_in_a_sentence() -> None:
    description = DatasetDescription.parse(FACTS)
    assert description.unknown_labels([0, 1]) is None
    assert description.unknown_labels([0, 9, 7]) == (
        "the label values 7, 9 are not described ('labels' has 0 background, 1 blob)"
    )


def test_a_fold_takes_its_scans_and_the_next_as_support() -> None:
    split = fold_split(CHAOST2_IDS, CHAOST2.borders(20), fold=1)
    assert split.query == ("8", "10", "13", "15")
    assert split.support == ("19",)
    assert split.train == tuple(id for id in CHAOST2_IDS if id not in {"8", "10", "13", "15", "19"})


@pytest.mark.parametrize(
    ("fold", "shots", "query", "support"),
    [(4, 1, ("34", "36"), ("1",)), (4, 3, ("34", "36"), ("1", "2", "3"))],
)
def test_the_last_fold_wraps_around(
    fold: int, shots: int, query: tuple[str, ...], support: tuple[str, ...]
) -> None:
    ids = ("1", "2", "3", "5", "8", "10", "13", "15", "34", "36")
    split = fold_split(ids, [0, 2, 4, 6, 8, 10], fold, shots)
    assert (split.query, split.support) == (query, support)
    assert not set(split.train) & set(split.validation)
    assert len(split.train) + len(split.validation) == len(ids)


@pytest.mark.parametrize(
    ("known", "ids", "counts"), [(CHAOST2, CHAOST2_IDS, (15, 4, 1)), (SABS, SABS_IDS, (23, 6, 1))]
)
def test_known_sets_split_as_published(
    known: DatasetDescription, ids: tuple[str, ...], counts: tuple[int, ...]
) -> None:
    for fold in range(5):
        split = fold_split(ids, known.borders(len(ids)), fold)
        assert (len(split.train), len(split.query), len(split.support)) == counts


@pytest.mark.parametrize(("n", "folds"), [(14, 5), (20, 5), (7, 7), (3, 2)])
def test_even_borders_differ_by_one_at_most(n: int, folds: int) -> None:
    lengths = np.diff(even_borders(n, folds))
    assert lengths.sum() == n
    assert len(lengths) == folds
    assert np.ptp(lengths) <= 1


def test_too_few_scans_for_the_folds_can_train_without_one() -> None:
    with pytest.raises(SegToolkitError, match="between 1 and 3 folds") as refused:
        even_borders(3, 5)
    assert "--fold none" in refused.value.hint


@pytest.mark.parametrize(
    ("borders", "fold", "shots", "code"),
    [
        ([0, 2, 5], 0, 1, "folds"),
        ([0, 3, 3, 4], 0, 1, "folds"),
        ([0, 2, 4], 2, 1, "fold"),
        ([0, 2, 4], 0, 0, "support"),
        ([0, 2, 4], 0, 2, "fold"),
    ],
)
def test_impossible_splits_are_refused(borders: list[int], fold: int, shots: int, code: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        fold_split("abcd", borders, fold, shots)
    assert caught.value.code == code


def test_cases_are_sorted_by_number_and_found_by_it(tmp_path: Path) -> None:
    names = ["image_10.nii.gz", "image_09.nii.gz", "image_100.nii.gz", "label_09.nii.gz", "label_10.nii.gz"]
    dataset = Dataset.open(folder_of(tmp_path, names))
    assert dataset.ids == ["9", "10", "100"]
    assert dataset.case("09") == dataset.case(9) == dataset.cases[0]
    assert dataset.case(100).label is None
    image, label = dataset.read(dataset.case(10))
    assert label is not None
    assert label.same_grid(image)
    with pytest.raises(SegToolkitError, match="has no case 7"):
        dataset.case(7)


def test_text_ids_are_sorted_with_their_numbers(tmp_path: Path) -> None:
    dataset = Dataset.open(folder_of(tmp_path, ["image_p10.nii.gz", "image_p9.nii.gz"]))
    assert dataset.ids == ["p9", "p10"]


def test_two_files_of_one_number_are_refused(tmp_path: Path) -> None:
    dataset = Dataset.open(folder_of(tmp_path, ["image_8.nii.gz", "image_08.nii.gz"]))
    with pytest.raises(SegToolkitError, match="both case 8"):
        _ = dataset.cases


def test_a_description_elsewhere_leads_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    folder_of(tmp_path / "data", ["image_1.nii.gz"])
    (tmp_path / "data" / "dataset.json").unlink()
    (tmp_path / "about").mkdir()
    (tmp_path / "about" / "tiny.json").write_text(json.dumps({**FACTS, "folder": "../data"}))
    assert Dataset.open(tmp_path / "about" / "tiny.json").ids == ["1"]
    with pytest.raises(SegToolkitError, match=r"has no dataset\.json"):
        Dataset.open(tmp_path / "data")


def test_a_description_without_its_volumes_asks_for_their_folder_first(tmp_path: Path) -> None:
    (tmp_path / "about").mkdir()
    (tmp_path / "empty").mkdir()
    description = tmp_path / "about" / "tiny.json"
    description.write_text(json.dumps(FACTS))
    told = {}
    for folder in (None, tmp_path / "empty"):
        with pytest.raises(SegToolkitError, match="fits the image pattern") as caught:
            _ = Dataset.open(description, folder).cases
        told[folder] = caught.value.hint
    assert told[None].startswith("Give the folder of the volumes first: --data FOLDER")
    assert "image_pattern" in told[None]
    assert "--data FOLDER" not in told[tmp_path / "empty"]
    assert "image_pattern" in told[tmp_path / "empty"]
    description.write_text(json.dumps({**FACTS, "folder": "../gone"}))
    with pytest.raises(SegToolkitError, match="which is no folder") as caught:
        Dataset.open(description)
    assert "--data FOLDER" in caught.value.hint


def test_a_channel_is_chosen_by_name(tmp_path: Path) -> None:
    names = ["image_1_t1.nii.gz", "image_1_t2.nii.gz", "label_1.nii.gz"]
    folder_of(tmp_path, names, image_pattern="image_{id}_{channel}.nii.gz", channel="t2")
    (case,) = Dataset.open(tmp_path).cases
    assert (case.image.name, case.label and case.label.name) == ("image_1_t2.nii.gz", "label_1.nii.gz")


def test_the_nnunet_layout_is_read_with_its_test_images_apart(tmp_path: Path) -> None:
    names = ["imagesTr/BR_002_0000.nii.gz", "imagesTr/BR_002_0001.nii.gz", "imagesTr/BR_010_0000.nii.gz"]
    folder_of(tmp_path, [*names, "labelsTr/BR_002.nii.gz", "imagesTs/BR_003_0000.nii.gz"])
    (tmp_path / "dataset.json").write_text(
        json.dumps(
            {
                "channel_names": {"0": "CT", "1": "noNorm"},
                "labels": {"background": 0, "blob": 1},
                "numTraining": 2,
                "file_ending": ".nii.gz",
            }
        )
    )
    dataset = Dataset.open(tmp_path)
    assert dataset.description.modality == "CT"
    assert dataset.ids == ["BR_002", "BR_010"]
    assert dataset.cases[0].label == tmp_path.resolve() / "labelsTr" / "BR_002.nii.gz"
    assert [case.id for case in dataset.test_cases] == ["BR_003"]


def test_check_lists_what_is_wrong_and_passes_what_is_right(tmp_path: Path) -> None:
    names = [f"{kind}_{id}.nii.gz" for id in (1, 2, 3, 4, 5) for kind in ("image", "label")]
    folder_of(tmp_path, names)
    for id in range(1, 6):
        write_volume(volume(1, mark=id), tmp_path / f"image_{id}.nii.gz")
    assert Dataset.open(tmp_path).check() == []
    (tmp_path / "label_1.nii.gz").unlink()
    write_volume(volume(9), tmp_path / "label_2.nii.gz")
    write_volume(volume(1, (1, 1, 3)), tmp_path / "label_3.nii.gz")
    for kind in ("image", "label"):
        mark = 4 if kind == "image" else 0
        write_volume(volume(1, (1.5, 1.5, 2), mark), tmp_path / f"{kind}_4.nii.gz")
    (tmp_path / "image_5.nii.gz").write_bytes(b"not an image")
    found = {(problem.case, problem.code) for problem in Dataset.open(tmp_path).check()}
    assert {("1", "no-label"), ("2", "unknown-label"), ("3", "label-grid"), ("4", "spacing")} <= found
    assert {case for case, _ in found} == {"1", "2", "3", "4", "5"}
