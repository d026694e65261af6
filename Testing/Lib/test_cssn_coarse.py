"""The coarse model of a fine training: what it has seen, its copy in the run, and its rules."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cssn_cases import made_dataset, tiny, trained
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.coarse import Coarse, Finder, joined_rules, model_plan
from SegToolkitLib.methods.cssn.kept_coarse import KEPT
from SegToolkitLib.methods.cssn.plan import InferencePlan, ModelPlan
from SegToolkitLib.methods.cssn.settings import CssnSettings, OwnRules
from SegToolkitLib.methods.cssn.states import TrainedRun
from SegToolkitLib.methods.cssn.training import CssnTraining
from SegToolkitLib.models.card import read_card
from SegToolkitLib.models.folder import load_state
from small_runs import Heard, Runs

pytestmark = pytest.mark.usefixtures("one_thread")

RULES = ("inference.half_height_mm=90", "inference.components.2=2", "inference.threshold=0.4")
SHORT = (
    "optimiser.epochs=2",
    "validate_every=0",
    "snapshot_every=1",
    "cross.ramp_steps=0",
    "keep_shares=[1]",
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("boxes"), patients={"0": "A", "1": "A"})


@pytest.fixture(scope="module")
def coarse(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A coarse model that left out fold 0, whose rules are not the usual ones."""
    folder = tmp_path_factory.mktemp("coarse")
    return trained(dataset, folder / "run", coarse_settings(*RULES))


def coarse_settings(*more: str) -> CssnSettings:
    return tiny("cross.enabled=false", *SHORT, *more, stage="coarse")


def fine_settings(*more: str) -> CssnSettings:
    return tiny("cross.enabled=false", *SHORT, *more)


def weights_of(model: Path) -> dict[str, Any]:
    return {key: value for key, value in load_state(model).items() if key.startswith("coarse.")}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_coarse_model_that_knows_the_held_out_cases_is_warned_of(
    dataset: Dataset, coarse: Path, tmp_path: Path
) -> None:
    heard = Heard()
    trained(dataset, tmp_path / "same", fine_settings(), heard, coarse=coarse)
    assert not heard.warnings
    trained(dataset, tmp_path / "other", fine_settings("data.fold=1"), heard, coarse=coarse)
    (warning,) = heard.warnings
    assert read_card(coarse).name in warning
    assert "held-out" in warning
    assert "will refuse" in warning
    trained(dataset, tmp_path / "all", fine_settings("data.fold=null"), heard, coarse=coarse)
    assert len(heard.warnings) == 1, "without held-out cases there is nothing to spoil"


def test_another_image_of_a_patient_counts_as_seen(dataset: Dataset) -> None:
    seen = SimpleNamespace(dataset="boxes", cases=["0", "u1"])
    model: Any = SimpleNamespace(card=SimpleNamespace(trained_on=[seen]))
    assert Coarse.seen(model, dataset, ["1", "2", "u1"]) == ["1", "u1"]


class Exchanged(CssnTraining):
    """Somebody deletes or replaces the coarse model while the training runs."""

    def __init__(self, folder: Path, other: Path | None) -> None:
        self.folder, self.other = folder, other

    def finish(self, context: Any, task: Any) -> Path:
        shutil.rmtree(self.folder)
        if self.other is not None:
            shutil.copytree(self.other, self.folder)
        return super().finish(context, task)


