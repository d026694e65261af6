"""nnU-Net as a method: what it is told as, which cases it takes, and what it refuses in a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_method_runs import Ears, made_dataset, tiny, train
from nnunet_runs import needs_nnunet
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.labelled import roles_of
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet import package, preparing
from SegToolkitLib.methods.nnunet.home import Home
from SegToolkitLib.methods.nnunet.settings import DataSettings, NnunetSettings
from SegToolkitLib.methods.nnunet.training import METHOD
from SegToolkitLib.volume import Volume, read_volume, write_volume


@pytest.fixture(autouse=True)
def _quick(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "VOXELS", 40_000)


def test_telling_of_it_imports_neither_torch_nor_nnunet() -> None:
    code = (
        "import sys; from SegToolkitLib.methods.nnunet.training import METHOD;"
        " import SegToolkitLib.methods.nnunet.commands; METHOD.settings.model_json_schema();"
        " sys.exit(bool({'torch', 'nnunetv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_published_preset_is_nnunets_own_length() -> None:
    published = METHOD.presets["published"].settings
    assert isinstance(published, NnunetSettings)
    assert (published.optimiser.epochs, published.optimiser.steps_per_epoch) == (1000, 250)
    assert (published.trainer, published.clip_gradient, published.use_best) == ("plain", 12.0, False)
    assert {"quick", "default", "published"} <= set(METHOD.presets)
    for preset in METHOD.presets.values():
        assert METHOD.settings.model_validate(preset.settings.model_dump()) == preset.settings


def test_a_part_of_the_labels_is_drawn_patient_by_patient(tmp_path: Path) -> None:
    patients = [f"p{number // 2}" for number in range(16)]
    dataset = Dataset.open(made_dataset(tmp_path / "data", 16, patients))

    def drawn(fraction: float, seed: int = 1) -> set[str]:
        roles = roles_of(dataset, DataSettings(fraction=fraction), seed)
        assert not {dataset.patients[id] for id in roles.train} & {
            dataset.patients[id] for id in roles.held_out
        }
        assert len(roles.train) + len(roles.not_drawn) == 8
        return set(roles.train)

    quarter, half = drawn(0.25), drawn(0.5)
    assert len(quarter) == 2, "one patient of four, with both scans"
    assert len({dataset.patients[id] for id in quarter}) == 1
    assert quarter < half < drawn(1.0)
    assert len({frozenset(drawn(0.25, seed)) for seed in range(20)}) > 1
    assert drawn(0.25) == quarter


def test_the_surroundings_of_nnunet_are_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import warnings

    monkeypatch.setenv("nnUNet_results", "mine")
    monkeypatch.delenv("nnUNet_raw", raising=False)
    lines: list[str] = []
    with Home(tmp_path, "Dataset901_x", lines.append).active(nnUNet_n_proc_DA="3"):
        seen = dict(os.environ)
        print("one\n\ntwo ", end="")
        print("half")
        warnings.warn("look", stacklevel=1)
    assert (seen["nnUNet_raw"], seen["nnUNet_n_proc_DA"]) == (str(tmp_path / "raw"), "3")
    after = dict(os.environ)
    assert after["nnUNet_results"] == "mine"
    assert "nnUNet_raw" not in after
    assert lines == ["nnU-Net: one", "nnU-Net: two half", "look"]


def test_without_the_package_a_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util as util

    found = util.find_spec
    monkeypatch.setattr(
        package.importlib.util,
        "find_spec",
        lambda name, *more: None if name == "nnunetv2" else found(name, *more),
    )
    with pytest.raises(SegToolkitError) as error:
        train(tmp_path / "run", made_dataset(tmp_path / "data", 2), tiny())
    assert error.value.code == "missing-package"
    assert "pip install nnunetv2" in error.value.hint
    with pytest.raises(SegToolkitError, match="nnunetv2"):
        METHOD.trial(tiny(), None, None)  # type: ignore[arg-type]


def _no_labels(data: Path) -> None:
    for file in data.glob("label_*"):
        file.unlink()


def _empty_labels(data: Path) -> None:
    for file in data.glob("label_*"):
        label = read_volume(file, label=True)
        write_volume(label.with_voxels(np.zeros_like(label.voxels)), file)


def _strange_label(data: Path) -> None:
    file = data / "label_1.nii.gz"
    label = read_volume(file, label=True)
    write_volume(label.with_voxels(np.where(label.voxels == 2, 7, label.voxels)), file)


def _other_grid(data: Path) -> None:
    file = data / "label_0.nii.gz"
    label = read_volume(file, label=True)
    write_volume(Volume(label.voxels[:-2], label.spacing, label.origin, label.direction), file)


def _not_a_number(data: Path) -> None:
    file = data / "image_0.nii.gz"
    image = read_volume(file)
    voxels = image.voxels.copy()
    voxels[2, 2, 2] = np.nan
    # What this library does not write, others do.
    sitk.WriteImage(image.with_voxels(voxels).to_sitk(), str(file))


@needs_nnunet
@pytest.mark.parametrize(
    ("code", "words", "cases", "spoil", "changes"),
    [
        ("no-labels", "No training case", 3, _no_labels, {"data": {"fold": None}}),
        ("empty-label", "No case shows a structure", 2, _empty_labels, {}),
        ("unknown-label", "the value 7", 2, _strange_label, {}),
        ("label-grid", "", 2, _other_grid, {}),
        ("not-finite", "NaN", 2, _not_a_number, {}),
        ("folds", "cases of 1 patient", 1, None, {}),
        ("fold", "no fold 9", 3, None, {"data": {"fold": 9}}),
        ("no-case", "no case 77", 3, None, {"data": {"cases": ["77"]}}),
        ("no-configuration", "3d_lowres", 2, None, {"plan": {"configuration": "3d_lowres"}}),
    ],
)
def test_what_cannot_be_trained_is_refused_and_the_mended_command_works(
    tmp_path: Path, code: str, words: str, cases: int, spoil: Any, changes: dict[str, Any]
) -> None:
    data, run = made_dataset(tmp_path / "data", cases), tmp_path / "run"
    if spoil is not None:
        spoil(data)
    with pytest.raises(SegToolkitError) as error:
        train(run, data, tiny(**changes))
    assert error.value.code == code
    assert words in error.value.message
    assert error.value.hint
    last = json.loads((run / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert (last["t"], last["code"]) == ("error", code)
    if code in ("empty-label", "no-configuration"):  # these leave the most behind
        made_dataset(data, 2)
        short = tiny(optimiser={"epochs": 1, "steps_per_epoch": 1}, validate_every=0)
        assert train(run, data, short) is not None


@needs_nnunet
def test_other_volumes_than_at_the_start_are_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    data, run = made_dataset(tmp_path / "data", 2), tmp_path / "run"
    assert train(run, data, tiny(), Ears(("training", 1), run)) is None
    _empty_labels(data)
    with pytest.raises(SegToolkitError) as error:
        train(run, None, None, resume="must")
    assert error.value.code == "data-changed"
    assert list((run / "nnunet" / "preprocessed").rglob("*.b2nd"))


@needs_nnunet
def test_all_cases_train_where_no_fold_is_left_out(tmp_path: Path) -> None:
    data, run = made_dataset(tmp_path / "data", 2), tmp_path / "run"
    ears = Ears()
    settings = tiny(data={"fold": None}, optimiser={"epochs": 1, "steps_per_epoch": 1})
    assert train(run, data, settings, ears) is not None
    assert any("nothing validates" in text for text in ears.said)
    assert list((run / "nnunet" / "results").glob("*/*/fold_all/checkpoint_final.pth"))


@needs_nnunet
def test_ignored_voxels_count_neither_in_training_nor_in_validation(tmp_path: Path) -> None:
    labels = {"background": 0, "anterior": 1, "ignore": 2}
    data, run = made_dataset(tmp_path / "data", 2, labels=labels), tmp_path / "run"
    assert train(run, data, tiny(trainer="pdcr")) is not None
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    figures = [event for event in map(json.loads, lines) if event["t"] == "validation"]
    assert len(figures) == 2
    assert "dice_anterior" not in figures[0], "one structure needs no figure of its own"
    card = json.loads((run / "result" / "model" / "model.json").read_text(encoding="utf-8"))
    assert [label["name"] for label in card["labels"]] == ["anterior"]


@needs_nnunet
def test_plans_follow_what_is_asked_for(tmp_path: Path) -> None:
    data, run = made_dataset(tmp_path / "data", 2), tmp_path / "run"
    wanted = {"planner": "residual_m", "features": 8, "batch": 3}
    one = tiny(plan=wanted, optimiser={"epochs": 1, "steps_per_epoch": 1}, validate_every=0)
    assert train(run, data, one) is not None
    (results,) = (run / "nnunet" / "results").glob("*/*")
    assert results.name == "nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres"
    plans = json.loads((results / "plans.json").read_text(encoding="utf-8"))["configurations"]["3d_fullres"]
    network = plans["architecture"]
    assert network["network_class_name"].endswith("ResidualEncoderUNet")
    assert network["arch_kwargs"]["features_per_stage"][:2] == [8, 16]
    assert plans["batch_size"] == 3
