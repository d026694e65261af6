"""ALPNet's weights come in from the authors and from COCO, and go out again, key by key.

Keys and shapes of the authors' checkpoint are those of the parity case, not those of our code. Most
checkpoints here repeat one number per tensor, which takes no room.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

import SegToolkitLib.methods.alpnet.checkpoints as checkpoints
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.checkpoints import (
    download_coco,
    export_authors_checkpoint,
    hounsfield_statistics,
    import_authors_checkpoint,
    load_coco,
    network_from_model,
    passenger_shapes,
)
from SegToolkitLib.methods.alpnet.network import build_network
from SegToolkitLib.models.card import read_card
from SegToolkitLib.models.folder import save_model
from test_models_card import make_card

CASE = Path(__file__).parents[1] / "Data" / "parity" / "alpnet" / "encoder_forward.json"
AUTHORS_SHAPES = {key: tuple(shape) for key, shape in json.loads(CASE.read_text())["state_dict"].items()}
COMPACT = {"encoder": "compact", "compact_widths": (4, 4, 8, 8), "channels": 8}
State = dict[str, Tensor]


def number(key: str) -> float:
    return zlib.crc32(key.encode()) / 2**32


def thin_state(shapes: dict[str, tuple[int, ...]] = AUTHORS_SHAPES) -> State:
    """Return a state whose tensors repeat one number each."""
    return {
        key: torch.tensor(7)
        if key.endswith("num_batches_tracked")
        else torch.tensor(number(key)).expand(shape)
        for key, shape in shapes.items()
    }


def saved(state: State, path: Path) -> Path:
    torch.save(state, path)
    return path


def equal(left: State, right: State) -> bool:
    return left.keys() == right.keys() and all(
        left[key].dtype == right[key].dtype and torch.equal(left[key], right[key]) for key in left
    )


def test_network_and_passengers_are_the_authors_663_keys() -> None:
    shapes = checkpoints._authors_shapes() | passenger_shapes()
    assert len(AUTHORS_SHAPES) == 663
    assert shapes == AUTHORS_SHAPES


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[State, Path]]:
    """An authors' checkpoint of noise, and the model made of it (0.4 GB, removed at the end)."""
    folder = tmp_path_factory.mktemp("authors")
    generator = torch.Generator().manual_seed(1)
    state = {
        key: torch.tensor(5) if key.endswith("tracked") else torch.rand(shape, generator=generator)
        for key, shape in AUTHORS_SHAPES.items()
    }
    file = saved(state, folder / "Step_100000.pth")
    import_authors_checkpoint(file, folder / "model", modality="MR")
    file.unlink()
    yield state, folder / "model"
    for path in (folder / "model").iterdir():
        path.unlink()


def test_an_authors_checkpoint_comes_back_bit_by_bit(imported: tuple[State, Path], tmp_path: Path) -> None:
    state, model = imported
    exported = export_authors_checkpoint(model, tmp_path / "out.pth")
    assert equal(torch.load(exported, weights_only=True), state)
    exported.unlink()


def test_the_network_of_an_imported_model_has_its_weights_and_passengers(
    imported: tuple[State, Path],
) -> None:
    state, model = imported
    network, card = network_from_model(model)
    assert equal(network.authors_state_dict(), state)
    assert not network.training
    assert card.name == "alpnet-step_100000"


def test_the_card_of_an_imported_model_says_what_is_unknown(imported: tuple[State, Path]) -> None:
    card = read_card(imported[1])
    assert not card.licence.permissive
    assert "unknown: ask the authors; released code is MIT" in card.licence.summary
    assert card.trained_on == []
    assert card.settings["encoder"] == "resnet101"
    assert card.preprocessing.modality == "MR"
    assert card.preprocessing.clip_top == 99.5
    assert card.preprocessing.spacing == (1.25, 1.25, None)
    assert card.preprocessing.mean is None


def without(key: str) -> Callable[[State], State]:
    return lambda state: {name: value for name, value in state.items() if name != key}


