"""The authors' checkpoints become models and come back; keys and shapes are those of the parity cases."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from SegToolkitLib.cli import main
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.checkpoints import PLACES, export_authors, import_authors
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import ModelPlan, NetworkPlan, StagePlan
from SegToolkitLib.methods.cssn.weights import for_stage, loaded_network, of_stage
from SegToolkitLib.models.card import read_card
from SegToolkitLib.models.folder import load_state, save_model
from test_models_card import make_card

CASES = Path(__file__).parents[1] / "Data" / "parity" / "cssn"
RELEASED = {
    "coarse": json.loads((CASES / "unet_coarse_forward.json").read_text())["state_dict"],
    "fine": json.loads((CASES / "efficientseg_fine_forward.json").read_text())["state_dict"],
}
# Both kinds with little in them.
SMALL = {
    "coarse": NetworkPlan(kind="unet", channels=(2, 3, 4, 5, 6)),
    "fine": NetworkPlan(kind="efficient", channels=(2, 3, 4, 5, 8), blocks=(2, 1, 3, 1)),
}
SIZE = (64, 128, 64)
State = dict[str, Tensor]


def thin_state(stage: str) -> State:
    """The released tensors, each of which repeats one number."""
    return {
        key: torch.tensor(zlib.crc32(key.encode()) / 2**32).expand(shape)
        for key, shape in RELEASED[stage].items()
    }


def small_state(stage: str, classes: int = 4) -> State:
    plan = StagePlan(network=SMALL[stage], size=SIZE)
    return dict(build_network(plan, classes, seed=len(stage)).state_dict())


def saved(state: State, path: Path, prefix: str = "module.", **more: Any) -> Path:
    """Write a checkpoint as the authors' trainers do."""
    named = {prefix + key: value for key, value in state.items()}
    optimiser = {"state": {0: {"step": 7, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3}]}
    torch.save({"epoch": 9, "state_dict": named, "optimizer_dict": optimiser, "lr": [1e-3]} | more, path)
    return path


def import_small(folder: Path, **options: Any) -> ModelPlan:
    """Import the small coarse and fine network; return what the card says of them."""
    files = {stage: saved(small_state(stage), folder / f"{stage}.pt") for stage in SMALL}
    card = import_authors(files["coarse"], files["fine"], folder / "model", **{"labels": "flare21"} | options)
    return ModelPlan.model_validate(card.settings)


@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_the_released_checkpoints_fit_whatever_stands_before_their_keys(tmp_path: Path, prefix: str) -> None:
    file = saved(thin_state("fine"), tmp_path / "best_model.pt", prefix)
    plan = ModelPlan.model_validate(import_authors(None, file, tmp_path / "model", half=True).settings)
    assert plan.fine is not None
    assert plan.fine.network == NetworkPlan(kind="efficient", channels=(16, 32, 64, 128, 256))
    assert plan.coarse is None


def test_channels_and_blocks_are_told_from_the_shapes(tmp_path: Path) -> None:
    plan = import_small(tmp_path)
    assert plan.coarse is not None
    assert plan.fine is not None
    assert plan.coarse.network.channels == SMALL["coarse"].channels
    assert plan.fine.network == SMALL["fine"]
    assert (plan.coarse.size, plan.fine.size) == ((160, 160, 160), (192, 192, 192))
    assert (plan.inference.components, plan.inference.half_height_mm) == ({2: 2}, None)


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path: Path) -> None:
    import_small(tmp_path)
    written = export_authors(tmp_path / "model", tmp_path / "weights")
    assert [str(path.relative_to(tmp_path / "weights")) for path in written] == list(PLACES.values())
    for stage, path in zip(SMALL, written, strict=True):
        state = torch.load(path, weights_only=True)["state_dict"]
        expected = small_state(stage)
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[key], expected[key]) for key in expected)
    import_authors(*written, tmp_path / "again", labels="flare21")


def test_the_networks_of_a_model_have_its_weights(tmp_path: Path) -> None:
    plan = import_small(tmp_path, fine_size=SIZE)
    state = load_state(tmp_path / "model")
    assert plan.fine is not None
    network = loaded_network(plan.fine, 4, of_stage(state, "fine"), "it")
    assert not network.training
    assert all(torch.equal(value, state[f"fine.{key}"]) for key, value in network.state_dict().items())
    with torch.inference_mode():
        assert network(torch.randn(1, 1, *SIZE)).shape == (1, 4, *SIZE)