@pytest.fixture(scope="module")
def other(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(dataset, tmp_path_factory.mktemp("other") / "run", coarse_settings("seed=9"))


@pytest.mark.parametrize("by", ["nothing", "another"])
def test_the_model_holds_the_coarse_stage_of_the_start(
    dataset: Dataset, coarse: Path, other: Path, tmp_path: Path, by: str
) -> None:
    place = Path(shutil.copytree(coarse, tmp_path / "coarse"))
    runs = Runs(Exchanged(place, other if by == "another" else None))
    made = runs.trained(dataset, tmp_path / "run", fine_settings(), coarse=place)
    assert same(weights_of(made), weights_of(coarse))
    sha256 = read_card(made).training.provenance["data_sha256"]["coarse model"]
    assert sha256 == read_card(coarse).weights.sha256  # type: ignore[union-attr]


@pytest.mark.parametrize("by", ["nothing", "another"])
def test_a_run_goes_on_with_its_copy_whatever_became_of_the_coarse_model(
    dataset: Dataset, coarse: Path, other: Path, tmp_path: Path, by: str
) -> None:
    place = Path(shutil.copytree(coarse, tmp_path / "coarse"))
    run, heard = tmp_path / "run", Heard()
    trained(dataset, run, fine_settings(), heard, coarse=place)
    (run / "checkpoints" / "00000002.pt").unlink()
    shutil.rmtree(place)
    if by == "another":
        shutil.copytree(other, place)
    made = trained(dataset, run, fine_settings(), heard, resume="must", coarse=place)
    assert same(weights_of(made), weights_of(coarse))
    assert ["keeps a copy" in text for text in heard.warnings] == ([True] if by == "another" else [])
    judged = TrainedRun.open(run)
    assert judged.coarse is not None
    assert same(dict(judged.coarse.state), weights_of(coarse))


def test_a_run_from_before_copies_says_which_model_it_wants(
    dataset: Dataset, coarse: Path, other: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    trained(dataset, run, fine_settings(), coarse=coarse)
    shutil.rmtree(run / KEPT)
    (run / "checkpoints" / "00000002.pt").unlink()
    with pytest.raises(SegToolkitError) as caught:
        trained(dataset, run, fine_settings(), resume="must", coarse=other)
    assert caught.value.code == "coarse-changed"
    assert "was started with another one" in caught.value.message
    made = trained(dataset, run, fine_settings(), resume="must", coarse=coarse)
    assert same(weights_of(made), weights_of(coarse))
    assert (run / KEPT / "model.json").is_file()


def test_a_run_that_was_started_without_one_is_given_none(
    dataset: Dataset, coarse: Path, tmp_path: Path
) -> None:
    trained(dataset, tmp_path / "run", fine_settings())
    with pytest.raises(SegToolkitError) as caught:
        trained(dataset, tmp_path / "run", fine_settings(), resume="must", coarse=coarse)
    assert caught.value.code == "coarse-changed"
    assert "was started without one" in caught.value.message


def test_the_model_of_both_stages_keeps_the_rules_of_its_coarse_stage(
    dataset: Dataset, coarse: Path, tmp_path: Path
) -> None:
    heard = Heard()
    model = trained(dataset, tmp_path / "run", fine_settings(), heard, coarse=coarse)
    plan = ModelPlan.model_validate(read_card(model).settings)
    found = plan.rules("coarse")
    assert (found.half_height_mm, found.components, found.threshold) == (90, {2: 2}, 0.4)
    assert (plan.inference.half_height_mm, plan.inference.components) == (240, {})
    assert plan.inference.threshold == 0.5
    assert any("half_height_mm=90" in text for text in heard.infos)
    assert not heard.warnings
    # The unlabelled images of the training are cropped by the same rules.
    run = TrainedRun.open(tmp_path / "run")
    assert run.plan == plan
    assert run.coarse is not None
    assert run.coarse.inference == found
    finder = Finder(run.coarse, torch.device("cpu"), "auto")
    assert finder._segmenter._plan.rules("coarse") == found.model_copy(update={"margin_mm": 0})


def test_what_the_fine_training_sets_holds_for_both_stages() -> None:
    card = InferencePlan(half_height_mm=90, components={2: 2}, margin_mm=7, fine_least_mm3=1)
    own = OwnRules(half_height_mm=300, margin_mm=30, fine_least_mm3=40)
    found = joined_rules(own, card)
    assert (found.half_height_mm, found.components, found.coarse_least_mm3) == (300, {2: 2}, 1000)
    assert (found.margin_mm, found.fine_least_mm3, found.least_rule) == (30, 40, "literal")


@pytest.mark.parametrize(("limit", "expected"), [(500, 300), (1000, 300), (400, 400)])
def test_a_limit_counts_as_set_that_is_neither_ours_nor_the_released_one(
    limit: float, expected: float
) -> None:
    found = joined_rules(OwnRules(coarse_least_mm3=limit), InferencePlan(coarse_least_mm3=300))
    assert found.coarse_least_mm3 == expected


def test_equal_rules_are_said_once(dataset: Dataset, coarse: Path) -> None:
    settings = fine_settings(*RULES).for_modality("CT")
    there = Coarse.load(coarse, {1: "liver", 2: "spleen"}, settings.inference)
    assert model_plan(settings, there).coarse_inference is None
    alone = coarse_settings(*RULES).for_modality("CT")
    assert model_plan(alone, None).inference.half_height_mm == 90
