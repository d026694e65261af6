"""A data set in nnU-Net's raw folder, and the commands that put it there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_runs import TRAINERS, made_case, needs_nnunet
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.nnunet.raw import write_raw
from SegToolkitLib.methods.registry import commands_of
from SegToolkitLib.volume import read_volume, write_volume
from SegToolkitLib.volume.segmentation import Segmentation, generated_segment
from SegToolkitLib.volume.segmentation_file import write_segmentation

SHAPE = (6, 8, 7)


def described(folder: Path, ending: str = ".nii.gz", cases: int = 4, **others: Any) -> Dataset:
    """Cases a0, a1, ... whose labels have the values 1 and 2, and one without a label."""
    folder.mkdir()
    for number in range(cases + 1):
        image, label = made_case(number, SHAPE)
        labels = np.random.default_rng(number).integers(0, 3, SHAPE).astype(np.uint8)
        write_volume(image, folder / f"image_a{number}{ending}")
        if number < cases:
            write_volume(label.with_voxels(labels), folder / f"label_a{number}{ending}")
    values = {
        "name": "Two parts",
        "modality": "MR",
        "labels": {"background": 0, "anterior": 1, "posterior": 2},
        "image_pattern": f"image_{{id}}{ending}",
        "label_pattern": f"label_{{id}}{ending}",
        "patients": {"a0": "p", "a1": "p"},
    }
    DatasetDescription.parse({**values, **others}).save(folder / "dataset.json")
    return Dataset.open(folder)


def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("copy", [False, True])
def test_files_that_fit_are_linked_or_copied(tmp_path: Path, copy: bool) -> None:
    dataset = described(tmp_path / "data")
    folder = write_raw(dataset, tmp_path / "home", 7, copy=copy)
    assert folder == tmp_path / "home" / "raw" / "Dataset007_Two_parts"
    assert content(folder) == {
        "name": "Two parts",
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "anterior": 1, "posterior": 2},
        "numTraining": 4,
        "file_ending": ".nii.gz",
    }
    images = sorted(file.name for file in (folder / "imagesTr").iterdir())
    assert images == [f"image_a{number}_0000.nii.gz" for number in range(4)], "labelled cases alone"
    first = tmp_path / "data" / "image_a0.nii.gz"
    assert first.samefile(folder / "imagesTr" / images[0]) != copy
    assert sorted(file.name for file in (folder / "labelsTr").iterdir()) == [
        f"image_a{number}.nii.gz" for number in range(4)
    ]


def test_segments_in_two_layers_become_one_label_a_voxel(tmp_path: Path) -> None:
    """Linked, they would be a 4-D file to nnU-Net, which takes .nrrd as it comes."""
    dataset = described(tmp_path / "data", ".nrrd", label_pattern="label_{id}.seg.nrrd")
    segments = [generated_segment(1), replace(generated_segment(2), layer=1)]
    for case in dataset.cases[:4]:
        plain = read_volume(tmp_path / "data" / f"label_{case.id}.nrrd", label=True)
        layers = tuple(plain.with_voxels(np.where(plain.voxels == n, n, 0).astype(np.uint8)) for n in (1, 2))
        file = tmp_path / "data" / f"label_{case.id}.seg.nrrd"
        write_segmentation(Segmentation(plain, segments, layers), file)
    folder = write_raw(Dataset.open(tmp_path / "data"), tmp_path / "home", 7)
    assert content(folder)["numTraining"] == 4
    for number in range(4):
        written = sitk.ReadImage(folder / "labelsTr" / f"image_a{number}.nrrd")
        source = sitk.ReadImage(tmp_path / "data" / f"label_a{number}.nrrd")
        assert written.GetDimension() == 3
        assert np.array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(source))


def test_patients_stay_together_in_the_folds(tmp_path: Path) -> None:
    write_raw(described(tmp_path / "data"), tmp_path / "home", 7)
    file = tmp_path / "home" / "preprocessed" / "Dataset007_Two_parts" / "splits_final.json"
    splits = json.loads(file.read_text(encoding="utf-8"))
    assert len(splits) == 3
    for split in splits:
        assert ("image_a0" in split["val"]) == ("image_a1" in split["val"])
        assert sorted(split["train"] + split["val"]) == [f"image_a{number}" for number in range(4)]


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        ({"posterior": 2}, {"background": 0, "posterior": 1}),
        ({"anterior": 1, "ignore": 2}, {"background": 0, "anterior": 1, "ignore": 2}),
        ({"ignore": 1, "posterior": 2}, {"background": 0, "posterior": 1, "ignore": 2}),
    ],
)
def test_labels_become_consecutive_and_what_is_ignored_the_highest(
    tmp_path: Path, labels: dict[str, int], numbers: dict[str, int]
) -> None:
    dataset = described(tmp_path / "data", labels={"background": 0, **labels})
    folder = write_raw(dataset, tmp_path / "home", 7)
    assert content(folder)["labels"] == numbers
    before = read_volume(tmp_path / "data" / "label_a0.nii.gz", label=True)
    after = read_volume(folder / "labelsTr" / "image_a0.nii.gz", label=True)
    assert after.same_grid(before)
    for name, old in labels.items():
        assert np.array_equal(before.voxels == old, after.voxels == numbers[name])


def test_files_that_nnunet_does_not_read_are_written_anew(tmp_path: Path) -> None:
    dataset = described(tmp_path / "data", ending=".nii")
    folder = write_raw(dataset, tmp_path / "home", 7)
    assert content(folder)["file_ending"] == ".nii.gz"
    for part, old in (("imagesTr/image_a1_0000", "image_a1"), ("labelsTr/image_a1", "label_a1")):
        made, given = read_volume(folder / f"{part}.nii.gz"), read_volume(tmp_path / "data" / f"{old}.nii")
        assert made.same_grid(given)
        assert np.allclose(made.voxels, given.voxels)


def test_what_cannot_be_prepared_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    dataset = described(tmp_path / "data")
    home = tmp_path / "home"
    with pytest.raises(SegToolkitError, match="1000 is no number"):
        write_raw(dataset, home, 1000)
    assert not home.exists()

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_raw(dataset, home, 7, progress=cancel)
    assert list((home / "raw").iterdir()) == []
    write_raw(dataset, home, 7)
    with pytest.raises(SegToolkitError, match="Dataset007_Two_parts already") as caught:
        write_raw(dataset, home, 7, name="Other")
    assert caught.value.code == "dataset-exists"
    (tmp_path / "data" / "label_a0.nii.gz").unlink()
    bare = described(tmp_path / "bare", cases=0)
    with pytest.raises(SegToolkitError, match="no labelled case"):
        write_raw(bare, home, 8)
    pictures = described(tmp_path / "pictures", pictures=True)
    with pytest.raises(SegToolkitError, match="holds pictures"):
        write_raw(pictures, home, 8)


@pytest.mark.parametrize("module", ["automatic", "commands", "service", "raw", "package"])
def test_what_a_window_needs_of_nnunet_imports_no_torch(module: str) -> None:
    code = f"import sys, SegToolkitLib.methods.nnunet.{module} as _; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Told(Reporter):
    """Remembers lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines += text.splitlines()


