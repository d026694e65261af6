"""Choosing unlabelled images with the states of a run: which states, at which size, by command."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dataset_cases import case
from SegToolkitLib.cli import main
from SegToolkitLib.dataset import DatasetDescription
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.cases import roles_of
from SegToolkitLib.methods.cssn.judging import ImageJudge, label_map
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import InferencePlan, ModelPlan, NetworkPlan, StagePlan
from SegToolkitLib.methods.cssn.reliability import (
    read_selection,
)
from SegToolkitLib.methods.cssn.segment import CssnSegmenter
from SegToolkitLib.methods.cssn.settings import CrossSettings, CssnSettings, DataSettings
from SegToolkitLib.methods.cssn.states import TrainedRun, kept_checkpoints, states_of
from SegToolkitLib.methods.cssn.train import build_networks
from SegToolkitLib.methods.cssn.weights import for_stage
from SegToolkitLib.models.card import Label, Licence, ModelCard, Preprocessing
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.training.checkpoint import save_checkpoint
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.volume import read_volume


def table_ids(path: Path) -> list[str]:
    with path.open() as lines:
        return [row["id"] for row in csv.DictReader(lines)]


@pytest.mark.parametrize(("exclusive", "expected"), [(False, [0, 2, 2, 1]), (True, [0, 1, 2, 1])])
def test_the_later_organ_wins_or_the_surer_one(exclusive: bool, expected: list[int]) -> None:
    logits = torch.tensor([[-1.0, 3.0, 1.0, 0.5], [-2.0, 1.0, 2.0, -0.1]])[:, None, None]
    assert label_map(logits, 0.5, exclusive).flatten().tolist() == expected


TINY = CssnSettings(
    network=NetworkPlan(channels=(2, 2, 4, 8), blocks=(1, 1, 1)),
    size=(32, 32, 64),
    cross=CrossSettings(enabled=True),
    data=DataSettings(labelled=["c0"]),
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with three kept checkpoints whose weights come closer to the last; c0 teaches with its label."""
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    cases = [case(f"c{n}", n, liver=1, spleen=2) for n in range(5)]
    description = DatasetDescription(name="made", modality="CT", labels={"background": 0})
    add_cases(tmp_path / "data", description, [*cases, case("bare", 9)])
    folder = tmp_path / "run"
    values = TINY.model_dump(mode="json")
    start = {"dataset": str(tmp_path / "data"), "data": None, "places": {}}
    made = RunFolder.create(folder, "cssn", values, {}, start, TINY.total_steps)
    final = build_networks(TINY, 2).state_dict()
    for step, noise in ((36, 1.0), (66, 0.3), (100, 0.0)):
        torch.manual_seed(step)
        moved: dict[str, Tensor] = {
            key: one + noise * one.std() * torch.randn_like(one) for key, one in final.items()
        }
        save_checkpoint(made.checkpoints, step, {"network": moved, "extra": {"better": "b"}}, keep=9)
    return folder


def keep_for_good(run: Path) -> None:
    for file in kept_checkpoints(run / "checkpoints"):
        file.rename(file.with_name(f"keep-{file.stem}.pt"))


def test_states_are_the_kept_checkpoints_of_the_better_network(run: Path) -> None:
    resumable = states_of(TrainedRun.open(run), "checkpoints")
    keep_for_good(run)
    opened = TrainedRun.open(run)
    states = states_of(opened, "checkpoints")
    assert [state.name for state in states] == ["keep-00000036", "keep-00000066", "keep-00000100"]
    assert [state.fingerprint for state in states] == [state.fingerprint for state in resumable]
    wanted = build_networks(TINY, 2)["b"].state_dict()
    assert all(torch.equal(states[-1].weights[key], value) for key, value in wanted.items())
    assert [state.name for state in states_of(opened, "networks")] == ["network a", "network b"]
    assert states_of(opened, "networks")[1].fingerprint == states[-1].fingerprint
    assert states_of(opened, "checkpoints", "a")[-1].fingerprint != states[-1].fingerprint


def test_a_run_with_too_little_to_compare_says_what_to_do(run: Path) -> None:
    for file in kept_checkpoints(run / "checkpoints")[:-1]:
        file.unlink()
    opened = TrainedRun.open(run)
    with pytest.raises(SegToolkitError, match="kept a single checkpoint"):
        states_of(opened, "checkpoints")
    assert len(states_of(opened, "networks")) == 2
    kept_checkpoints(run / "checkpoints")[0].unlink()
    with pytest.raises(SegToolkitError, match="has no checkpoint"):
        states_of(opened, "networks")


