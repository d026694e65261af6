"""Weights in a model's folder: precise enough, complete or absent, and only the right ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

import SegToolkitLib.models.files as files
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import read_card, write_card
from SegToolkitLib.models.folder import load_state, save_model
from test_models_card import make_card


def a_state(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "conv.weight": torch.randn(8, 4, 3, 3, generator=generator),
        "norm.running_var": torch.rand(8, generator=generator) * 100,
        "norm.num_batches_tracked": torch.tensor(70_000),
        "empty": torch.zeros(0),
    }


def test_full_precision_keeps_every_bit_and_type(tmp_path: Path) -> None:
    state = a_state()
    save_model(tmp_path, make_card(), state, half=False)
    loaded = load_state(tmp_path)
    assert loaded.keys() == state.keys()
    assert all(
        torch.equal(loaded[key], state[key]) and loaded[key].dtype == state[key].dtype for key in state
    )


def test_half_precision_keeps_eleven_bits_and_integers(tmp_path: Path) -> None:
    state = a_state()
    card = save_model(tmp_path, make_card(), state)
    loaded = load_state(tmp_path)
    for key in ("conv.weight", "norm.running_var"):
        assert loaded[key].dtype == torch.float32
        # 2^-25 is half the distance between the smallest half-precision numbers.
        bound = 2.0**-11 * state[key].abs() + 2.0**-25
        assert ((loaded[key] - state[key]).abs() <= bound).all()
        assert not torch.equal(loaded[key], state[key]), "nothing was rounded"
    assert torch.equal(loaded["norm.num_batches_tracked"], torch.tensor(70_000))
    assert card.weights is not None
    assert card.weights.dtype == "float16"
    assert card.weights.bytes == (tmp_path / "weights.safetensors").stat().st_size < 2 * 300 + 500


@pytest.mark.parametrize("value", [1e5, 1e-9])
def test_a_tensor_beyond_half_precision_stays_in_full(tmp_path: Path, value: float) -> None:
    save_model(tmp_path, make_card(), {"var": torch.tensor([value, value / 3])})
    assert torch.equal(load_state(tmp_path)["var"], torch.tensor([value, value / 3]))


def test_strided_and_shared_tensors_can_be_saved(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    state = {"turned": whole.T, "part": whole[:, 1], "same": whole, "channels_last": torch.rand(2, 3, 4, 4)}
    state["channels_last"] = state["channels_last"].to(memory_format=torch.channels_last)
    save_model(tmp_path, make_card(), state, half=False)
    assert all(torch.equal(value, state[key]) for key, value in load_state(tmp_path).items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_a_diverged_training_are_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(SegToolkitError, match=r"tensor b holds NaN or infinity"):
        save_model(tmp_path / "model", make_card(), {"a": torch.ones(2), "b": torch.tensor([1.0, value])})
    assert not (tmp_path / "model").exists()


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-7]), "its card says"),
        (lambda path: path.write_bytes(b""), "its card says"),
        (_flip_a_bit, "another SHA-256"),
        (lambda path: path.unlink(), "is missing"),
    ],
    ids=["truncated", "empty", "one bit", "missing"],
)
def test_damaged_weights_are_not_loaded(tmp_path: Path, damage, said: str) -> None:
    save_model(tmp_path, make_card(), a_state())
    damage(tmp_path / "weights.safetensors")
    with pytest.raises(SegToolkitError) as caught:
        load_state(tmp_path)
    assert caught.value.code == "bad-weights"
    assert said in caught.value.message
    assert "weights.safetensors" in caught.value.message


def test_a_wrong_sha256_in_the_card_is_noticed(tmp_path: Path) -> None:
    card = save_model(tmp_path, make_card(), a_state())
    wrong = card.weights.model_copy(update={"sha256": "f" * 64})
    write_card(tmp_path, card.model_copy(update={"weights": wrong}))
    with pytest.raises(SegToolkitError, match="another SHA-256"):
        load_state(tmp_path)


def test_a_truncated_safetensors_file_with_a_matching_card_is_refused(tmp_path: Path) -> None:
    card = save_model(tmp_path, make_card(), a_state())
    path = tmp_path / "weights.safetensors"
    content = path.read_bytes()[:-7]
    path.write_bytes(content)
    fitting = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    write_card(tmp_path, card.model_copy(update={"weights": card.weights.model_copy(update=fitting)}))
    with pytest.raises(SegToolkitError, match="not a safetensors file"):
        load_state(tmp_path)


def test_the_path_of_the_card_leads_to_the_weights(tmp_path: Path) -> None:
    save_model(tmp_path, make_card(), a_state())
    assert load_state(tmp_path / "model.json").keys() == a_state().keys()


def test_replacing_a_model_again_and_again_leaves_one(tmp_path: Path) -> None:
    for seed in (0, 1, 2, 2):
        save_model(tmp_path, make_card(title=f"number {seed}"), a_state(seed), half=False)
        assert torch.equal(load_state(tmp_path)["conv.weight"], a_state(seed)["conv.weight"])
        assert read_card(tmp_path).title == f"number {seed}"
        assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("failing", ["write_card", "replacing"])
def test_an_interrupted_save_leaves_the_earlier_model(tmp_path: Path, monkeypatch, failing: str) -> None:
    save_model(tmp_path, make_card(title="earlier"), a_state(0), half=False)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, failing, stop)
    with pytest.raises(KeyboardInterrupt):
        save_model(tmp_path, make_card(title="later"), a_state(1), half=False)
    monkeypatch.undo()
    assert read_card(tmp_path).title == "earlier"
    assert torch.equal(load_state(tmp_path)["conv.weight"], a_state(0)["conv.weight"])
    assert len(list(tmp_path.iterdir())) == 2


def test_saving_what_is_there_mends_damaged_weights(tmp_path: Path) -> None:
    save_model(tmp_path, make_card(), a_state())
    (tmp_path / "weights.safetensors").write_bytes(b"")
    save_model(tmp_path, make_card(), a_state())
    assert load_state(tmp_path).keys() == a_state().keys()


def test_others_may_read_a_saved_model(tmp_path: Path) -> None:
    save_model(tmp_path, make_card(), a_state())
    (tmp_path / "plain").write_text("")  # what the umask of this process allows
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("changes", [{"name": "another"}, {"method": "cssn"}])
def test_another_model_is_not_replaced(tmp_path: Path, changes: dict[str, str]) -> None:
    save_model(tmp_path, make_card(), a_state())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(SegToolkitError) as caught:
        save_model(tmp_path, make_card().model_copy(update=changes), a_state(1))
    assert caught.value.code == "model-exists"
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