LOCALCONV = "encoder.localconv.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without(LOCALCONV), "1 missing (encoder.localconv.weight)"),
        (lambda state: state | {"fc.weight": torch.ones(1)}, "1 unexpected (fc.weight)"),
        (
            lambda state: state | {LOCALCONV: torch.ones(2, 2)},
            "encoder.localconv.weight is 2 x 2 instead of 256 x",
        ),
        (
            lambda state: state | {"encoder.aspp_out.9.x": torch.ones(1)},
            "1 unexpected (encoder.aspp_out.9.x)",
        ),
        (
            lambda state: state | {"encoder.asppconv.weight": torch.ones(3)},
            "encoder.asppconv.weight is 3 instead",
        ),
        (lambda state: {f"encoder.{key}": value for key, value in state.items()}, "missing"),
    ],
    ids=["missing", "unexpected", "shape", "unknown passenger", "passenger's shape", "other prefix"],
)
def test_a_checkpoint_that_does_not_fit_is_reported_and_writes_nothing(
    tmp_path: Path, change: Callable[[State], State], said: str
) -> None:
    file = saved(change(thin_state()), tmp_path / "a.pth")
    with pytest.raises(SegToolkitError) as caught:
        import_authors_checkpoint(file, tmp_path / "model", modality="MR")
    assert caught.value.code == "key-mismatch"
    assert said in caught.value.message
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"mean": 60.0},
        {"std": 50.0},
        {"mean": 60, "std": 0},
        {"mean": -20, "std": 90},
        {"mean": 0.5, "std": 50},
    ],
)
def test_a_ct_checkpoint_needs_possible_mean_and_std(tmp_path: Path, given: dict[str, float]) -> None:
    file = saved(thin_state(), tmp_path / "a.pth")
    with pytest.raises(SegToolkitError) as caught:
        import_authors_checkpoint(file, tmp_path / "model", modality="CT", **given)
    assert caught.value.code == "ct-statistics"
    assert "0..255" in caught.value.hint
    assert not (tmp_path / "model").exists()


def test_mr_volumes_take_no_given_mean_and_std(tmp_path: Path) -> None:
    file = saved(thin_state(), tmp_path / "a.pth")
    with pytest.raises(SegToolkitError, match="given for MR"):
        import_authors_checkpoint(file, tmp_path / "model", modality="MR", mean=60, std=50)


@pytest.mark.parametrize(
    ("stem", "name"), [("Größe 1", "alpnet-gr-e-1"), ("…", "alpnet"), ("x" * 99, "alpnet-" + "x" * 57)]
)
def test_any_file_name_makes_a_valid_model_name(
    tmp_path: Path, unsaved: list[tuple], stem: str, name: str
) -> None:
    file = saved(thin_state(), tmp_path / f"{stem}.pth")
    assert import_authors_checkpoint(file, tmp_path, modality="MR").name == name


@pytest.mark.parametrize(("mean", "std"), [(63.75, 51.0), (0.25, 0.2)])
def test_ct_statistics_give_the_authors_z_scores_in_hounsfield_units(mean: float, std: float) -> None:
    assert hounsfield_statistics(mean, std) == pytest.approx((-25.0, 80.0))


