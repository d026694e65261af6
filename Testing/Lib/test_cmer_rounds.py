"""WSS-CMER: epochs of one round through the slices, as the authors have them, however many there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cmer_runs import RUNS, made_dataset, run, tiny, trained
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs.status import status
from SegToolkitLib.methods.cmer.settings import ROUND
from SegToolkitLib.methods.cmer.trial import trial
from SegToolkitLib.models.card import read_card
from SegToolkitLib.training.run_folder import RunFolder
from small_runs import equal, metrics, weights

pytestmark = pytest.mark.usefixtures("one_thread")

# Two cases of 8 slices train.
SLICES = 16
ROUNDS = "optimiser.steps_per_epoch=null"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("balls"))


def test_epochs_are_rounds_through_the_slices(dataset: Dataset, tmp_path: Path) -> None:
    # 16 slices in batches of 3: five whole ones, and a last one that is too small.
    settings = tiny(ROUNDS, "optimiser.epochs=3", "optimiser.batch=3", "seeds=2")
    model = trained(dataset, tmp_path / "run", settings)
    about = RunFolder(tmp_path / "run")
    (started,) = about.events("start")
    assert started["total"] == about.settings()["steps"] == 3 * 5 * 2
    assert about.settings()["settings"]["optimiser"]["steps_per_epoch"] is None
    assert len(metrics(tmp_path / "run")) == 30
    card = read_card(model)
    assert (card.training.steps, card.training.settings["optimiser"]["steps_per_epoch"]) == (30, 5)
    assert (status(tmp_path / "run").step, status(tmp_path / "run").total) == (30, 30)


def test_validations_come_at_the_ends_of_rounds(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny(ROUNDS, "optimiser.epochs=2", "schedule.at_epoch_ends=true", "validate_every=100")
    trained(dataset, tmp_path / "run", settings)
    assert [event["step"] for event in RunFolder(tmp_path / "run").events("validation")] == [2, 4]


def test_gradients_that_are_added_up_do_not_make_the_round_longer(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny(ROUNDS, "optimiser.epochs=2", "optimiser.batch=4", "accumulate=3")
    trained(dataset, tmp_path / "run", settings)
    # Four batches a round, three an update.
    assert len(metrics(tmp_path / "run")) == 2 * 2


def test_a_run_that_goes_on_ends_where_it_would_have(dataset: Dataset, tmp_path: Path) -> None:
    whole, parts = RUNS.whole_and_resumed(dataset, tmp_path, tiny(ROUNDS, "optimiser.epochs=2"))
    assert [event["total"] for event in RunFolder(parts).events("start")] == [4, 4]
    assert equal(weights(whole), weights(parts))


def test_before_the_slices_are_read_the_length_is_the_authors(tmp_path: Path) -> None:
    settings = tiny(ROUNDS, "optimiser.epochs=3", "seeds=2")
    assert (settings.steps_per_epoch, settings.total_steps) == (ROUND, 6 * ROUND)
    assert settings.with_round(7).total_steps == 42


def test_an_estimate_asks_for_a_number_of_steps() -> None:
    with pytest.raises(SegToolkitError) as caught:
        trial(tiny(ROUNDS), None, torch.device("cpu"))
    assert caught.value.code == "steps-unknown"
    assert "optimiser.steps_per_epoch" in caught.value.hint


def test_a_configuration_of_the_authors_trains_its_epochs_whole(dataset: Dataset, tmp_path: Path) -> None:
    config = tmp_path / "authors.json"
    theirs = {"modality": "T2,ADC", "downsize_nb_filters_factor": 32, "batch_size": 4, "max_epoch": 3}
    config.write_text(json.dumps(theirs | {"img_size": 16, "data_loader_workers": 0}), encoding="utf-8")
    words = ("--dataset", dataset.folder, "--config", config, "--device", "cpu", "--folds", 2)
    words += ("--set", "validate_every=0", "--set", "schedule.at_epoch_ends=false")
    words += ("--place", f"cache={tmp_path / 'cache'}")
    run("crossval", *words, "--run", tmp_path / "cv")
    for fold in ("fold0", "fold1"):
        (started,) = RunFolder(tmp_path / "cv" / fold).events("start")
        assert started["total"] == 3 * SLICES // 4
        assert RunFolder(tmp_path / "cv" / fold).settings()["settings"]["input"]["size"] == 16
    # What is said besides goes before it.
    run("train", *words[:6], *words[8:], "--run", tmp_path / "short", "--steps", 2)
    assert RunFolder(tmp_path / "short").events("start")[0]["total"] == 2
