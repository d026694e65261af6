"""Folders of pictures and masks as data sets: pairing by names, masks of 0 and 1, published layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdcr_runs import Heard, made_pictures, picture
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.masks import foreground
from SegToolkitLib.dataset.pictures import LAYOUTS, describe_pictures, layout_folders, paired
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.commands import COMMANDS
from SegToolkitLib.worker.dataset_answers import dataset_check


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("images", "masks", "pairs"),
    [
        (["a.jpg"], ["a.png"], {"a": "a.png"}),
        (["ISIC_01.jpg"], ["ISIC_01_Segmentation.jpg"], {"ISIC_01": "ISIC_01_Segmentation.jpg"}),
        (["a.JPG", "b.jpeg"], ["A_mask.PNG", "b_lesion.png"], {"a": "A_mask.PNG", "b": "b_lesion.png"}),
        # The released code takes the first mask whose path contains the name: 10_mask for 1.
        (["1.jpg", "10.jpg"], ["10_mask.png", "1_mask.png"], {"1": "1_mask.png", "10": "10_mask.png"}),
        (["a.jpg", "b.jpg"], ["a.png", "xb.png"], {"a": "a.png"}),
        (["a.jpg", "b.jpg"], ["a.png", "b.png", "b_mask.png"], {"a": "a.png"}),
    ],
)
def test_a_mask_has_the_name_of_its_picture(
    images: list[str], masks: list[str], pairs: dict[str, str], tmp_path: Path
) -> None:
    found = paired(touch(tmp_path / "img", *images), touch(tmp_path / "mask", *masks))
    assert {id: mask.name for id, (_, mask) in found.pairs.items()} == pairs
    assert found.exact == (len(pairs) == len(images))


def test_what_cannot_be_paired_is_told(tmp_path: Path) -> None:
    images = touch(tmp_path / "img", "a.jpg", "b.jpg", "c.jpg", "notes.txt", ".hidden.jpg")
    found = paired(images, touch(tmp_path / "mask", "a.png", "c.png", "c_mask.png", "z.png"))
    text = found.text()
    assert "1 pictures have their mask; 1 have none (b.jpg); 1 have several (c.jpg)" in text
    assert "1 masks belong to no picture (z.png)" in text
    with pytest.raises(SegToolkitError, match="No picture"):
        paired(images, touch(tmp_path / "other", "q.png"))
    with pytest.raises(SegToolkitError, match="no folder"):
        paired(images, tmp_path / "nowhere")


def test_pictures_and_masks_may_share_a_folder(tmp_path: Path) -> None:
    folder = touch(tmp_path / "both", "a.jpg", "a_mask.png", "b.jpg", "b_mask.png")
    assert sorted(paired(folder, folder).pairs) == ["a", "b"]
    assert paired(folder, folder).exact


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1], [False, True]),
        ([0, 255], [False, True]),
        ([0, 3, 120, 128, 255], [False, False, False, True, True]),
        ([0, 0], [False, False]),
        ([7, 7], [True, True]),
    ],
)
def test_foreground_is_what_was_painted(values: list[int], expected: list[bool]) -> None:
    assert foreground(np.array(values, np.uint8)).tolist() == expected


def _folders(root: Path, part: str, numbers: range, suffix: str) -> None:
    images, masks = root / part / "img", root / part / "mask_jpg"
    images.mkdir(parents=True)
    masks.mkdir()
    for number in numbers:
        image, mask = picture(number)
        Image.fromarray(image).save(images / f"ISIC_{number:04d}.jpg")
        Image.fromarray((mask * 255).astype(np.uint8)).save(masks / f"ISIC_{number:04d}_Segmentation{suffix}")


def test_masks_become_labels_of_0_and_1(tmp_path: Path) -> None:
    _folders(tmp_path, "train", range(3), ".jpg")
    raw = np.asarray(Image.open(tmp_path / "train/mask_jpg/ISIC_0000_Segmentation.jpg"))
    assert len(np.unique(raw)) > 2  # JPEG leaves values in between
    pairing = paired(tmp_path / "train/img", tmp_path / "train/mask_jpg")
    dataset, left_out = describe_pictures(pairing, tmp_path / "out", name="spots", structure="spot")
    assert not left_out
    assert dataset.description.pictures
    assert dataset.description.labels == {"background": 0, "spot": 1}
    for number, case in enumerate(dataset.cases):
        image, label = dataset.read(case)
        assert image.shape == (1, 60, 80, 3)
        assert label is not None
        assert (label.voxels[0].astype(bool) == picture(number)[1]).mean() > 0.99
        assert set(np.unique(label.voxels)) == {0, 1}
    assert [one.code for one in dataset.check() if one.severity == "error"] == []
    kept, _ = describe_pictures(pairing, tmp_path / "kept", name="spots", keep_masks=True)
    assert kept.cases[0].label == (tmp_path / "train/mask_jpg/ISIC_0000_Segmentation.jpg").resolve()


def test_a_mask_of_another_size_is_left_out(tmp_path: Path) -> None:
    _folders(tmp_path, "train", range(2), ".png")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "train/mask_jpg/ISIC_0001_Segmentation.png")
    pairing = paired(tmp_path / "train/img", tmp_path / "train/mask_jpg")
    dataset, left_out = describe_pictures(pairing, tmp_path / "out", name="spots")
    assert dataset.ids == ["ISIC_0000"]
    assert "80 x 60" in left_out["ISIC_0001"]


@pytest.mark.parametrize(
    ("layout", "made", "test"),
    [
        ("ISIC2016", ["ISIC2016/train", "ISIC2016/val"], "ISIC2016/val"),
        ("isic2017", ["ISIC2017/train", "ISIC2017/val"], "ISIC2017/val"),
        ("ISIC2016_PH2", ["ISIC2016/train", "PH2"], "PH2"),
        ("MC", ["MC/train"], None),
    ],
)
def test_layouts_lead_to_folders(layout: str, made: list[str], test: str | None, tmp_path: Path) -> None:
    for one in made:
        (tmp_path / one / "img").mkdir(parents=True)
    found = layout_folders(tmp_path, layout)
    assert found["train"] == (tmp_path / made[0] / "img", tmp_path / made[0] / "mask_jpg")
    assert found.get("test", (None,))[0] == (tmp_path / test / "img" if test else None)
    assert layout.casefold() in {name.casefold() for name in LAYOUTS}


def test_layouts_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError, match="DigestPath/train/img"):
        layout_folders(tmp_path, "DigestPath")
    with pytest.raises(SegToolkitError, match="no layout"):
        layout_folders(tmp_path, "COCO")


def test_the_command_describes_training_and_test_apart(tmp_path: Path) -> None:
    from argparse import ArgumentParser

    _folders(tmp_path / "ISIC2016", "train", range(3), ".jpg")
    _folders(tmp_path / "ISIC2016", "test", range(3, 5), ".jpg")
    parser = ArgumentParser()
    COMMANDS["prepare"].add_arguments(parser)
    words = ["--layout", "ISIC2016", "--root", str(tmp_path), "--out"]
    COMMANDS["prepare"].run(parser.parse_args([*words, str(tmp_path / "out")]), Heard())
    train, test = (Dataset.open(tmp_path / "out" / part) for part in ("train", "test"))
    assert (train.description.name, test.description.name) == ("ISIC2016", "ISIC2016-test")
    assert (len(train.cases), len(test.cases)) == (3, 2)
    assert list(train.description.labels) == ["background", "skin lesion"]
    (tmp_path / "ISIC2016/test/mask_jpg/ISIC_0003_Segmentation.jpg").unlink()
    with pytest.raises(SegToolkitError, match=r"1 have none \(ISIC_0003.jpg\)"):
        COMMANDS["prepare"].run(parser.parse_args([*words, str(tmp_path / "again")]), Heard())
    COMMANDS["prepare"].run(
        parser.parse_args([*words, str(tmp_path / "skipped"), "--skip-unpaired"]), Heard()
    )
    assert Dataset.open(tmp_path / "skipped" / "test").ids == ["ISIC_0004"]


def test_a_window_is_told_that_they_are_pictures(tmp_path: Path) -> None:
    made_pictures(tmp_path, "12")
    answer = dataset_check({"id": 1, "do": "dataset_check", "path": str(tmp_path)}, Heard())
    assert (answer["modality"], answer["images"]) == ("picture", 2)


def test_the_public_pictures_are_described(real_data: Path) -> None:
    description = Path(__file__).parents[2] / "Resources" / "DataSets" / "isic2017.json"
    dataset = Dataset.open(description, real_data / "isic2017")
    assert len(dataset.cases) == 66
    assert dataset.description.licence is not None
    assert dataset.description.licence.permissive
    image, label = dataset.read(dataset.cases[0])
    assert image.voxels.ndim == 4
    assert label is not None
    assert set(np.unique(label.voxels)) == {0, 1}
