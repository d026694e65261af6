"""PDCR and UAFR: the task, and whole runs on made-up pictures and volumes."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pdcr_runs import RUNS, SMALL, made_pictures, tiny, trained
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.commands import COMMANDS
from SegToolkitLib.methods.pdcr_uafr.commands.train import shorthands, variant_settings
from SegToolkitLib.methods.pdcr_uafr.presets import PRESETS, VARIANT_NAMES, VARIANTS, variant_of
from SegToolkitLib.methods.pdcr_uafr.reading import Reader
from SegToolkitLib.methods.pdcr_uafr.released import is_released, overrides, translated
from SegToolkitLib.methods.pdcr_uafr.schedule import rates
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings
from SegToolkitLib.methods.pdcr_uafr.train import PdcrUafrTask, regulariser, seeded
from SegToolkitLib.methods.pdcr_uafr.training import METHOD
from SegToolkitLib.methods.pdcr_uafr.trial import trial
from SegToolkitLib.methods.pdcr_uafr.validation import validate
from SegToolkitLib.models.card import read_card
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.settings import load
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.volume import Volume, write_volume
from small_runs import Heard, equal, metrics, weights
from toy_runs import call

CPU = torch.device("cpu")
TERMS = ("cross_entropy", "encoder", "decoder", "cross")
# Networks as small as these gain nothing from more threads, which wait for each other on a busy machine.
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_pictures(tmp_path_factory.mktemp("spots"))


def _task(*overrides: str) -> PdcrUafrTask:
    return trial(tiny(*overrides), None, CPU)


def _parsed(verb: str, *words: object) -> Any:
    parser = ArgumentParser()
    COMMANDS[verb].add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_presets_are_what_they_are_called() -> None:
    assert {"quick", "default", "published", "default-baseline", "default-uafr", "default-pdcr"} <= set(
        PRESETS
    )
    published, defaults = PRESETS["published"].settings, PdcrUafrSettings()
    assert isinstance(published, PdcrUafrSettings)
    parts = (
        "network",
        "input",
        "inference",
        "loss",
        "pdcr",
        "augment",
        "optimiser",
        "schedule",
        "data",
        "seed",
    )
    assert all(getattr(published, part) == getattr(defaults, part) for part in parts)
    for name, preset in PRESETS.items():
        settings = preset.settings
        assert isinstance(settings, PdcrUafrSettings)
        assert preset.name == name
        assert PdcrUafrSettings.model_validate(settings.model_dump(mode="json")) == settings
        regulariser(settings, 2)  # its layers fit its images
    released = PRESETS["released"].settings
    assert isinstance(released, PdcrUafrSettings)
    assert (released.data.mask_rule, released.pdcr.form) == ("released", "released")


@pytest.mark.parametrize("name", VARIANT_NAMES)
def test_a_variant_is_the_same_as_a_shorthand(name: Any) -> None:
    changes = [f"{key}={value}" for key, value in variant_settings(name).items()]
    assert load(PdcrUafrSettings, PdcrUafrSettings(), None, changes) == variant_of(PdcrUafrSettings(), name)
    assert VARIANTS[name][1] == variant_of(PdcrUafrSettings(), name)


def test_a_training_lowers_the_loss_and_makes_a_model(dataset: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = tiny(
        "optimiser.epochs=30",
        "snapshot_every=15", "optimiser.learning_rate=0.01", "validate_every=15", "augment=null",
        "network.dropout=0", "network.last_dropout=0", "network.uafr_dropout=0",
    )  # fmt: skip
    model = trained(dataset, run, settings)
    logged = metrics(run)
    assert set(TERMS) <= set(logged[0])
    assert sum(one["cross_entropy"] for one in logged[-5:]) < 0.6 * sum(
        one["cross_entropy"] for one in logged[:5]
    )
    validations = RunFolder(run).events("validation")
    assert [event["step"] for event in validations] == [15, 30]
    wanted = {
        "foreground_iou",
        "foreground_dice",
        "all_class_iou",
        "all_class_dice",
        "accuracy",
        "cross_entropy",
    }
    assert wanted <= set(validations[0])
    assert all((run / one).is_file() for event in validations for one in event["pictures"])
    card = read_card(model)
    assert card.metrics["validation"]["foreground_iou"] == max(one["foreground_iou"] for one in validations)
    assert [(label.value, label.name) for label in card.labels] == [(1, "spot")]
    assert card.preprocessing.modality == "picture"
    data = RunFolder(run).settings()["data"]
    assert card.trained_on[0].cases == data["train"]
    assert card.licence.permissive
    # What was validated is what is kept.
    task = trial(settings, dataset, CPU)
    task.network.load_state_dict(load_state(model, card))
    task.network.eval()
    reader = Reader(dataset, settings.data, settings.input, tmp_path / "cache", Heard())
    with torch.no_grad():
        again = validate(
            task.network,
            reader.read(data["held_out"], "held-out cases", whole=True),
            settings,
            task.names,
            CPU,
        )
    assert again == pytest.approx({name: card.metrics["validation"][name] for name in again}, abs=0.02)


def test_the_list_of_the_drawn_cases_is_written(dataset: Dataset, tmp_path: Path) -> None:
    heard = Heard()
    trained(dataset, tmp_path / "run", tiny("data.fraction=0.5", "optimiser.epochs=1"), heard)
    listed = json.loads((tmp_path / "run" / "cases.json").read_text(encoding="utf-8"))
    assert (listed["fraction"], listed["seed"]) == (0.5, 666)
    assert len(listed["train"]) == len(listed["not_drawn"]) == 2
    assert sorted([*listed["train"], *listed["not_drawn"], *listed["held_out"]]) == dataset.ids
    assert RunFolder(tmp_path / "run").settings()["data"]["train"] == listed["train"]
    # The list itself can be trained on again, whatever the seed.
    cases = json.dumps(listed["train"])
    trained(dataset, tmp_path / "again", tiny(f"data.cases={cases}", "seed=9", "optimiser.epochs=1"))
    assert RunFolder(tmp_path / "again").settings()["data"]["train"] == listed["train"]


@pytest.mark.parametrize(
    ("variant", "logged"),
    [
        ("baseline", ["cross_entropy"]),
        ("uafr", ["cross_entropy"]),
        ("h-pdcr", list(TERMS)),
        ("full", list(TERMS)),
    ],
)
def test_a_step_logs_the_parts_of_its_variant(variant: str, logged: list[str]) -> None:
    task = _task(*(f"{key}={value}" for key, value in variant_settings(variant).items()))
    task.network.train()
    result = task.step(next(iter(task.samples([0]))))
    assert list(result.values) == ["loss", *logged]
    assert result.samples == 2
    weights = dict(zip(TERMS, (1, 0.1, 0.01, 0.01), strict=True))
    expected = sum(weights[name] * result.values[name] for name in logged)
    assert result.values["loss"] == pytest.approx(expected, rel=1e-5)
    assert bool(task.settings.network.uafr.positions) == (variant in ("uafr", "full"))


def test_what_a_step_draws_follows_from_seed_and_number() -> None:
    def terms(number: int) -> dict[str, float]:
        task = _task("network.dropout=0", "network.last_dropout=0", "network.uafr_dropout=0")
        torch.manual_seed(number)  # the global state must not matter
        task.network.train()
        return task.step(next(iter(task.samples([number])))).values

    assert terms(3) == terms(3)
    assert terms(3) != terms(4)
    assert torch.rand(1, generator=seeded(1, 2)) != torch.rand(1, generator=seeded(2, 1))


@pytest.mark.parametrize("order", ["before", "released"])
def test_the_rate_is_set_for_every_step(order: str) -> None:
    task = _task(
        "optimiser.epochs=3", "optimiser.steps_per_epoch=2", "schedule.warm_up=1", f"schedule.order={order}"
    )
    found = []
    for _ in range(6):
        found.append(task.optimiser.param_groups[0]["lr"])
        task.optimiser.step()
        task.scheduler.step()
    settings = task.settings
    expected = rates(settings.schedule, settings.optimiser.learning_rate, 3, 2)
    assert found == pytest.approx(expected.tolist(), abs=1e-12)
    assert (found[0] == 0) == (order == "before")


def test_gradients_are_scaled_before_the_step() -> None:
    task = _task("optimiser.larc=true", "optimiser.name=sgd", "optimiser.momentum=0", "schedule.kind=step")
    weight = task.network.backbone.conv1.weight
    weight.grad = torch.ones_like(weight)
    task.optimiser.step()
    assert float(weight.grad.norm()) == pytest.approx(1e-3 * float(weight.detach().norm()), rel=0.01)


def test_several_structures_have_shares_of_their_own() -> None:
    pdcr = regulariser(tiny(), 4)
    assert pdcr is not None
    assert pdcr.rules.classes == 3
    with pytest.raises(SegToolkitError, match=r"pdcr.classes is 5"):
        regulariser(tiny("pdcr.classes=5"), 4)
    with pytest.raises(SegToolkitError, match="has 2 numbers for 3 classes"):
        PdcrUafrTask(
            *(lambda task: (task.network, task.sampler, task.settings))(
                _three_classes("loss.class_weights=[1,2]")
            ),
            CPU,
        )


def _three_classes(*overrides: str) -> Any:
    from types import SimpleNamespace

    from SegToolkitLib.methods.pdcr_uafr.network import build_network

    settings = tiny(*overrides)
    return SimpleNamespace(network=build_network(settings.network, 3, 0), sampler=None, settings=settings)


def test_a_resumed_run_is_that_which_was_never_stopped(dataset: Dataset, tmp_path: Path) -> None:
    # Dropout draws from the global generators, whose states checkpoints keep.
    settings = tiny("validate_every=3")
    whole, parts = RUNS.whole_and_resumed(dataset, tmp_path, settings)
    assert equal(weights(whole), weights(parts))
    logged = {event["step"]: event["loss"] for event in metrics(whole)}
    assert all(event["loss"] == logged[event["step"]] for event in metrics(parts))


def test_a_validation_leaves_no_trace(dataset: Dataset, tmp_path: Path) -> None:
    for name, every in (("with", 1), ("without", 0)):
        trained(dataset, tmp_path / name, tiny(f"validate_every={every}", "optimiser.epochs=2"))
    assert equal(weights(tmp_path / "with", 2), weights(tmp_path / "without", 2))


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs POSIX here")
def test_two_processes_make_the_updates_of_one_that_accumulates_two(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny(
        "optimiser.epochs=2", "network.dropout=0", "network.last_dropout=0", "network.uafr_dropout=0"
    )
    (tmp_path / "tiny.json").write_text(settings.model_dump_json())
    words = ["train", "pdcr_uafr", "--config", str(tmp_path / "tiny.json"), "--dataset", str(dataset.folder)]
    words += ["--run", str(tmp_path / "two"), "--place", f"cache={tmp_path / 'cache'}", "--device", "cpu"]
    call(*words, torchrun=("--standalone", "--nproc-per-node=2"))
    trained(dataset, tmp_path / "one", settings.model_copy(update={"accumulate": 2}))
    found, expected = ([event["loss"] for event in metrics(tmp_path / run)] for run in ("two", "one"))
    # Of the first step: those after it differ by as much as Adam makes of rounding.
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found == pytest.approx(expected, rel=2e-2)
    assert (tmp_path / "two" / "cases.json").is_file()


def test_volumes_are_trained_on_slice_by_slice(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, 4):
        label = np.zeros((4, 40, 50), np.uint8)
        label[1:, 10:20, 10:30], label[2:, 22:32, 20:40] = 3, 7
        image = (label * 100 + rng.integers(0, 50, label.shape)).astype(np.int16)
        for name, voxels in (("image", image), ("label", label)):
            write_volume(Volume(voxels, (1, 1, 5), (0, 0, 0), np.eye(3)), folder / f"{name}_{number}.nii.gz")
    description = {"name": "blocks", "modality": "CT", "labels": {"background": 0, "upper": 3, "lower": 7}}
    DatasetDescription.parse({**description, "folds": 3}).save(folder / "dataset.json")
    heard = Heard()
    settings = tiny(
        "optimiser.epochs=2", "validate_every=2", "data.empty_slices=drop", 'data.classes={"7": 1, "3": 2}'
    )
    model = trained(Dataset.open(folder), tmp_path / "run", settings, heard)
    card = read_card(model)
    assert [(label.value, label.name) for label in card.labels] == [(7, "lower"), (3, "upper")]
    assert card.preprocessing.modality == "CT"
    assert "in slices of CT" in card.title
    figures = card.metrics["validation"]
    assert {"dice_upper", "dice_lower"} <= set(figures)
    assert any("6 training images" in text for text in heard.infos)


def test_what_a_person_might_not_expect_is_said(tmp_path: Path) -> None:
    data = made_pictures(tmp_path / "data", "123")
    labels = {"background": 0, "spot": 1, "ignore": 9}
    data.description.model_copy(update={"labels": labels}).save(tmp_path / "data" / "dataset.json")
    (tmp_path / "data" / "label_3.png").unlink()
    heard = Heard()
    settings = tiny("data.fold=null", "validate_every=1", "optimiser.epochs=1")
    trained(Dataset.open(tmp_path / "data"), tmp_path / "run", settings, heard)
    told = "\n".join(heard.warnings)
    for words in ("labelled 'ignore'", "1 training cases without a label", "No case is held out"):
        assert words in told, words


def test_images_without_any_structure_teach_nothing(tmp_path: Path) -> None:
    data = made_pictures(tmp_path / "data", "123", value=0)
    with pytest.raises(SegToolkitError, match="No training image shows a structure"):
        trained(data, tmp_path / "run", tiny())


def test_too_small_images_are_refused_before_they_are_read(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError) as caught:
        trained(dataset, tmp_path / "run", tiny("pdcr.margin=9"))
    assert caught.value.code == "small-image"
    assert not (tmp_path / "cache").exists()


def test_a_training_begins_with_the_weights_of_a_model(dataset: Dataset, tmp_path: Path) -> None:
    first = trained(dataset, tmp_path / "first", tiny("optimiser.epochs=1"))
    still = tiny("optimiser.learning_rate=1e-12", "schedule.final=0", "optimiser.epochs=1", "seed=9")
    expected = load_state(first)
    state = load_state(trained(dataset, tmp_path / "second", still, start=tmp_path / "first"))
    assert all(
        torch.allclose(state[key], expected[key], atol=1e-6) for key in expected if key.endswith("weight")
    )
    with pytest.raises(SegToolkitError) as caught:
        trained(dataset, tmp_path / "wide", tiny("network.widths.conv1=5"), start=first)
    assert caught.value.code == "start-differs"


AUTHORS = {
    "epochs": 1,
    "batch_size": 2,
    "criterions": [["ce", 1], ["encoder_patchseries", 0.5]],
    "model": {"uncertainty_att_layerchoice": [1] + [0] * 11, "wings": 2},
    "dataset": {"input_size": [64, 48, 3]},
}


def test_a_configuration_of_the_authors_code_is_known_by_its_keys(tmp_path: Path) -> None:
    (tmp_path / "theirs.json").write_text(json.dumps(AUTHORS))
    (tmp_path / "ours.json").write_text(tiny().model_dump_json())
    (tmp_path / "few.json").write_text('{"seed": 3, "input": {"size": [48, 64]}}')
    assert is_released(tmp_path / "theirs.json")
    assert not is_released(tmp_path / "ours.json")
    assert not is_released(tmp_path / "few.json")
    found = translated(AUTHORS)
    assert load(PdcrUafrSettings, PdcrUafrSettings(), None, overrides(found)) == found.settings
    # What it says counts also where our default says the same, and a preset does not.
    said = translated({"dataset": {"input_size": [512, 512, 3]}, "epochs": 300})
    settings = load(PdcrUafrSettings, tiny(), None, overrides(said))
    assert (settings.input.size, settings.optimiser.epochs) == ((512, 512), 300)
    assert settings.network == tiny().network


def test_the_command_takes_shorthands_and_configurations(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "theirs.json").write_text(json.dumps(AUTHORS))
    small = [
        word for one in SMALL if not one.startswith(("input.", "optimiser.epochs")) for word in ("--set", one)
    ]
    words = [
        "--config",
        tmp_path / "theirs.json",
        "--dataset",
        dataset.folder,
        "--run",
        tmp_path / "run",
        *small,
    ]
    words += ["--place", f"cache={tmp_path / 'cache'}", "--device", "cpu", "--fraction", "0.5", "--fold", "1"]
    words += ["--set", "workers=0"]
    heard = Heard()
    COMMANDS["train"].run(_parsed("train", *words, "--seed", "4"), heard)
    settings = PdcrUafrSettings.model_validate(RunFolder(tmp_path / "run").settings()["settings"])
    assert settings.network.uafr.positions == ("conv1",)
    assert settings.pdcr.weights_of_terms.model_dump() == {"encoder": 0.5, "decoder": 0, "cross": 0}
    assert (settings.input.size, settings.seed) == ((48, 64), 4)
    assert (settings.data.fraction, settings.data.fold) == (0.5, 1)
    assert any("unknown: model.wings" in text for text in heard.infos)
    options = _parsed("train", "--run", "x", "--steps", "7", "--fold", "none", "--log", "--variant", "uafr")
    assert {
        "optimiser.epochs=7",
        "data.fold=null",
        "tensorboard=true",
        "pdcr.weights_of_terms.cross=0",
    } <= set(shorthands(options))


def test_all_configurations_of_a_folder_are_trained(dataset: Dataset, tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    configs.mkdir()
    for name, seed in (("one", 1), ("two", 2)):
        (configs / f"{name}.json").write_text(tiny("optimiser.epochs=1", f"seed={seed}").model_dump_json())
    words = [
        "--configs",
        configs,
        "--dataset",
        dataset.folder,
        "--runs",
        tmp_path / "runs",
        "--device",
        "cpu",
    ]
    words += ["--cache", tmp_path / "cache", "--preset", "quick"]
    (configs / "bad.json").write_text('{"sead": 3}')
    with pytest.raises(SegToolkitError, match="1 of 3 runs failed: bad"):
        COMMANDS["train-all"].run(_parsed("train-all", *words), Heard())
    (configs / "bad.json").unlink()
    found = COMMANDS["train-all"].run(_parsed("train-all", *words), Heard())
    assert (found["trained"], found["passed_over"]) == ([], ["one", "two"])
    assert read_card(tmp_path / "runs" / "two" / "result" / "model").training.seed == 2


def test_a_trial_needs_no_pictures(dataset: Dataset) -> None:
    task = _task("validate_every=1")
    task.network.eval()
    with torch.no_grad():
        assert "foreground_iou" in task.validate()
    assert METHOD.trial(tiny(), dataset, CPU).names == {1: "spot"}
