"""What methods share when they take in and give out checkpoints of the authors' code."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.models import exchange
from SegToolkitLib.models.card import Licence, ModelCard, read_card_of
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.models.imported import imported_card, labels_of_file, stated_licence
from SegToolkitLib.models.request import ImportRequest, ImportService, Text
from SegToolkitLib.models.state import as_part, of_part, refuse_misfit, with_weights
from SegToolkitLib.models.state import key_report as report_of
from SegToolkitLib.settings import Settings
from small_runs import Heard, equal
from test_models_card import make_card

UNCLEAR = Licence(name="unclear", permissive=False)
EXAMPLE = '{"liver": 1}'


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def bare_network() -> nn.Module:
    with torch.device("meta"):
        return small_network()


def test_parts_of_a_state_are_named_and_found_again() -> None:
    one, other = {"a.weight": torch.ones(1)}, {"a.weight": torch.zeros(2)}
    both = as_part(one, "coarse") | as_part(other, "coarser")
    assert set(both) == {"coarse.a.weight", "coarser.a.weight"}
    assert equal(of_part(both, "coarse"), one)
    assert equal(of_part(both, "coarser"), other)
    assert of_part(both, "fine") == {}


@pytest.mark.parametrize("copied", [True, False])
def test_weights_that_fit_are_loaded_for_use_and_for_training(copied: bool) -> None:
    state = {key: value.clone() for key, value in small_network().state_dict().items()}
    state["0.bias"] = state["0.bias"].half()
    network = with_weights(bare_network(), state, "The file", "Mend it.", copied=copied)
    loaded = network.state_dict()
    assert not network.training
    assert all(one.requires_grad for one in network.parameters())
    assert loaded["0.bias"].dtype == torch.float32
    assert loaded["1.num_batches_tracked"].dtype == torch.int64
    assert equal(loaded, {key: value.to(loaded[key].dtype) for key, value in state.items()})
    # What training changes must not be what was read, unless memory counts more.
    shared = [key for key in state if loaded[key].data_ptr() == state[key].data_ptr()]
    assert shared == ([] if copied else [key for key in state if key != "0.bias"])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"0.bias": None}, "1 missing (0.bias)"),
        ({"2.bias": torch.ones(1)}, "1 unexpected (2.bias)"),
        ({"0.bias": torch.ones(3)}, "1 of another shape (0.bias is 3 instead of 2)"),
    ],
    ids=["missing", "unexpected", "shape"],
)
def test_weights_that_do_not_fit_are_told_key_by_key(changed: dict[str, Tensor | None], told: str) -> None:
    mixed: Mapping[str, Tensor | None] = {**small_network().state_dict(), **changed}
    state = {key: value for key, value in mixed.items() if value is not None}
    with pytest.raises(SegToolkitError) as refused:
        with_weights(bare_network(), state, "The file", "Mend it.", "key-mismatch", named="both networks")
    error = refused.value
    assert (error.code, error.hint) == ("key-mismatch", "Mend it.")
    assert error.message == f"The file does not fit both networks: {told}."
    with pytest.raises(SegToolkitError, match="does not fit the network") as refused:
        refuse_misfit(report_of(bare_network(), state), "The file", "Mend it.")
    assert refused.value.code == "model-mismatch"


class Plan(Settings):
    width: int = 2


def imported(**more: Any) -> ModelCard:
    values: dict[str, Any] = {
        "name": "made",
        "title": "Made",
        "labels": {"liver": 2, "spleen": 1},
        "preprocessing": {"modality": "CT", "window": (-100, 200)},
        "licence": UNCLEAR,
        "provenance": {"imported_from": "a.pth"},
        "limits": "None is known.",
    }
    return imported_card("alpnet", Plan(), **(values | more))


def test_the_card_of_an_import_says_what_is_known() -> None:
    card = imported()
    assert (card.method, card.settings) == ("alpnet", {"width": 2})
    assert [(label.name, label.value) for label in card.labels] == [("spleen", 1), ("liver", 2)]
    assert card.preprocessing.window == (-100, 200)
    assert card.training.provenance == {"imported_from": "a.pth"}
    assert card.description == "Imported from checkpoints of the authors' code."
    assert imported(labels={}).labels == []
    with pytest.raises(SegToolkitError, match=r"The card of a\.pth") as refused:
        imported(name="No such name", source="The card of a.pth")
    assert refused.value.code == "bad-model-card"


def test_a_licence_that_a_person_names_counts() -> None:
    assert stated_licence(None, UNCLEAR) == stated_licence("", UNCLEAR) == UNCLEAR
    named = stated_licence("MIT", UNCLEAR)
    assert (named.name, named.permissive, named.summary) == ("MIT", False, "The weights are under MIT.")


def test_labels_of_a_file_are_values_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text('{"liver": 2, "spleen": 1}')
    assert list(labels_of_file(str(file), "flare22", EXAMPLE).items()) == [("liver", 2), ("spleen", 1)]


@pytest.mark.parametrize(
    "content",
    [{}, {"liver": 0}, {"liver": 256}, {"liver": True}, {"liver": "1"}, {"liver": 1, "spleen": 1}],
    ids=str,
)
def test_labels_of_a_file_that_are_none_are_told(tmp_path: Path, content: dict[str, object]) -> None:
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(content))
    with pytest.raises(SegToolkitError, match="a whole number of its own from 1 to 255") as refused:
        labels_of_file(str(file), "flare22", EXAMPLE)
    assert refused.value.code == "bad-labels"
    assert refused.value.hint == f"Write an object such as {EXAMPLE}; the background has no entry."


def test_a_set_of_labels_that_there_is_not_is_told() -> None:
    with pytest.raises(SegToolkitError, match="no set of labels 'flare23'") as refused:
        labels_of_file("flare23", "flare22, flare21", EXAMPLE)
    assert refused.value.code == "unknown-labels"
    assert refused.value.hint == f"Give flare22, flare21, or a JSON file such as {EXAMPLE}."


def test_a_model_of_another_method_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path, make_card(), {"a": torch.ones(1)})
    method = make_card().method
    assert read_card_of(tmp_path, method).name == make_card().name
    with pytest.raises(SegToolkitError, match=f"is a model of {method}, not cssn") as refused:
        read_card_of(tmp_path, "cssn")
    assert (refused.value.code, refused.value.hint) == ("other-method", "Choose another.")


def test_an_import_takes_its_options_and_tells_where_the_model_lies(tmp_path: Path) -> None:
    parser, heard = ArgumentParser(), Heard()
    exchange.add_out(parser)
    exchange.add_naming(parser, made_from="the labels", licence="unclear")
    options = parser.parse_args(["--out", str(tmp_path), "--licence-name", "MIT", "--half"])
    given = exchange.naming(options, heard)
    given["tell"]("all keys fit")
    assert (given["name"], given["licence_name"], given["half"]) == (None, "MIT", True)
    assert exchange.imported(imported(), options.out, heard, "the weights fit; ") == {"model": str(tmp_path)}
    assert heard.infos == ["all keys fit", f"made: the weights fit; the model lies in {tmp_path}"]
    assert "made from the labels" in parser.format_help()
    assert "(default: unclear)" in parser.format_help()


def test_an_export_finds_the_model_and_tells_what_was_written(tmp_path: Path) -> None:
    save_model(tmp_path / "model", make_card(), {"a": torch.ones(1)})
    asked: list[tuple[Path, Path]] = []

    def write(folder: Path, target: Path) -> Path:
        asked.append((folder, target))
        return target / "a.pth"

    def parsed(target: Any) -> Namespace:
        parser = ArgumentParser()
        exchange.add_export(parser, target, "what to write")
        return parser.parse_args([str(tmp_path / "model"), str(tmp_path / "out")])

    heard, file = Heard(), tmp_path / "out" / "a.pth"
    assert exchange.exported_file(parsed("file"), heard, write) == {"file": str(file)}
    many = exchange.exported_files(parsed("folder"), heard, lambda *given: [write(*given)] * 2)
    assert many == {"files": [str(file)] * 2}
    assert asked == [(tmp_path / "model", tmp_path / "out")] * 2
    assert heard.infos == [f"Wrote {file}"] * 3
    with pytest.raises(SegToolkitError):
        exchange.exported_file(Namespace(model="no such model", file=file), heard, write)


class Asked(ImportRequest):
    labels: Text = "lesion"


class Importer(ImportService[Asked]):
    def __init__(self) -> None:
        super().__init__(Asked)

    def imported(self, request: Asked, reporter: Reporter) -> Any:
        reporter.info(f"{request.path}: {request.labels}")
        return SimpleNamespace(name="made")


def test_a_worker_is_answered_with_name_and_folder() -> None:
    service, heard = Importer(), Heard()
    answer = service.verbs["import_checkpoint"]
    values = {"id": 1, "do": "import_checkpoint", "path": "/a.pth", "out": "/model"}
    assert answer(values, heard) == {"name": "made", "folder": "/model"}
    assert heard.infos == ["/a.pth: lesion"]
    service.relieve()
    with pytest.raises(SegToolkitError, match="no field 'lable'") as refused:
        answer({**values, "lable": "a"}, heard)
    assert refused.value.code == "bad-request"
    assert refused.value.message.startswith("The request 'import_checkpoint': ")
    assert refused.value.hint == "The fields are id, do, method, path, out, labels."
