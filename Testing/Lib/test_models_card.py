"""The card of a model: what it may say, and how it complains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import ModelCard, Preprocessing, read_card, write_card

WEIGHTS = {"file": "weights.safetensors", "sha256": "0" * 64, "dtype": "float16", "bytes": 100}


def make_card(**changes: Any) -> ModelCard:
    """Return a valid card without weights."""
    values = {
        "name": "toy",
        "title": "A toy",
        "method": "alpnet",
        "preprocessing": {"modality": "MR"},
        "licence": {"name": "CC BY 4.0", "permissive": True},
    }
    return ModelCard.model_validate(values | changes)


def write_values(folder: Path, **changes: Any) -> Path:
    values = make_card(weights=WEIGHTS).model_dump(mode="json") | changes
    path = folder / "model.json"
    path.write_text(json.dumps({key: value for key, value in values.items() if value != "absent"}))
    return path


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    card = make_card(
        weights=WEIGHTS,
        settings={"encoder": "compact", "compact_widths": [8, 8, 8, 8]},
        labels=[{"value": 1, "name": "foie", "terminology": "a~b~c~d~e~f~g", "colour": (1, 0.5, 0)}],
        preprocessing={
            "modality": "CT",
            "window": (-125, 275),
            "spacing": (1.3, 1.3, None),
            "mean": 1,
            "std": 2,
        },
        trained_on=[{"dataset": "CHAOST2", "cases": ["1", "2"], "count": 2, "licence": "CC BY-NC-SA 4.0"}],
        training={"command": "segtoolkit train", "seed": 1, "steps": 2, "provenance": {"torch": "2"}},
        metrics={"dice": {"liver": 0.7}},
    )
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "absent"}, "'name' is missing"),
        ({"name": "../evil"}, "'name'"),
        ({"name": "Upper"}, "'name'"),
        ({"weights": WEIGHTS | {"file": "../../secret.safetensors"}}, "'weights.file'"),
        ({"weights": WEIGHTS | {"file": "weights.pt"}}, "'weights.file'"),
        ({"weights": WEIGHTS | {"sha256": "abc"}}, "'weights.sha256'"),
        ({"weights": None}, "'weights' is missing"),
        ({"license": {}}, "did you mean 'licence'"),
        ({"licence": {"name": "MIT"}}, "'licence.permissive' is missing"),
        ({"preprocessing": {"modality": "PET"}}, "'preprocessing.modality'"),
        ({"preprocessing": {"modality": "MR", "mean": 1}}, "both 'mean' and 'std'"),
        ({"preprocessing": {"modality": "MR", "std": 0, "mean": 0}}, "'preprocessing.std'"),
        ({"preprocessing": {"modality": "CT", "window": [5, 5]}}, "must rise"),
        ({"preprocessing": {"modality": "MR", "orientation": "LRS"}}, "L/R, A/P and S/I"),
        ({"preprocessing": {"modality": "MR", "spacing": [1, 0, None]}}, "'preprocessing.spacing.1"),
        ({"labels": [{"value": 1, "name": "a"}, {"value": 1, "name": "b"}]}, "share a value"),
        ({"labels": [{"value": 0, "name": "a"}]}, "'labels.0.value'"),
        ({"trained_on": [{"dataset": "x", "cases": ["1"], "count": 3}]}, "'count' is 3"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = write_values(tmp_path, **changes)
    with pytest.raises(SegToolkitError) as caught:
        read_card(tmp_path)
    assert caught.value.code == "bad-model-card"
    assert str(path) in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "no-model"),
        ("{", "bad-model-card"),
        ("[]", "bad-model-card"),
        ('{"format_version": 2, "news": 1}', "newer-model"),
    ],
)
def test_a_file_that_is_no_card_says_so(tmp_path: Path, content: str | None, code: str) -> None:
    if content is not None:
        (tmp_path / "model.json").write_text(content)
    with pytest.raises(SegToolkitError) as caught:
        read_card(tmp_path)
    assert caught.value.code == code


def test_a_card_that_json_cannot_hold_leaves_the_old_one(tmp_path: Path) -> None:
    write_card(tmp_path, make_card(weights=WEIGHTS))
    with pytest.raises(SegToolkitError, match="toy cannot be written as JSON"):
        write_card(tmp_path, make_card(weights=WEIGHTS, metrics={"dice": object()}))
    assert read_card(tmp_path).metrics == {}


def test_an_undefined_figure_is_written_as_null(tmp_path: Path) -> None:
    path = write_card(tmp_path, make_card(weights=WEIGHTS, metrics={"dice": float("nan")}))
    assert json.loads(path.read_text(), parse_constant=pytest.fail)["metrics"] == {"dice": None}


def test_a_card_without_weights_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError, match="names no weights"):
        write_card(tmp_path, make_card())
    assert list(tmp_path.iterdir()) == []


def test_defaults_of_preprocessing_change_nothing() -> None:
    default = Preprocessing(modality="MR")
    assert (default.window, default.clip_top, default.spacing, default.mean, default.std) == (
        None,
        None,
        (None, None, None),
        None,
        None,
    )


def test_a_window_can_list_models_without_torch() -> None:
    code = (
        "import sys, SegToolkitLib.models.store, SegToolkitLib.models.licence; print('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == "False"
