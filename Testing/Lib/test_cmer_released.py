"""The authors' configurations as settings, with a report of every field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.plan import InputPlan, ModelPlan
from SegToolkitLib.methods.cmer.presets import PRESETS
from SegToolkitLib.methods.cmer.released import as_released, read_config
from SegToolkitLib.methods.cmer.settings import KINDS, ROUND, CmerSettings, OptimiserSettings
from SegToolkitLib.training.settings import TrainingSettings

BRATS: dict[str, Any] = {
    "exp_name": "experiment1",
    "agent": "WSCMER",
    "mode": "train",
    "model_archs": ["UNet"],
    "num_models": 2,
    "modality": "T1,T2",
    "input_channels": [1, 1],
    "num_classes": 2,
    "downsize_nb_filters_factor": 1,
    "learning_rate": 5e-5,
    "weight_decay": 0.5,
    "batch_size": 16,
    "max_epoch": 30,
    "lmda": 0.5,
    "temp": 10,
    "transformation": "all",
    "data_root": "./brats_classification/",
    "data_root_infer": "./brats_data/",
    "pretrained": False,
    "pretrained_model": "some/folder",
    "checkpoint_file": "{}_checkpoint.pth.tar",
    "cuda": True,
    "gpu_device": 0,
    "seed": 1337,
    "data_loader_workers": 4,
    "pin_memory": True,
    "run_on_cluster": False,
    "img_size": 240,
    "betas": [0.9, 0.999],
    "validate_every": 10,
}
PROSTATE = BRATS | {
    "exp_name": "experiment_prostate_data_1",
    "modality": "T2,ADC",
    "downsize_nb_filters_factor": 4,
    "learning_rate": 1e-4,
    "max_epoch": 100,
    "img_size": 256,
}


def written(folder: Path, config: dict[str, Any]) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


def test_the_defaults_are_the_prostate_configuration(tmp_path: Path) -> None:
    found = read_config(written(tmp_path, PROSTATE))
    rounds = OptimiserSettings(steps_per_epoch=None)
    assert found.settings == CmerSettings(workers=4, input=InputPlan(size=256), optimiser=rounds)


@pytest.mark.parametrize(("config", "size"), [(BRATS, 240), (PROSTATE, 256)])
def test_slices_have_the_size_of_the_authors_whatever_the_preset(
    config: dict[str, Any], size: int, tmp_path: Path
) -> None:
    preset = PRESETS["published"].settings
    assert isinstance(preset, CmerSettings)
    found = read_config(written(tmp_path, config), preset)
    assert found.settings.input.size == size
    assert "input.size" in found.changed
    # Of these two, transforms scale to the authors' sizes.
    assert found.settings.transform.scaling == "auto"


def test_an_epoch_of_a_configuration_is_a_round_and_the_report_says_so(tmp_path: Path) -> None:
    found = read_config(written(tmp_path, BRATS))
    assert found.settings.optimiser.steps_per_epoch is None
    assert found.mapped["max_epoch"] == "optimiser.epochs"
    assert "optimiser.steps_per_epoch" in found.changed
    (line,) = [line for line in found.lines() if line.startswith("max_epoch")]
    assert "one round through all slices" in line
    # Where a configuration says nothing of epochs, ours stay.
    without = read_config(written(tmp_path, {"batch_size": 4}))
    assert without.settings.optimiser.steps_per_epoch == ROUND
    assert without.changed == ("optimiser.batch",)


def test_every_field_of_a_configuration_is_accounted_for(tmp_path: Path) -> None:
    found = read_config(written(tmp_path, BRATS | {"optimizer": "SGD"}))
    told = [*found.mapped, *found.places, *found.ignored, *found.unknown]
    assert sorted(told) == sorted([*BRATS, "optimizer"])
    assert found.unknown == ("optimizer",)
    assert found.places["data_root_infer"] == "./brats_data/"
    assert len(found.lines()) == len(told)
    settings = found.settings
    assert settings.data.modalities == ("T1", "T2")
    assert (settings.network.width_factor, settings.optimiser.epochs) == (1, 30)
    assert settings.optimiser.learning_rate == 5e-5
    assert settings.validate_every == 200


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ({"transformation": "scaling"}, ("transform", "kinds"), ("scaling",)),
        ({"lmda": 0.1}, ("loss", "kl_weight"), 0.1),
        ({"temp": 3}, ("loss", "temperature"), 3.0),
        ({"dropout": True}, ("network", "dropout"), True),
        ({"seed": 7}, ("seed",), 7),
        (
            {"modality": "T1, T2, T1c, Flair", "num_models": 4, "input_channels": [1] * 4},
            ("data", "modalities"),
            ("T1", "T2", "T1c", "Flair"),
        ),
    ],
)
def test_a_field_is_taken_over(tmp_path: Path, change: dict, path: tuple[str, ...], value: object) -> None:
    found: Any = read_config(written(tmp_path, BRATS | change)).settings
    for name in path:
        found = getattr(found, name)
    assert found == value


def test_what_the_configuration_does_not_say_is_as_given(tmp_path: Path) -> None:
    base = CmerSettings.model_validate({"loss": {"cmer_reduction": "sum"}, "optimiser": {"epochs": 3}})
    found = read_config(written(tmp_path, {"batch_size": 2}), base).settings
    assert (found.loss.cmer_reduction, found.optimiser.epochs, found.optimiser.batch) == ("sum", 3, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_models": 4}, "4 models and the modalities T1, T2"),
        ({"transformation": "shear"}, "no transformation 'shear'"),
        ({"model_archs": ["ResNet"]}, "ResNet"),
        ({"input_channels": [1, 3]}, "channels"),
        ({"downsize_nb_filters_factor": 3}, "does not divide"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"modality": "T1", "num_models": 1}, "modalities"),
        ({"modality": "T1,T1"}, "stands twice"),
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(tmp_path: Path, change: dict, words: str) -> None:
    with pytest.raises(SegToolkitError, match=words):
        read_config(written(tmp_path, BRATS | change))


def test_the_authors_mistakes_are_there_for_whoever_wants_them() -> None:
    settings = CmerSettings()
    found = as_released(settings)
    assert found.transform.rotation == found.data.augment.modalities == found.loss.kl == "released"
    assert found.input.fit == "crop"
    assert found.data.augment.shift == settings.data.augment.shift == 0.1
    assert found.optimiser == settings.optimiser
    four = CmerSettings.model_validate({"data": {"modalities": ["a", "b", "c", "d"]}})
    assert as_released(four).data.augment.shift == 0


def test_settings_have_every_step_of_every_seed_and_a_plan_for_the_card() -> None:
    settings = CmerSettings.model_validate({"seeds": 3, "optimiser": {"epochs": 4, "steps_per_epoch": 5}})
    assert isinstance(settings, TrainingSettings)
    assert (settings.steps_per_seed, settings.total_steps) == (20, 60)
    assert settings.transform.kinds == KINDS
    assert settings.plan == ModelPlan(modalities=("T2", "ADC"), seeds=3)
    assert CmerSettings.model_validate(settings.model_dump(mode="json")) == settings
    assert CmerSettings.model_json_schema()["properties"].keys() >= {"loss", "transform", "selection", "data"}


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 0},
        {"data": {"modalities": ["a"]}},
        {"data": {"modalities": ["a", "a"]}},
        {"selection": {"by": "luck"}},
    ],
)
def test_settings_out_of_range_are_refused(change: dict) -> None:
    with pytest.raises(ValidationError):
        CmerSettings.model_validate(change)
