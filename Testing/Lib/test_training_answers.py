"""What a window and the command line learn about training: methods, settings, time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest

from SegToolkitLib.cli import main
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.settings import PRESETS, AlpnetSettings
from SegToolkitLib.training import command
from SegToolkitLib.worker.training_answers import VERBS
from toy_runs import ENVIRONMENT, METHODS, toy


def ask(verb: str, **values: Any) -> dict[str, Any]:
    return VERBS[verb]({"id": 1, "do": verb, **values}, Reporter())


def test_methods_are_told_with_presets_schema_and_places() -> None:
    found = {one["name"]: one for one in ask("methods")["methods"]}
    alpnet = found["alpnet"]
    assert [preset["name"] for preset in alpnet["presets"]] == ["quick", "default", "published"]
    for preset in alpnet["presets"]:
        AlpnetSettings.model_validate(preset["values"])
    assert alpnet["metric"] == ["dice", "max"]
    assert {place["name"]: place["kind"] for place in alpnet["places"]} == {
        "superpixels": "folder",
        "coco": "file",
    }
    assert {"optimiser", "accumulate", "seed"} <= set(alpnet["schema"]["properties"])
    json.dumps(found)


def test_a_method_plugs_in_by_its_folder_and_telling_of_it_imports_no_torch() -> None:
    code = (
        "import json, sys; from SegToolkitLib.events import Reporter;"
        " from SegToolkitLib.worker.training_answers import VERBS;"
        " names = [m['name'] for m in VERBS['methods']({}, Reporter())['methods']];"
        " VERBS['check_settings']({'do': 'x', 'method': 'toy', 'values': {}}, Reporter());"
        " import SegToolkitLib.training.session, SegToolkitLib.training.command;"
        " print(json.dumps([names, 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, check=True)
    assert json.loads(done.stdout) == [
        ["alpnet", "cmer", "cooperative", "cssn", "nnunet", "pdcr_uafr", "toy"],
        False,
    ]


def test_settings_are_checked_field_by_field() -> None:
    values = {"optimiser": {"stepz": 3}, "seed": -1, "sed": 2}
    problems = {
        one["field"]: one["text"] for one in ask("check_settings", method="alpnet", values=values)["problems"]
    }
    assert set(problems) == {"optimiser.stepz", "seed", "sed"}
    assert "'optimiser.steps'" in problems["optimiser.stepz"]
    assert "'seed'" in problems["sed"]
    good = ask("check_settings", method="alpnet", values={"optimiser": {"steps": 3}})
    assert good["problems"] == []
    assert good["values"]["optimiser"]["steps"] == 3
    assert good["values"]["accumulate"] == 1


def test_unknown_methods_and_malformed_requests_are_told() -> None:
    with pytest.raises(SegToolkitError, match="no method 'alpnett'"):
        ask("estimate", method="alpnett")
    with pytest.raises(SegToolkitError, match="'method' is missing"):
        ask("check_settings")


class _Ears(Reporter):
    def __init__(self) -> None:
        self.phases: set[str] = set()

    def progress(self, phase: str, step: int, total: int, **values: object) -> None:
        self.phases.add(phase)


def test_the_estimate_of_a_run_is_measured_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ears = _Ears()
    monkeypatch.setitem(os.environ, "SEGTOOLKIT_METHOD_PATH", str(METHODS))
    monkeypatch.setattr("SegToolkitLib.worker.training_answers.training_of", lambda name: None)
    settings = {"steps": 1000, "delay": 0.02, "accumulate": 2}
    request = {"do": "estimate", "method": "toy", "settings": settings, "device": "cpu"}
    found: Any = VERBS["estimate"](request, ears)
    assert ears.phases == {"estimating"}
    assert found["seconds_per_step"] >= 0.04
    assert found["total_seconds"] == pytest.approx(1000 * found["seconds_per_step"])
    assert found["steps"] == 1000
    assert 50 < found["memory_mb"] < found["device_memory_mb"]
    with pytest.raises(SegToolkitError) as error:
        VERBS["estimate"]({**request, "settings": {"stepz": 1}}, ears)
    assert "'steps'" in error.value.message


def test_the_estimate_of_alpnet_takes_its_size_from_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from SegToolkitLib.methods.alpnet.training import METHOD
    from SegToolkitLib.phantom import phantom
    from SegToolkitLib.volume import write_volume

    write_volume(phantom(1, size=(48, 64), slices=12).image, tmp_path / "image_1.nii.gz")
    description = {"name": "tiny", "modality": "MR", "labels": {"background": 0}, "folds": 1}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    import torch

    from SegToolkitLib.dataset.dataset import Dataset

    task = METHOD.trial(PRESETS["compact"], Dataset.open(tmp_path), torch.device("cpu"))
    [sample] = task.samples(range(1))
    assert sample[0].query.shape in [(48, 64), (64, 48)]
    assert task.step(sample).skipped == 0


def train(run: Path, *words: str) -> dict[str, object]:
    """``segtoolkit train toy``, in this process."""
    parser = ArgumentParser()
    command.add_arguments(parser)
    options = parser.parse_args(["--run", str(run), "--device", "cpu", *words])
    return command.run(toy(), options, Reporter())


def test_the_generic_command_knows_presets_places_and_overrides(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("steps: 4\n")
    run = tmp_path / "run"
    train(run, "--set", "log_every=1", "--preset", "quick", "--config", str(config), "--name", "mine")
    content = json.loads((run / "settings.json").read_text())
    assert (content["steps"], content["settings"]["validate_every"]) == (4, 5)
    card = json.loads((run / "result" / "model" / "model.json").read_text())
    assert card["name"] == "mine"
    for words, hint in (
        (["--preset", "quik"], "did you mean 'quick'"),
        (["--place", "weights"], "name=path"),
    ):
        with pytest.raises(SegToolkitError, match=hint):
            train(tmp_path / "b", *words)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", ["authors", "compact"])
def test_the_names_of_before_are_presets_still(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "alpnet", "--preset", name, "--dataset", str(tmp_path), "--run", str(tmp_path / "r")]
    assert main([*words, "--steps", "0"]) == 1
    assert "optimiser.steps" in capsys.readouterr().err