def chosen_by(run: Path, out: Path, *options: str) -> int:
    """Exit code of the command."""
    command = ["select-unlabeled", "cssn", "--run", str(run), "--out", str(out), "--device", "cpu", *options]
    return main(command)


@pytest.mark.parametrize("at", ["network", "image"])
def test_a_run_judges_the_images_whose_labels_it_did_not_use(run: Path, at: str, tmp_path: Path) -> None:
    out = tmp_path / "chosen.csv"
    assert chosen_by(run, out, "--at", at, "--count", "2", "--truth") == 0
    with out.open() as lines:
        table = {row["id"]: row for row in csv.DictReader(lines)}
    opened = TrainedRun.open(run)
    assert opened.organs == {1: "liver", 2: "spleen"}
    roles = roles_of(opened.dataset, TINY.data, TINY.seed)
    assert set(table) == set(roles.unlabelled)
    assert "c0" not in table
    assert table["bare"]["dice"] == ""
    assert all(0 <= float(row["dice"]) <= 1 for id, row in table.items() if id != "bare")
    assert all(0 <= float(row["reliability"]) <= 1 for row in table.values())
    assert len(read_selection(out)) == 2
    assert chosen_by(run, out, "--at", at) == 1, "a table that may have been edited is not replaced"
    assert chosen_by(run, out, "--at", at, "--cases", "c99", "--overwrite") == 1
    assert chosen_by(run, out, "--at", at, "--cases", "held-out", "--overwrite") == 0
    assert table_ids(out) == list(roles.held_out)


def test_the_two_networks_and_named_cases_do_as_well(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "chosen.csv"
    assert chosen_by(run, out, "--cases", "bare, c0", "--source", "networks", "--at", "network") == 0
    assert sorted(table_ids(out)) == ["bare", "c0"]


def test_behind_a_coarse_stage_states_find_what_a_model_of_both_stages_finds(
    run: Path, tmp_path: Path
) -> None:
    keep_all = InferencePlan(coarse_least_mm3=0, fine_least_mm3=0, margin_mm=2)
    plan = StagePlan(
        network=NetworkPlan(kind="unet", channels=(2, 2, 4, 8), blocks=(1, 1, 1)), size=(16, 32, 32)
    )
    labels = [Label(value=1, name="liver"), Label(value=2, name="spleen")]
    card = ModelCard(
        name="coarse",
        title="coarse",
        method="cssn",
        settings=ModelPlan(coarse=plan, inference=keep_all).model_dump(mode="json"),
        labels=labels,
        preprocessing=Preprocessing(modality="CT", orientation="RAS"),
        licence=Licence(name="CC BY 4.0", permissive=True),
    )
    weights = for_stage(build_network(plan, 2, seed=3).state_dict(), "coarse")
    save_model(tmp_path / "coarse", card, weights, half=False)
    opened = TrainedRun.open(run, coarse=tmp_path / "coarse")
    opened = replace(opened, settings=opened.settings.model_copy(update={"inference": keep_all}))
    states = states_of(opened, "checkpoints")
    judge = ImageJudge.of_run(opened, states, torch.device("cpu"), "float32")
    maps = judge.maps("c3")
    image = read_volume(opened.dataset.case("c3").image)
    for state, found in zip(states, maps, strict=True):
        both = weights | for_stage(state.weights, "fine")
        model = CssnSegmenter(opened.plan, both, labels, torch.device("cpu"), "float32")
        whole = model.segment(image).labels.voxels
        assert whole.any()
        assert (
            np.bincount(whole.ravel(), minlength=3)[1:].tolist()
            == np.bincount(found.ravel(), minlength=3)[1:].tolist()
        )
    truth = judge.truth("c3")
    assert truth is not None
    assert truth.shape == maps[0].shape


def test_equal_states_agree_wholly(run: Path, tmp_path: Path) -> None:
    keep_for_good(run)
    folder = run / "checkpoints"
    (folder / "keep-00000036.pt").write_bytes((folder / "keep-00000100.pt").read_bytes())
    (folder / "keep-00000066.pt").unlink()
    out = tmp_path / "chosen.csv"
    assert chosen_by(run, out, "--at", "network", "--cases", "bare") == 0
    with out.open() as lines:
        assert {row["reliability"] for row in csv.DictReader(lines)} == {"1"}