def test_the_card_says_what_is_known_and_what_is_not(tmp_path: Path) -> None:
    import_small(tmp_path)
    card = read_card(tmp_path / "model")
    assert [(label.value, label.name) for label in card.labels] == [
        (1, "liver"),
        (2, "kidney"),
        (3, "spleen"),
        (4, "pancreas"),
    ]
    assert all(label.terminology for label in card.labels)
    assert (card.preprocessing.modality, card.preprocessing.window) == ("CT", (-325, 325))
    assert card.licence.name == "unknown"
    assert not card.licence.permissive
    assert card.trained_on == []
    assert card.training.provenance == {"coarse_imported_from": "coarse.pt", "fine_imported_from": "fine.pt"}


def test_the_thirteen_labels_of_flare22_all_have_a_code(tmp_path: Path) -> None:
    file = saved(thin_state("coarse"), tmp_path / "a.pt")
    card = import_authors(file, None, tmp_path / "model", half=True, licence_name="CC BY 4.0")
    assert [label.value for label in card.labels] == list(range(1, 14))
    assert all(label.terminology for label in card.labels)
    assert card.licence.name == "CC BY 4.0"


def test_labels_and_sizes_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "organs.json").write_text('{"b": 7, "a": 2, "c": 9, "d": 30}')
    options = {
        "labels": str(tmp_path / "organs.json"),
        "coarse_size": SIZE,
        "fine_size": SIZE,
        "name": "mine",
    }
    plan = import_small(tmp_path, **options)
    card = read_card(tmp_path / "model")
    assert [label.name for label in card.labels] == ["a", "b", "c", "d"]
    assert card.name == "mine"
    assert plan.fine is not None
    assert plan.fine.size == SIZE


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "unreadable"),
        ("{}", "bad-labels"),
        ('{"a": 1, "b": 1, "c": 2, "d": 3}', "bad-labels"),
        ('{"background": 0, "b": 1, "c": 2, "d": 3}', "bad-labels"),
        ('{"a": "one", "b": 1, "c": 2, "d": 3}', "bad-labels"),
        ('{"a": 1, "b": 2, "c": 3}', "labels-differ"),
        ("[1]", "not-json"),
    ],
)
def test_labels_that_cannot_be_are_refused(tmp_path: Path, text: str | None, code: str) -> None:
    if text is not None:
        (tmp_path / "organs.json").write_text(text)
    with pytest.raises(SegToolkitError) as caught:
        import_small(tmp_path, labels=str(tmp_path / "organs.json"))
    assert caught.value.code == code
    assert not (tmp_path / "model").exists()


def without(key: str) -> Callable[[State], State]:
    return lambda state: {name: value for name, value in state.items() if name != key}


FIRST, DEEP = "conv0_0.0.residual_unit.0.conv.weight", "conv4_0.0.residual_unit.1.conv.weight"


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (without("final.weight"), "key-mismatch", "1 missing (final.weight)"),
        (without(FIRST), "key-mismatch", f"network: 1 missing ({FIRST})."),
        (without(DEEP), "key-mismatch", f"1 missing ({DEEP})"),
        (lambda state: state | {"aux.weight": torch.ones(1)}, "key-mismatch", "1 unexpected (aux.weight)"),
        (lambda state: state | {DEEP: torch.ones(2, 2)}, "key-mismatch", f"{DEEP} is 2 x 2 instead of 8 x 8"),
        (
            lambda state: state | {"conv5_0.0.residual_unit.0.conv.weight": torch.ones(1)},
            "key-mismatch",
            "1 unexpected (conv5_0",
        ),
        (
            lambda state: state | {"conv0_0.2.residual_unit.0.conv.weight": torch.ones(1)},
            "key-mismatch",
            "1 unexpected (conv0_0.2",
        ),
        (lambda state: {f"x.{key}": value for key, value in state.items()}, "key-mismatch", "missing"),
        (lambda _state: {"x": torch.ones(1)}, "key-mismatch", "1 unexpected (x)"),
        (lambda _state: small_state("coarse"), "other-network", "holds the coarse network"),
        (lambda _state: small_state("fine", classes=5), "labels-differ", "5 organs, and 4 labels"),
        (
            lambda state: state | {"module.module." + FIRST: torch.ones(1)},
            "key-mismatch",
            "differ in 'module.' alone",
        ),
    ],
    ids=[
        "no last layer",
        "no first layer",
        "no deep layer",
        "more",
        "shape",
        "six stages",
        "unequal first stages",
        "other prefix",
        "another program's",
        "exchanged",
        "organs",
        "twice",
    ],
)
def test_a_checkpoint_that_does_not_fit_is_reported_and_writes_nothing(
    tmp_path: Path, change: Callable[[State], State], code: str, said: str
) -> None:
    file = saved(change(small_state("fine")), tmp_path / "a.pt", prefix="")
    with pytest.raises(SegToolkitError) as caught:
        import_authors(None, file, tmp_path / "model", labels="flare21")
    assert (caught.value.code, said in caught.value.message) == (code, True), caught.value.message
    assert not (tmp_path / "model").exists()


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    file = saved(small_state("fine"), tmp_path / "a.pt", harm=pytest.raises)
    with pytest.raises(SegToolkitError) as caught:
        import_authors(None, file, tmp_path / "model", labels="flare21")
    assert caught.value.code == "unsafe-checkpoint"


