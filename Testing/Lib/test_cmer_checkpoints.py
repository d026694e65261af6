"""The authors' checkpoints in and out: nothing in them is run, every key is compared, nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.checkpoints import export_authors, import_authors, read_authors
from SegToolkitLib.methods.cmer.network import build_networks
from SegToolkitLib.methods.cmer.plan import ModelPlan, NetworkPlan
from SegToolkitLib.methods.cmer.weights import loaded_networks
from SegToolkitLib.models.card import read_card
from SegToolkitLib.models.folder import load_state

PLAN = NetworkPlan(width_factor=32)


def states_of(modalities: int = 2, plan: NetworkPlan = PLAN, seed: int = 1) -> list[dict[str, Tensor]]:
    networks = build_networks(plan, modalities, torch.Generator().manual_seed(seed))
    return [dict(network.state_dict()) for network in networks]


def written(
    folder: Path, states: list[dict[str, Tensor]], pattern: str = "{}_model_best.pth.tar", **more: Any
) -> Path:
    """Files as the authors' code writes them: numpy's numbers beside the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, state in enumerate(states):
        parameters = [torch.nn.Parameter(torch.ones(3))]
        content = {
            "epoch": 12,
            "iteration": 345,
            "state_dict": state,
            "optimizer": torch.optim.AdamW(parameters).state_dict(),
            "best_metric_value": np.float64(0.875),
            "num_of_trainable_params": np.int64(99),
            **more,
        }
        torch.save(content, folder / pattern.format(number))
    return folder


def test_files_of_the_authors_are_read_with_their_numbers(tmp_path: Path) -> None:
    states = states_of(3)
    found = read_authors(written(tmp_path, states))
    for one, state in zip(found, states, strict=True):
        assert one.state.keys() == state.keys()
        assert all(torch.equal(one.state[key], value) for key, value in state.items())
        assert (one.epoch, one.iteration, one.accuracy) == (12, 345, 0.875)


@pytest.mark.parametrize(
    ("which", "expected"),
    [("best", ["0_model_best", "1_checkpoint"]), ("last", ["0_checkpoint", "1_checkpoint"])],
)
def test_the_wanted_kind_is_taken_and_else_the_other_one(
    tmp_path: Path, which: Any, expected: list[str]
) -> None:
    written(tmp_path / "checkpoints", states_of(), "{}_checkpoint.pth.tar")
    written(tmp_path / "checkpoints", states_of(1))
    found = read_authors(tmp_path, which)
    assert [one.file.name.split(".")[0] for one in found] == expected


def test_the_prefix_of_data_parallel_is_dropped(tmp_path: Path) -> None:
    states = states_of()
    prefixed = [{f"module.{key}": value for key, value in state.items()} for state in states]
    found = read_authors(written(tmp_path, prefixed))
    assert [one.state.keys() for one in found] == [state.keys() for state in states]


class Harm:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder / "harm"),)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    written(tmp_path, states_of(), extra=Harm(tmp_path))
    with pytest.raises(SegToolkitError, match="could run code"):
        read_authors(tmp_path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("numbers", "code", "words"),
    [
        ([], "no-checkpoint", "0_model_best.pth.tar"),
        ([0], "incomplete-checkpoint", "modality 1"),
        ([0, 2], "incomplete-checkpoint", "modality 1"),
        ([1, 2], "incomplete-checkpoint", "modality 0"),
    ],
)
def test_files_that_are_missing_are_named(tmp_path: Path, numbers: list[int], code: str, words: str) -> None:
    written(tmp_path, states_of(3))
    for number in {0, 1, 2} - set(numbers):
        (tmp_path / f"{number}_model_best.pth.tar").unlink()
    with pytest.raises(SegToolkitError, match=words) as caught:
        read_authors(tmp_path)
    assert caught.value.code == code


