"""CSSN's training: steps, schedule, averaged weights, and whole runs on a tiny data set."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cssn_cases import RUNS, made_case, made_dataset, tiny, trained
from SegToolkitLib.cli import main
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs.status import status
from SegToolkitLib.methods.cssn.data import Sample
from SegToolkitLib.methods.cssn.loss import segmentation_loss
from SegToolkitLib.methods.cssn.plan import ModelPlan
from SegToolkitLib.methods.cssn.presets import PRESETS
from SegToolkitLib.methods.cssn.segment import CssnSegmenter
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.methods.cssn.train import (
    AVERAGE,
    CssnTask,
    build_optimiser,
    one_hot,
    ramp,
    released_factor,
)
from SegToolkitLib.methods.cssn.trial import trial
from SegToolkitLib.models.card import read_card
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.training.checkpoint import load_checkpoint, milestones
from SegToolkitLib.training.run_folder import RunFolder
from small_runs import Heard, equal, weights

CPU = torch.device("cpu")
# Networks as small as these gain nothing from more threads, which wait for each other on a busy machine.
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("boxes"))


def _task(*overrides: str) -> CssnTask:
    torch.manual_seed(0)
    return trial(tiny("network.dropout=0", *overrides), None, CPU)


def test_presets_are_there_for_both_stages() -> None:
    for name in ("quick", "default", "published", "released"):
        fine, coarse = PRESETS[name].settings, PRESETS[f"{name}-coarse"].settings
        assert isinstance(fine, CssnSettings)
        assert isinstance(coarse, CssnSettings)
        assert (fine.stage, fine.network.kind) == ("fine", "efficient")
        assert (coarse.stage, coarse.network.kind) == ("coarse", "unet")
        # What was copied together is valid as a whole.
        for settings in (fine, coarse):
            assert CssnSettings.model_validate(settings.model_dump(mode="json")) == settings


def test_one_pass_over_both_batches_is_that_of_separate_ones() -> None:
    task = _task("cross.ramp_steps=0")
    sample = next(iter(task.samples([0])))
    assert len(sample.images) == 2
    loss = task.step(sample).loss
    target = one_hot(sample.labels, task.sampler.organs)
    labelled, unlabelled = sample.images.split(1)
    a, b = (torch.cat([task.network[name](labelled), task.network[name](unlabelled)]) for name in ("a", "b"))
    kind, expected = task.settings.loss, torch.zeros(())
    for pupil, teacher in ((a, b), (b, a)):
        best, index = teacher.detach().max(1, keepdim=True)
        pseudo = torch.zeros_like(teacher).scatter_(1, index, (best >= 0).float())
        expected = (
            expected + segmentation_loss(pupil[:1], target, kind) + segmentation_loss(pupil, pseudo, kind)
        )
    assert loss is not None
    assert torch.allclose(loss, expected, rtol=1e-4)


def test_supervised_training_has_one_network_and_no_unlabelled_images() -> None:
    task = _task("cross.enabled=false")
    assert list(task.network) == ["a"]
    sample = next(iter(task.samples([0])))
    assert len(sample.images) == 1
    result = task.step(sample)
    assert result.loss is not None
    assert list(result.values) == ["loss"]


def test_networks_begin_differently_and_the_same_for_the_same_seed() -> None:
    first, again, other = (_task(f"seed={seed}").network.state_dict() for seed in (1, 1, 7))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["a.final.weight"], first["b.final.weight"])
    assert not torch.equal(first["a.final.weight"], other["a.final.weight"])


def test_one_hot_leaves_the_background_out() -> None:
    labels = torch.tensor([0, 2, 1, 3], dtype=torch.uint8).reshape(1, 1, 1, 4)
    assert one_hot(labels, 3)[0, :, 0, 0].tolist() == [[0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("step", "steps", "expected"),
    [(0, 0, 1), (0, 10, np.exp(-5)), (5, 10, np.exp(-1.25)), (10, 10, 1), (99, 10, 1)],
)
def test_the_pseudo_loss_ramps_up(step: int, steps: int, expected: float) -> None:
    assert ramp(step, steps) == pytest.approx(expected)


def test_the_ramp_goes_by_the_updates_that_were_made() -> None:
    task = _task("cross.ramp_steps=4")
    sample = next(iter(task.samples([0])))
    weights = []
    for _ in range(6):
        result = task.step(sample)
        weights.append(result.values["cross_weight"])
        task.optimiser.step()
        task.scheduler.step()
    assert weights == pytest.approx([ramp(step, 4) for step in range(6)])


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 1), (330, 1), (331, 0.1), (430, 0.1), (431, 0.05), (500, 0.05)]
)
def test_the_released_schedule_falls_in_two_steps(epoch: int, expected: float) -> None:
    assert released_factor(epoch, 500) == expected


@pytest.mark.parametrize(
    ("rate", "images", "schedule", "expected"),
    [
        (1e-3, 1, "released", 1e-3),
        (1e-2, 4, "released", 4e-2),
        (1e-2, 16, "released", 1e-2),
        (1e-2, 4, "cosine", 1e-2),
    ],
)
def test_high_rates_are_multiplied_by_the_batch(
    rate: float, images: int, schedule: str, expected: float
) -> None:
    settings = tiny().optimiser.model_copy(update={"learning_rate": rate, "schedule": schedule})
    optimiser = build_optimiser(torch.nn.Linear(1, 1), settings, images)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(expected)
    assert optimiser.defaults["betas"] == (0.9, 0.99)


def test_averaged_weights_follow_the_trained_ones() -> None:
    task = _task("cross.ema=0.5", "optimiser.learning_rate=0.1")
    assert sorted(task.network) == ["a", AVERAGE + "a", AVERAGE + "b", "b"]
    trained_before = task.network["a"].final.weight.detach().clone()
    assert torch.equal(task.network[AVERAGE + "a"].final.weight, trained_before)
    for _ in range(2):
        loss = task.step(next(iter(task.samples([0])))).loss
        assert loss is not None
        task.optimiser.zero_grad()
        loss.backward()
        task.optimiser.step()
    now, average = task.network["a"].final.weight, task.network[AVERAGE + "a"].final.weight
    assert not torch.equal(now, trained_before)
    between = (average - trained_before).norm() / (now - trained_before).norm()
    assert 0.3 < between.item() < 1
    assert set(task.judged) == {"a", "b"}
    assert task.judged["a"] is task.network[AVERAGE + "a"]
    trained = {id(weight) for group in task.optimiser.param_groups for weight in group["params"]}
    assert not trained & {id(weight) for weight in task.network[AVERAGE + "a"].parameters()}


def test_validation_takes_the_better_network() -> None:
    task = _task("validate_every=1")
    size = task.settings.size
    half = np.zeros(size, np.uint8)
    half[: size[0] // 2] = 1

    noise = np.random.default_rng(0).normal(size=size).astype(np.float32)
    scan = SimpleNamespace(id="s", fitted={"image": noise, "label": half, "voxel": np.ones(3)})

    class Says(torch.nn.Module):
        """Finds the first organ where told, and never another one."""

        def __init__(self, where: np.ndarray) -> None:
            super().__init__()
            self.where = torch.from_numpy(where.astype(np.float32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = torch.full((len(x), 2, *x.shape[2:]), -9.0)
            logits[:, 0] = self.where * 18 - 9
            return logits

    task.organs, task.held_out = {1: "liver", 5: "left kidney"}, [scan] * 3  # type: ignore[list-item]
    task.network["a"], task.network["b"] = Says(np.roll(half, size[0] // 4, 0)), Says(half)
    figures = task.validate()
    assert task.better == "b"
    # The second organ is in none of the scans and never found, which counts as right.
    assert figures == pytest.approx(
        {"dice": 1.0, "dice_a": 0.75, "dice_b": 1.0, "dice_liver": 1.0, "dice_left_kidney": 1.0}
    )
    task.load_extra_state(task.extra_state() | {})
    assert task.better == "b"


def test_a_resumed_run_is_that_which_was_never_stopped(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny("cross.ema=0.9")
    whole, parts = RUNS.whole_and_resumed(dataset, tmp_path, settings)
    assert equal(weights(whole), weights(parts))
    kept = [path.name for path in milestones(parts / "checkpoints")]
    assert kept == ["keep-00000003.pt", "keep-00000004.pt"]


def test_milestones_outlive_the_checkpoints_around_them(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny("optimiser.epochs=6", "keep_checkpoints=1", "keep_shares=[0.2,0.5,1]", "validate_every=0")
    trained(dataset, tmp_path / "run", settings)
    folder = tmp_path / "run" / "checkpoints"
    assert [path.name for path in sorted(folder.glob("*.pt"))] == [
        "00000006.pt",
        "keep-00000001.pt",
        "keep-00000003.pt",
        "keep-00000006.pt",
    ]
    states = [load_checkpoint(path)["network"] for path in milestones(folder)]
    assert not torch.equal(states[0]["a.final.weight"], states[1]["a.final.weight"])
    assert torch.equal(states[2]["a.final.weight"], weights(tmp_path / "run", 6)["a.final.weight"])


def test_fine_training_looks_where_the_coarse_model_points(dataset: Dataset, tmp_path: Path) -> None:
    heard = Heard()
    coarse = trained(dataset, tmp_path / "coarse", tiny("cross.enabled=false", stage="coarse"), heard)
    assert not heard.warnings
    fine = trained(dataset, tmp_path / "fine", tiny(), heard, coarse=tmp_path / "coarse")
    assert not heard.warnings
    card = read_card(fine)
    plan = ModelPlan.model_validate(card.settings)
    assert plan.coarse is not None
    assert plan.fine is not None
    assert [(label.value, label.name) for label in card.labels] == [(1, "liver"), (2, "spleen")]
    assert card.labels[0].terminology
    assert card.labels[0].colour
    state = load_state(fine, card)
    expected = load_state(coarse)
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    # The better network of the best validation.
    best = load_checkpoint(tmp_path / "fine" / "checkpoints" / "best.pt")
    kept = best["network"][f"{best['extra']['better']}.final.weight"]
    assert torch.allclose(state["fine.final.weight"], kept, atol=1e-3)
    assert card.metrics["validation"]["step"] == best["step"]
    image, _ = made_case(3, "PIR")
    result = CssnSegmenter(plan, state, card.labels, CPU).segment(image)
    assert result.labels.same_grid(image)
    pictures = [event["pictures"] for event in RunFolder(tmp_path / "fine").events("validation")]
    assert all((tmp_path / "fine" / one).is_file() for names in pictures for one in names)
    assert pictures[0]


def test_what_is_missing_is_said(dataset: Dataset, tmp_path: Path) -> None:
    heard = Heard()
    settings = tiny("data.fold=null", 'data.unlabelled=["u0"]', "augment.flips=[false,false,true]")
    trained(dataset, tmp_path / "run", settings, heard)
    told = " ".join(heard.warnings)
    assert "Without a coarse model" in told
    assert "no labels change places" in told
    assert "no unlabelled images" not in told
    lonely = tiny("data.fold=null", "data.unlabelled=[]")
    trained(dataset, tmp_path / "lonely", lonely, heard)
    assert "There are no unlabelled images" in " ".join(heard.warnings)


@pytest.mark.parametrize("how", [[], ["--start-or-resume"]], ids=["start", "start or resume"])
def test_a_run_that_found_too_few_cases_is_begun_again_with_more(
    dataset: Dataset, tmp_path: Path, how: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    made_dataset(tmp_path / "few", labelled=1, unlabelled=0)
    (tmp_path / "tiny.json").write_text(tiny("optimiser.epochs=1").model_dump_json())
    words = ["train", "cssn", "--run", str(tmp_path / "run"), "--device", "cpu", *how]
    words += ["--config", str(tmp_path / "tiny.json"), "--place", f"cache={tmp_path / 'cache'}"]
    assert main([*words, "--dataset", str(tmp_path / "few")]) == 1
    assert "cannot be cut into" in capsys.readouterr().err
    assert status(tmp_path / "run").state == "failed"
    assert main([*words, "--dataset", str(dataset.folder), "--seed", "5"]) == 0
    kept = RunFolder(tmp_path / "run").settings()
    assert (kept["settings"]["seed"], kept["start"]["dataset"]) == (5, str(dataset.folder))
    assert main([*words, "--dataset", str(dataset.folder)]) == 1, "a run that has read its data stays"


def test_a_selection_leaves_images_out(dataset: Dataset, tmp_path: Path) -> None:
    table = tmp_path / "selection.csv"
    table.write_text(
        "id,reliability,uncertainty,complete,kept\nu0,0.9,0.1,1,1\nu1,0.2,0.8,1,0\n", encoding="utf-8"
    )
    trained(dataset, tmp_path / "run", tiny(), selection=table)
    assert RunFolder(tmp_path / "run").settings()["data"]["unlabelled"] == ["u0"]


@pytest.mark.parametrize(
    ("make", "code"),
    [("nothing", "no-model"), ("fine", "not-coarse"), ("labels", "coarse-labels")],
)
def test_a_coarse_model_must_be_one_for_these_organs(
    dataset: Dataset, tmp_path: Path, make: str, code: str
) -> None:
    place = tmp_path / "model"
    if make == "nothing":
        place.mkdir()
    elif make == "fine":
        place = trained(dataset, tmp_path / "first", tiny("cross.enabled=false"))
    else:
        other = made_dataset(tmp_path / "other", unlabelled=0)
        values = other.description.model_copy(update={"labels": {"background": 0, "liver": 1, "pancreas": 2}})
        values.save(tmp_path / "other" / "dataset.json")
        settings = tiny("cross.enabled=false", stage="coarse")
        place = trained(Dataset.open(tmp_path / "other"), tmp_path / "first", settings)
    with pytest.raises(SegToolkitError) as caught:
        trained(dataset, tmp_path / "run", tiny(), coarse=place)
    assert caught.value.code == code


def test_cases_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    damaged = made_dataset(tmp_path / "data", labelled=5)
    (tmp_path / "data" / "free_u1.nii.gz").write_bytes(b"no image")
    heard = Heard()
    trained(damaged, tmp_path / "run", tiny(), heard)
    assert any(text.startswith("Case u1 is left out") for text in heard.warnings)
    assert RunFolder(tmp_path / "run").settings()["data"]["unlabelled"] == ["u0"]


def test_the_command_knows_stage_and_shorthands(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    words = ["train", "cssn", "--dataset", str(dataset.folder), "--run", str(tmp_path / "run"), "--json"]
    words += ["--preset", "quick", "--stage", "coarse", "--supervised", "--steps", "2", "--seed", "5"]
    words += ["--labelled-count", "2", "--fold", "none", "--set", "network.channels=[2,4,8,8]"]
    assert main([*words, "--device", "cpu"]) == 0
    run = RunFolder(tmp_path / "run")
    settings = CssnSettings.model_validate(run.settings()["settings"])
    assert (settings.stage, settings.total_steps, settings.seed) == ("coarse", 2, 5)
    assert settings.data.fold is None
    assert not settings.cross.enabled
    assert len(run.settings()["data"]["labelled"]) == 2
    assert read_card(tmp_path / "run" / "result" / "model").method == "cssn"
    assert (tmp_path / "home" / "cache" / "cssn" / "entries").is_dir()


def test_several_folds_have_a_run_each(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    words = ["train", "cssn", "--dataset", str(dataset.folder), "--run", str(tmp_path / "runs"), "--json"]
    words += ["--preset", "quick", "--supervised", "--steps", "1", "--device", "cpu", "--folds", "2,0"]
    words += ["--set", "network.channels=[2,4,8,8]", "--set", "size=[32,32,64]"]
    assert main(words) == 0
    held_out = [
        RunFolder(tmp_path / "runs" / f"fold-{fold}").settings()["data"]["held_out"] for fold in (2, 0)
    ]
    assert len(held_out[0]) == len(held_out[1]) == 2
    assert not set(held_out[0]) & set(held_out[1])
    card = read_card(tmp_path / "runs" / "fold-0" / "result" / "model")
    assert card.name == "runs-fold-0"
    # What is finished stays; the fold that is missing is started.
    words[words.index("2,0")] = "2,0,1"
    assert main(words) == 1
    assert "already holds a run" in capsys.readouterr().out
    assert main([*words, "--resume"]) == 0
    assert (tmp_path / "runs" / "fold-1" / "result" / "model" / "model.json").is_file()


def test_a_trial_needs_no_volumes() -> None:
    task = _task()
    assert isinstance(next(iter(task.samples([0]))), Sample)
    assert set(task.validate()) >= {"dice", "dice_a", "dice_b"}


@pytest.mark.parametrize(("modality", "mode"), [("CT", "window"), ("MR", "percentile")])
def test_the_scale_of_voxels_follows_the_modality_unless_it_is_chosen(modality, mode):
    assert CssnSettings().for_modality(modality).intensity.mode == mode
    chosen = CssnSettings(intensity={"mode": "window"})
    assert chosen.for_modality(modality) is chosen


def test_a_model_does_not_leave_the_scale_of_voxels_open():
    with pytest.raises(ValueError, match="'window' or 'percentile'"):
        ModelPlan(fine=CssnSettings().plan)