def test_nothing_to_import_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError, match="No checkpoint"):
        import_authors(None, None, tmp_path / "model")


def own_model(folder: Path, stage: dict[str, Any], **card: Any) -> Path:
    """A model of one fine network."""
    plan = ModelPlan(fine=StagePlan.model_validate({"network": SMALL["fine"], "size": SIZE} | stage))
    assert plan.fine is not None
    state = for_stage(dict(build_network(plan.fine, 2, seed=1).state_dict()), "fine")
    labels = [{"value": value, "name": f"organ {value}"} for value in (1, 2)]
    values = {"method": "cssn", "settings": plan.model_dump(mode="json"), "labels": labels}
    save_model(folder, make_card(**values | card), state)
    return folder


@pytest.mark.parametrize(
    ("stage", "card", "code", "said"),
    [
        (
            {"network": {"channels": [2, 3, 4, 8], "blocks": [1, 1, 1]}},
            {},
            "not-the-authors-network",
            "4 stages",
        ),
        ({"intensity": {"mode": "percentile"}}, {}, "not-the-authors-network", "percentiles"),
        ({}, {"method": "alpnet"}, "other-method", "alpnet"),
        ({}, {"labels": [{"value": 1, "name": "a"}]}, "model-mismatch", "2 x 2 x 1 x 1 x 1 instead of 1 x 2"),
    ],
)
def test_a_model_that_the_authors_code_cannot_use_is_not_exported(
    tmp_path: Path, stage: dict[str, Any], card: dict[str, Any], code: str, said: str
) -> None:
    folder = own_model(tmp_path / "model", stage, **card)
    with pytest.raises(SegToolkitError) as caught:
        export_authors(folder, tmp_path / "out")
    assert (caught.value.code, said in caught.value.message) == (code, True), caught.value.message
    assert not (tmp_path / "out").exists()


def test_a_model_of_ones_own_is_exported(tmp_path: Path) -> None:
    written = export_authors(own_model(tmp_path / "model", {}), tmp_path / "out")
    assert written == [tmp_path / "out" / PLACES["fine"]]


def test_the_command_line_imports_and_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {stage: saved(small_state(stage), tmp_path / f"{stage}.pt") for stage in SMALL}
    given = [f"--{stage}={file}" for stage, file in files.items()]
    sizes = ["--size", "64,128,64", "--coarse-size", "64"]
    model = tmp_path / "model"
    assert main(["models", "import", "cssn", *given, *sizes, "--out", str(model), "--labels", "flare21"]) == 0
    said = "".join(capsys.readouterr())
    assert said.count("all keys fit") == 2
    plan = ModelPlan.model_validate(read_card(model).settings)
    assert plan.fine is not None
    assert plan.coarse is not None
    assert (plan.fine.size, plan.coarse.size) == (SIZE, (64, 64, 64))
    assert main(["models", "export", "cssn", str(model), str(tmp_path / "out")]) == 0
    assert all((tmp_path / "out" / place).is_file() for place in PLACES.values())


@pytest.mark.parametrize("size", ["64,64", "a", "64,b,64", "-16", ""])
def test_a_size_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: str
) -> None:
    with pytest.raises(SystemExit):
        main(["models", "import", "cssn", "--fine", "x", "--out", str(tmp_path), f"--size={size}"])
    assert "one number or three" in capsys.readouterr().err