def test_a_model_goes_out_as_it_came_in(tmp_path: Path) -> None:
    states, told = states_of(plan=NetworkPlan(width_factor=16)), []
    source = written(tmp_path / "theirs", states)
    card = import_authors(
        source, tmp_path / "model", modalities=("T2", "ADC"), structure="prostate", tell=told.append
    )
    assert card == read_card(tmp_path / "model")
    plan = ModelPlan.model_validate(card.settings)
    assert plan.modalities == ("T2", "ADC")
    assert plan.network == NetworkPlan(width_factor=16)
    assert card.name == "cmer-t2-adc"
    assert [label.name for label in card.labels] == ["prostate"]
    assert len(told) == 2
    assert "ADC: 64 tensors" not in told[0]
    assert "best accuracy of the tags 0.875" in told[1]
    networks = loaded_networks(plan.network, 2, load_state(tmp_path / "model"), "the model")
    assert torch.equal(networks[1].state_dict()["backbone.0.weight"], states[1]["backbone.0.weight"])
    files = export_authors(tmp_path / "model", tmp_path / "again")
    assert sorted(file.name for file in files) == [
        "0_checkpoint.pth.tar",
        "0_model_best.pth.tar",
        "1_checkpoint.pth.tar",
        "1_model_best.pth.tar",
    ]
    for number, state in enumerate(states):
        # Plain numbers: PyTorch's own safe loader takes the file as it is.
        content = torch.load(tmp_path / "again" / f"{number}_checkpoint.pth.tar", weights_only=True)
        assert list(content) == [
            "epoch",
            "iteration",
            "state_dict",
            "optimizer",
            "best_metric_value",
            "num_of_trainable_params",
        ]
        assert all(torch.equal(content["state_dict"][key], value) for key, value in state.items())
        assert (content["epoch"], content["iteration"], content["best_metric_value"]) == (12, 345, 0.875)
        network = build_networks(plan.network, 2, torch.Generator())[0]
        torch.optim.AdamW(network.parameters()).load_state_dict(content["optimizer"])
        assert content["num_of_trainable_params"] == sum(one.numel() for one in network.parameters())


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ("one key less", "key-mismatch", "1 missing"),
        ("one key more", "key-mismatch", "aux.weight"),
        ("another width", "key-mismatch", "of another shape"),
        ("another network", "key-mismatch", "no network of this method"),
        ("one name less", "modalities-differ", "2 modalities, and 1"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_written(
    tmp_path: Path, change: str, code: str, words: str
) -> None:
    states, modalities = states_of(), ("T2", "ADC")
    if change == "one key less":
        del states[1]["up2.conv.conv.3.weight"]
    elif change == "one key more":
        states[0]["aux.weight"] = torch.ones(2)
    elif change == "another width":
        states[1] = states_of(plan=NetworkPlan(width_factor=16))[1]
    elif change == "another network":
        states[0] = {"conv1.weight": torch.ones(3, 3)}
    else:
        modalities = ("T2",)
    with pytest.raises(SegToolkitError, match=words) as caught:
        import_authors(written(tmp_path / "in", states), tmp_path / "out", modalities=modalities)
    assert caught.value.code == code
    assert not (tmp_path / "out").exists()


def test_numbers_that_are_no_numbers_are_passed_over(tmp_path: Path) -> None:
    found = read_authors(written(tmp_path, states_of(), epoch="late", best_metric_value=float("nan")))
    assert (found[0].epoch, found[0].iteration, found[0].accuracy) == (None, 345, None)


def test_a_plain_state_dict_will_do(tmp_path: Path) -> None:
    for number, state in enumerate(states_of()):
        torch.save(state, tmp_path / f"{number}_model_best.pth.tar")
    assert [one.epoch for one in read_authors(tmp_path)] == [None, None]


def test_a_model_of_another_method_is_not_exported(tmp_path: Path) -> None:
    written(tmp_path / "in", states_of())
    import_authors(tmp_path / "in", tmp_path / "out", modalities=("a", "b"))
    card = (tmp_path / "out" / "model.json").read_text(encoding="utf-8")
    (tmp_path / "out" / "model.json").write_text(card.replace('"cmer"', '"cssn"'), encoding="utf-8")
    with pytest.raises(SegToolkitError, match="not cmer"):
        export_authors(tmp_path / "out", tmp_path / "again")