@pytest.fixture
def unsaved(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What would have been written, for tests of the card alone."""
    calls: list[tuple] = []
    monkeypatch.setattr(checkpoints, "save_model", lambda *arguments: calls.append(arguments) or arguments[1])
    return calls


def test_a_ct_import_records_window_and_statistics(tmp_path: Path, unsaved: list[tuple]) -> None:
    file = saved(thin_state(), tmp_path / "100.pth")
    card = import_authors_checkpoint(
        file, tmp_path, modality="CT", mean=63.75, std=51, name="sabs", spacing=(1.5, 1.5, None)
    )
    p = card.preprocessing
    assert (p.window, p.clip_top, p.spacing, p.orientation) == ((-125, 275), None, (1.5, 1.5, None), "LAS")
    assert (p.mean, p.std) == pytest.approx((-25.0, 80.0))
    assert card.name == "sabs"


def test_passengers_and_batch_counters_are_optional(tmp_path: Path, unsaved: list[tuple]) -> None:
    bare = {key: value for key, value in thin_state().items() if "aspp" not in key and "tracked" not in key}
    import_authors_checkpoint(saved(bare, tmp_path / "a.pth"), tmp_path, modality="MR")
    [(_, _, state, half)] = unsaved
    assert state.keys() == {key for key in AUTHORS_SHAPES if "aspp" not in key}
    assert half is False


def compact_model(folder: Path, **changes: object) -> State:
    network = build_network("compact", compact_widths=(4, 4, 8, 8), channels=8, generator_seed=1)
    save_model(folder, make_card(settings=COMPACT, **changes), network.state_dict(), half=False)
    return network.state_dict()


def test_a_compact_model_becomes_a_network_in_evaluation_mode(tmp_path: Path) -> None:
    state = compact_model(tmp_path)
    network, card = network_from_model(tmp_path)
    assert equal(network.state_dict(), state)
    assert not network.training
    assert card.name == "toy"
    assert network(torch.zeros(1, 16, 16)).shape == (1, 8, 2, 2)


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"method": "cssn"}, "other-method", "method cssn"),
        ({"settings": {"encoder": "vgg"}}, "bad-model-card", "'encoder'"),
        ({"settings": COMPACT | {"chanels": 8}}, "bad-model-card", "did you mean 'channels'"),
        (
            {"settings": COMPACT | {"channels": 16}},
            "model-mismatch",
            "8 x 8 x 1 x 1 instead of 16 x 8 x 1 x 1",
        ),
        ({"settings": {}}, "model-mismatch", "missing"),
    ],
)
def test_a_model_that_is_not_what_its_card_says_is_refused(
    tmp_path: Path, changes: dict, code: str, said: str
) -> None:
    state = build_network("compact", compact_widths=(4, 4, 8, 8), channels=8).state_dict()
    save_model(tmp_path, make_card(**{"settings": COMPACT} | changes), state)
    with pytest.raises(SegToolkitError) as caught:
        network_from_model(tmp_path)
    assert caught.value.code == code
    assert said in caught.value.message


def test_a_compact_model_has_no_authors_checkpoint(tmp_path: Path) -> None:
    compact_model(tmp_path / "model")
    with pytest.raises(SegToolkitError, match="authors' code knows resnet101"):
        export_authors_checkpoint(tmp_path / "model", tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()


def coco_state() -> State:
    """Return the keys of torchvision's file: those that are wanted, and those that are not."""
    names = {"encoder.backbone.": "backbone.", "encoder.aspp_out.": "classifier."}
    wanted = {
        new + key.removeprefix(old): value
        for key, value in thin_state().items()
        for old, new in names.items()
        if key.startswith(old)
    }
    rest = ("classifier.2.weight", "classifier.4.bias", "aux_classifier.0.weight", "aux_classifier.4.bias")
    return wanted | {key: torch.zeros(256) for key in rest}


def test_coco_weights_fill_backbone_and_passengers_and_leave_the_rest_fresh(tmp_path: Path) -> None:
    network = build_network("resnet101", generator_seed=3)
    localconv = network.encoder.localconv.weight.detach().clone()
    torch.manual_seed(11)
    before = torch.get_rng_state()
    load_coco(network, saved(coco_state(), tmp_path / "coco.pth"))
    state = network.authors_state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == AUTHORS_SHAPES
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            assert value == 7
        elif ".backbone." in key or ".aspp_out." in key:
            assert value.flatten()[0] == pytest.approx(number(key)), key
    assert torch.equal(state[LOCALCONV], localconv)
    # PyTorch's default: uniform within 1 / sqrt(inputs).
    asppconv = state["encoder.asppconv.weight"]
    assert 0.99 / 16 < asppconv.abs().max() <= 1 / 16
    assert torch.equal(torch.get_rng_state(), before), "the caller's random numbers changed"

    kept = {key: value.clone() for key, value in network.state_dict().items() if "layer1.0" in key}
    damaged = without("backbone.layer4.2.conv3.weight")(coco_state())
    damaged["backbone.layer1.0.conv1.weight"] = torch.ones(64, 64, 1, 1)
    with pytest.raises(SegToolkitError, match=r"1 missing \(encoder.backbone.layer4.2.conv3.weight\)"):
        load_coco(network, saved(damaged, tmp_path / "damaged.pth"))
    assert all(torch.equal(network.state_dict()[key], value) for key, value in kept.items())


def test_coco_weights_do_not_fit_the_compact_encoder(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError) as caught:
        load_coco(build_network("compact"), saved(coco_state(), tmp_path / "coco.pth"))
    assert caught.value.code == "coco-encoder"


def test_the_coco_download_checks_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"not the real weights"
    digest = hashlib.sha256(content).hexdigest()[:8]
    (tmp_path / "server").mkdir()
    remote = tmp_path / "server" / checkpoints.COCO_URL.rsplit("/", 1)[-1]
    remote.write_bytes(content)
    assert checkpoints.COCO_SHA256 in remote.name
    monkeypatch.setattr(checkpoints, "COCO_URL", remote.as_uri())
    with pytest.raises(SegToolkitError) as caught:
        download_coco(tmp_path / "out")
    assert caught.value.code == "bad-checksum"
    monkeypatch.setattr(checkpoints, "COCO_SHA256", digest)
    seen: list[tuple[int, int]] = []
    assert download_coco(tmp_path / "out", lambda *at: seen.append(at)).read_bytes() == content
    assert seen == [(len(content), len(content))]


def test_an_offline_coco_download_says_how_to_do_it_by_hand(tmp_path: Path, monkeypatch) -> None:
    real = checkpoints.COCO_URL
    monkeypatch.setattr(checkpoints, "COCO_URL", (tmp_path / "nowhere" / "x.pth").as_uri())
    with pytest.raises(SegToolkitError) as caught:
        download_coco(tmp_path)
    assert caught.value.code == "download-failed"
    assert real in caught.value.hint
    assert "--coco FILE" in caught.value.hint
