"""Cooperative training: steps, what they draw, and whole runs on a tiny data set."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cooperative_cases import made_dataset
from cooperative_runs import RUNS, SMALL, tiny, trained
from SegToolkitLib.automatic.tested import OpenedModel, cases_to_test
from SegToolkitLib.cli import main
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cooperative import calibration
from SegToolkitLib.methods.cooperative.checkpoints import export_authors
from SegToolkitLib.methods.cooperative.data import Sampler, as_inference_sees
from SegToolkitLib.methods.cooperative.loss import HARD, STANDARD
from SegToolkitLib.methods.cooperative.network import NAMES, build_networks
from SegToolkitLib.methods.cooperative.plan import ModelPlan
from SegToolkitLib.methods.cooperative.presets import PRESETS
from SegToolkitLib.methods.cooperative.scans import Reader
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.tested_cases import held_out
from SegToolkitLib.methods.cooperative.train import CooperativeTask, _Numbered, seeded
from SegToolkitLib.methods.cooperative.training import METHOD
from SegToolkitLib.methods.cooperative.trial import trial
from SegToolkitLib.methods.cooperative.validation import validate
from SegToolkitLib.methods.cooperative.weights import loaded_networks, of_network
from SegToolkitLib.models.card import read_card
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.training.checkpoint import load_checkpoint
from SegToolkitLib.training.run_folder import RunFolder
from small_runs import Heard, equal, metrics, weights
from toy_runs import call

CPU = torch.device("cpu")
# Networks as small as these gain nothing from more threads, which wait for each other on a busy machine.
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("hearts"))


def _task(*overrides: str) -> CooperativeTask:
    return trial(tiny(*overrides), None, CPU)


def test_the_published_preset_is_the_released_configuration() -> None:
    assert {"quick", "default", "published"} <= set(PRESETS)
    published, released = PRESETS["published"].settings, CooperativeSettings()
    assert isinstance(published, CooperativeSettings)
    for part in ("network", "input", "inference", "step", "augment", "optimiser", "data"):
        assert getattr(published, part) == getattr(released, part), part
    assert published.total_steps == 600 * 19


def test_a_training_lowers_the_loss_and_makes_a_model(dataset: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = tiny("optimiser.epochs=20", "optimiser.learning_rate=0.01", "validate_every=10")
    model = trained(dataset, run, settings)
    losses = [event["loss"] for event in metrics(run)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    validations = RunFolder(run).events("validation")
    assert [event["step"] for event in validations] == [10, 20]
    assert {"iou", "accuracy", "iou_uncorrected", "dice", "dice_RV", "dice_MYO", "dice_LV"} <= set(
        validations[0]
    )
    assert all((run / one).is_file() for event in validations for one in event["pictures"])
    assert all(event["pictures"] for event in validations)
    card = read_card(model)
    best = load_checkpoint(run / "checkpoints" / "best.pt")
    assert card.metrics["validation"]["step"] == best["step"]
    assert card.metrics["validation"]["iou"] == max(event["iou"] for event in validations)
    state = load_state(model, card)
    plan = ModelPlan.model_validate(card.settings)
    networks = loaded_networks(plan.network, len(card.labels) + 1, state, card.name)
    # What was validated is what is kept.
    reader = Reader(dataset, settings.data, settings.input, tmp_path / "cache", Reporter())
    scans = reader.read(RunFolder(run).settings()["data"]["held_out"], "held-out cases")
    again = validate(networks, scans, settings, {1: "RV", 2: "MYO", 3: "LV"}, CPU)
    expected = {name: card.metrics["validation"][name] for name in again}
    assert again == pytest.approx(expected, abs=0.02)
    kept = best["network"]["segmentation_decoder.final_conv.weight"]
    assert torch.allclose(networks.state_dict()["segmentation_decoder.final_conv.weight"], kept, atol=1e-3)


def test_the_card_says_what_is_found_and_what_usual_slices_are(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny('data.classes={"3": 1, "1": 2}', "optimiser.epochs=1")
    model = trained(dataset, tmp_path / "run", settings)
    card = read_card(model)
    assert [(label.value, label.name) for label in card.labels] == [(3, "LV"), (1, "RV")]
    assert all(label.colour for label in card.labels)
    assert card.trained_on[0].cases == RunFolder(tmp_path / "run").settings()["data"]["train"]
    typicality = ModelPlan.model_validate(card.settings).typicality
    assert typicality is not None
    assert (typicality.source, typicality.slices) == ("held-out", 5 * card.metrics["cases"]["held_out"])
    assert typicality.text() in card.limits
    alone = trained(dataset, tmp_path / "alone", tiny("data.fold=null", "optimiser.epochs=1"))
    plan = ModelPlan.model_validate(read_card(alone).settings)
    assert plan.typicality is not None
    assert (plan.typicality.source, plan.typicality.slices) == ("training", 20)
    assert "flagged too often" in read_card(alone).limits


def test_joined_labels_keep_the_least_value(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny('data.classes={"2": 1, "3": 1, "1": 2}', "optimiser.epochs=1")
    card = read_card(trained(dataset, tmp_path / "run", settings))
    assert [(label.value, label.name) for label in card.labels] == [(2, "MYO + LV"), (1, "RV")]


def test_standard_training_is_cooperative_training_without_the_hard_examples() -> None:
    first = {}
    for mode in ("cooperative", "standard"):
        task = _task(f"step.mode={mode}")
        task.network.train()
        first[mode] = task.step(next(task.samples([0])))
    hard, plain = (first[mode].values for mode in ("cooperative", "standard"))
    assert set(plain) == {"loss", *STANDARD}
    assert set(hard) == {"loss", *STANDARD, *HARD}
    assert {name: hard[name] for name in STANDARD} == pytest.approx({name: plain[name] for name in STANDARD})
    assert hard["loss"] == pytest.approx(sum(hard[name] for name in (*STANDARD, *HARD)), rel=1e-5)


def test_the_warm_up_makes_no_hard_examples(dataset: Dataset, tmp_path: Path) -> None:
    trained(dataset, tmp_path / "run", tiny("optimiser.warm_up=2"))
    assert ["hard_seg" in event for event in metrics(tmp_path / "run")] == [False, False, True, True]


def test_what_a_step_draws_follows_from_seed_and_number() -> None:
    def losses(number: int, seed: int = 1) -> dict[str, float]:
        task = _task(f"seed={seed}")
        task.network.load_state_dict(build_networks(task.settings.network, 4, 0).state_dict())
        torch.manual_seed(number + seed)  # the global state must not matter
        return task.step(next(task.samples([number]))).values

    assert losses(3) == losses(3)
    assert losses(3)["hard_seg"] != losses(4)["hard_seg"]
    assert losses(3)["hard_seg"] != losses(3, seed=2)["hard_seg"]
    assert torch.rand(1, generator=seeded(1, 2)) != torch.rand(1, generator=seeded(2, 1))


@pytest.mark.parametrize(
    ("schedule", "rates"), [("constant", [1e-3] * 4), ("cosine", [1e-3, 8.536e-4, 5e-4, 1.464e-4])]
)
def test_the_rate_is_constant_or_falls(schedule: str, rates: list[float]) -> None:
    task = _task(f"optimiser.schedule={schedule}", "optimiser.learning_rate=1e-3")
    found = []
    for _ in range(4):
        found.append(task.optimiser.param_groups[0]["lr"])
        task.optimiser.step()
        task.scheduler.step()
    assert found == pytest.approx(rates, rel=1e-3)


def test_batches_can_be_drawn_by_other_processes(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny()
    scans = Reader(dataset, settings.data, settings.input, tmp_path, Reporter()).read(["1_ED"], "cases")
    draw = _Numbered(Sampler(scans, settings.data, settings.augment, settings.input, 4, 0))
    here, there = draw(5), pickle.loads(pickle.dumps(draw))(5)
    assert here.number == there.number == 5
    assert torch.equal(here.batch.images, there.batch.images)


def test_a_resumed_run_is_that_which_was_never_stopped(dataset: Dataset, tmp_path: Path) -> None:
    # Dropout draws from the global generators, whose states checkpoints keep.
    settings = tiny("network.encoder_dropout=0.2", "optimiser.warm_up=1", "validate_every=3")
    whole, parts = RUNS.whole_and_resumed(dataset, tmp_path, settings)
    assert equal(weights(whole), weights(parts))
    logged = {event["step"]: event["loss"] for event in metrics(whole)}
    assert all(event["loss"] == logged[event["step"]] for event in metrics(parts))


def test_a_validation_leaves_no_trace(dataset: Dataset, tmp_path: Path) -> None:
    settings = ("network.encoder_dropout=0.2", "optimiser.epochs=2")
    for name, every in (("with", 1), ("without", 0)):
        trained(dataset, tmp_path / name, tiny(f"validate_every={every}", *settings))
    assert equal(weights(tmp_path / "with", 2), weights(tmp_path / "without", 2))


def test_the_published_lists_choose_the_patients(tmp_path: Path) -> None:
    ids = ("001_ED", "001_ES", "002_ED", "011_ED", "071_ES", "050_ED", "041_ED")
    published = made_dataset(tmp_path / "data", ids, patients={})
    heard = Heard()
    split = ("data.split=acdc", "data.setting=10", "data.cval=1", "optimiser.epochs=1")
    trained(published, tmp_path / "run", tiny(*split), heard)
    data = RunFolder(tmp_path / "run").settings()["data"]
    assert data["train"] == ["002_ED", "041_ED", "001_ED", "001_ES"]
    assert data["held_out"] == ["011_ED", "071_ES"]
    told = " ".join(heard.warnings)
    assert "002_ED train and validate. They do not validate here." in told
    assert "7 of the 10 published training patients are not in hearts: 033, 006, 024, 022, 021 ..." in told
    heard = Heard()
    trained(published, tmp_path / "leak", tiny(*split, "data.keep_leak=true"), heard)
    assert RunFolder(tmp_path / "leak").settings()["data"]["held_out"] == ["011_ED", "071_ES", "002_ED"]
    assert "figures are too good" in " ".join(heard.warnings)


def test_patients_are_not_split(dataset: Dataset, tmp_path: Path) -> None:
    for fold in (0, 1):
        trained(dataset, tmp_path / str(fold), tiny(f"data.fold={fold}", "optimiser.epochs=1"))
        data = RunFolder(tmp_path / str(fold)).settings()["data"]
        train, held_out = ({id.partition("_")[0] for id in data[name]} for name in ("train", "held_out"))
        assert train
        assert held_out
        assert not train & held_out


def test_what_a_person_might_not_expect_is_said(tmp_path: Path) -> None:
    labels = {"background": 0, "left kidney": 1, "MYO": 2, "right kidney": 3, "aorta": 5, "ignore": 9}
    data = made_dataset(tmp_path / "data", ("1_ED", "2_ED", "3_ED"))
    data.description.model_copy(update={"labels": labels}).save(tmp_path / "data" / "dataset.json")
    (tmp_path / "data" / "label_3_ED.nii.gz").unlink()
    (tmp_path / "data" / "image_2_ED.nii.gz").write_bytes(b"no image")
    heard = Heard()
    small = (
        "validate_every=1",
        "input.crop=16",
        "input.spacing_mm=1.5",
        "optimiser.epochs=1",
        "data.fold=null",
    )
    trained(Dataset.open(tmp_path / "data"), tmp_path / "run", tiny("data.fold=null", *small), heard)
    told = "\n".join(heard.warnings)
    for words in (
        "Case 2_ED is left out",
        "labelled 'ignore' count as background",
        "1 training case(s) without a label are left out: 3_ED",
        "No case is held out",
        "No training slice shows aorta",
        "so left kidney and right kidney cannot be told apart",
        "cropped to 16 pixels of 1.5 mm around their centre, which cuts off structures of 1_ED",
    ):
        assert words in told, words
    heard = Heard()
    trained(made_dataset(tmp_path / "whole"), tmp_path / "again", tiny("optimiser.epochs=1"), heard)
    assert not heard.warnings


def test_volumes_have_one_channel(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError, match="3 channels cannot be trained"):
        trained(dataset, tmp_path / "run", tiny("network.image_channels=3"))


def test_a_training_begins_with_the_weights_of_a_model(dataset: Dataset, tmp_path: Path) -> None:
    first = trained(dataset, tmp_path / "first", tiny("optimiser.epochs=1"))
    export_authors(first, tmp_path / "five")
    still = tiny("optimiser.learning_rate=1e-12", "optimiser.epochs=1", "seed=9")
    expected = load_state(first)
    for place in (tmp_path / "first", tmp_path / "five"):
        heard = Heard()
        model = trained(dataset, tmp_path / "runs" / place.name, still, heard, start=place)
        state = load_state(model)
        for key in expected:
            if key.endswith("weight"):
                assert torch.allclose(state[key], expected[key], atol=1e-6), key
        assert not heard.warnings
    with pytest.raises(SegToolkitError) as caught:
        trained(dataset, tmp_path / "wide", tiny("network.channels=[2,2,4,4,8]"), start=first)
    assert caught.value.code == "start-differs"
    heard = Heard()
    turned = tiny('data.classes={"3": 1, "2": 2, "1": 3}', "optimiser.epochs=1")
    trained(dataset, tmp_path / "other", turned, heard, start=first)
    assert any("here they are LV, MYO, RV" in text for text in heard.warnings)


def test_what_a_start_has_seen_is_seen_by_the_model_too(dataset: Dataset, tmp_path: Path) -> None:
    first = trained(dataset, tmp_path / "first", tiny("optimiser.epochs=1", "data.fold=0"))
    heard = Heard()
    other = tiny("optimiser.epochs=1", "data.fold=1")
    card = read_card(trained(dataset, tmp_path / "second", other, heard, start=first))
    (before,) = read_card(first).trained_on
    assert card.trained_on[1:] == [before]
    assert set(card.trained_on[0].cases).isdisjoint(before.cases)
    assert any("begin with were trained on" in text for text in heard.warnings)
    with pytest.raises(SegToolkitError) as caught:
        cases_to_test(dataset, OpenedModel(tmp_path, card, 1), "held-out", held_out)
    assert caught.value.code == "trained-on-test"


def test_slices_to_calibrate_by_are_taken_evenly(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = _task("optimiser.epochs=1")
    reader = Reader(dataset, task.settings.data, task.settings.input, tmp_path, Reporter())
    scans = reader.read(["1_ED", "1_ES", "2_ED"], "cases")
    seen: list[torch.Tensor] = []

    def looked(image: Any, label: Any, plan: Any) -> Any:
        seen.append(label)
        return as_inference_sees(image, label, plan)

    monkeypatch.setattr(calibration, "MOST_SLICES", 5)
    monkeypatch.setattr(calibration, "as_inference_sees", looked)
    calibration.calibrated(task.network, scans, [], task.settings, CPU, Reporter())
    labels = [scan.arrays["label"] for scan in scans]
    wanted = [labels[0][[0, 3]], labels[1][[1, 4]], labels[2][[2]]]  # every third of 15
    assert [one.tolist() for one in seen] == [one.tolist() for one in wanted]


def test_a_snapshot_of_the_authors_code_goes_on_with_its_optimisers(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny("optimiser.epochs=2", "optimiser.schedule=constant")
    networks = build_networks(settings.network, 4, 3)
    memory = {}
    for name in NAMES:
        parameters = list(networks[name].parameters())
        optimiser = torch.optim.Adam(parameters, 0.5)
        sum(one.sum() for one in parameters).backward()  # type: ignore[union-attr]
        optimiser.step()
        memory[name] = optimiser.state_dict()
    states = {name: of_network(networks.state_dict(), name) for name in NAMES}
    content = {
        "epoch": 7,
        "model_state": states,
        "optimizer_state": memory,
        "network_type": "FCN_16_standard",
    }
    torch.save(content, tmp_path / "kept.pkl")
    trained(dataset, tmp_path / "run", settings, snapshot=tmp_path / "kept.pkl")
    state = load_checkpoint(tmp_path / "run" / "checkpoints" / "00000002.pt")["optimiser"]
    assert state["param_groups"][0]["lr"] == settings.optimiser.learning_rate
    assert {float(one["step"]) for one in state["state"].values()} == {3.0}
    with pytest.raises(SegToolkitError) as caught:
        trained(dataset, tmp_path / "two", settings, snapshot=tmp_path / "kept.pkl", start=tmp_path / "run")
    assert caught.value.code == "two-starts"


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs POSIX here")
def test_two_processes_make_the_updates_of_one_that_accumulates_two(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny("optimiser.epochs=3", "norm_statistics=running")
    (tmp_path / "tiny.json").write_text(settings.model_dump_json())
    words = [
        "train",
        "cooperative",
        "--config",
        str(tmp_path / "tiny.json"),
        "--dataset",
        str(dataset.folder),
    ]
    words += ["--run", str(tmp_path / "two"), "--place", f"cache={tmp_path / 'cache'}", "--device", "cpu"]
    call(*words, torchrun=("--standalone", "--nproc-per-node=2"))
    trained(dataset, tmp_path / "one", settings.model_copy(update={"accumulate": 2}))
    found, expected = ([event["loss"] for event in metrics(tmp_path / run)] for run in ("two", "one"))
    # Of the first step: those after it differ by as much as Adam makes of rounding.
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found == pytest.approx(expected, rel=1e-2)
    # Each process has its own statistics, of which the first one's are kept: it has seen half of the batches.
    key = "image_encoder.general_encoder.inc.1.num_batches_tracked"
    counts = [int(weights(tmp_path / run, 3)[key]) for run in ("two", "one")]
    assert counts == [3, 6]
    assert read_card(tmp_path / "two" / "result" / "model").method == "cooperative"


def test_a_trial_needs_no_volumes(dataset: Dataset) -> None:
    task = _task("validate_every=1")
    sample = next(task.samples([0]))
    assert sample.batch.images.shape == (4, 1, 32, 32)
    task.network.eval()
    assert "iou" in task.validate()
    assert trial(tiny(), dataset, CPU).names == {1: "RV", 2: "MYO", 3: "LV"}
    assert METHOD.trial(tiny(), dataset, CPU).network.classes == 4


def test_the_command_knows_shorthands(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    words = [
        "train",
        "cooperative",
        "--dataset",
        str(dataset.folder),
        "--run",
        str(tmp_path / "run"),
        "--json",
    ]
    words += [word for one in SMALL for word in ("--set", one)]
    words += ["--preset", "quick", "--mode", "standard", "--setting", "0.5", "--cval", "1", "--steps", "1"]
    assert main([*words, "--seed", "40", "--device", "cpu"]) == 0
    settings = CooperativeSettings.model_validate(RunFolder(tmp_path / "run").settings()["settings"])
    assert (settings.step.mode, settings.total_steps, settings.seed) == ("standard", 1, 40)
    assert (settings.data.split, settings.data.setting, settings.data.cval) == ("acdc", 0.5, 1)
    assert read_card(tmp_path / "run" / "result" / "model").method == "cooperative"
    assert (tmp_path / "home" / "cache" / "cooperative" / "entries").is_dir()