def run(verb: str, *arguments: str) -> tuple[dict[str, object], Told]:
    command, parser, told = commands_of("nnunet")[verb], ArgumentParser(), Told()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments), told), told


def test_prepare_tells_the_variables_and_keeps_folders_of_other_trainers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described(tmp_path / "data")
    monkeypatch.setenv("nnUNet_extTrainer", "/mine")
    done, told = run("prepare", "--dataset", str(tmp_path / "data"), "--home", str(tmp_path / "home"))
    assert done["folder"] == str(tmp_path / "home" / "raw" / "Dataset901_Two_parts")
    variables = done["environment"]
    assert isinstance(variables, dict)
    assert variables["nnUNet_raw"] == str(tmp_path / "home" / "raw")
    assert variables["nnUNet_extTrainer"].split(os.pathsep) == ["/mine", str(TRAINERS)]
    assert f'export nnUNet_results="{tmp_path / "home" / "results"}"' in told.lines
    assert any(line.startswith("nnUNetv2_train 901") for line in told.lines)


@needs_nnunet
def test_path_prints_the_folder_of_trainers_alone(capsys: pytest.CaptureFixture[str]) -> None:
    done, _ = run("path")
    assert done == {"path": str(TRAINERS)}
    assert capsys.readouterr().out == f"{TRAINERS}\n"
