"""CSSN behind a window: checkpoints of the authors' code become models, and models segment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from automatic_cases import image, turned, write
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import NetworkPlan, StagePlan
from SegToolkitLib.models.card import read_card
from SegToolkitLib.volume import read_volume
from worker_driver import Worker, whole

CHANNELS = (2, 2, 4, 4, 4)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of both stages as the authors' code writes them, of networks with two organs."""
    folder = tmp_path_factory.mktemp("cssn")
    (folder / "organs.json").write_text('{"liver": 1, "left kidney": 4}', encoding="utf-8")
    for name, kind in (("coarse", "unet"), ("fine", "efficient")):
        network = NetworkPlan(kind=kind, channels=CHANNELS)  # type: ignore[arg-type]
        state = build_network(StagePlan(network=network, size=(64, 64, 128)), 2, seed=1).state_dict()
        checkpoint = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}
        torch.save(checkpoint, folder / f"{name}.pt")
        short = {key: value for key, value in state.items() if not key.startswith("final")}
        torch.save(short, folder / f"{name}-short.pth")
    write(turned(image(), "RAS", 10), folder / "image.nrrd")
    return folder


@pytest.fixture(scope="module")
def worker(place: Path) -> Iterator[Worker]:
    with Worker(place / "exchange", SEGTOOLKIT_HOME=str(place / "home")) as process:
        yield process


def order(place: Path, file: str, **options: Any) -> dict[str, Any]:
    given = {"labels": str(place / "organs.json"), "coarse_size": [32, 32, 32], "fine_size": [64, 64, 128]}
    return {"path": str(place / file), "automatic": True, "options": {**given, **options}, "replace": True}


@pytest.mark.parametrize(
    ("file", "other", "stages"),
    [
        ("fine.pt", "coarse.pt", {"coarse", "fine"}),
        ("coarse.pt", "fine.pt", {"coarse", "fine"}),
        ("coarse.pt", None, {"coarse"}),
        ("fine.pt", None, {"fine"}),
    ],
)
def test_a_checkpoint_is_taken_in_whichever_stage_it_is(
    worker: Worker, place: Path, file: str, other: str | None, stages: set[str]
) -> None:
    more = {"coarse": str(place / other)} if other else {}
    added = worker.ask("add_model", **order(place, file, **more, name="mine"))
    card = read_card(added["folder"])
    assert {stage for stage in ("coarse", "fine") if card.settings[stage]} == stages
    assert [(label.value, label.name) for label in card.labels] == [(1, "liver"), (4, "left kidney")]
    found = {one["name"]: one for one in worker.ask("models")["models"]}["mine"]
    assert found["automatic"]
    assert found["usable"]
    assert found["grid"].startswith("32 x 32 x 32" if "coarse" in stages else "64 x 64 x 128")
    assert found["modes"][0] == "full"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "keys missing": ({"file": "fine-short.pth"}, "key-mismatch"),
    "both of one stage": ({"file": "fine.pt", "coarse": "fine.pt"}, "other-network"),
    "another number of organs": ({"file": "fine.pt", "labels": "flare22"}, "labels-differ"),
    "an unknown option": ({"file": "fine.pt", "label": "flare22"}, "bad-request"),
    "no checkpoint": ({"file": "organs.json"}, "not-a-model"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_checkpoint_that_does_not_fit_is_refused(worker: Worker, place: Path, case: str) -> None:
    values, code = REFUSED[case]
    options = {key: value for key, value in values.items() if key != "file"}
    if "coarse" in options:
        options["coarse"] = str(place / options["coarse"])
    error = worker.refused("add_model", **order(place, values["file"], **options))
    assert error["code"] == code
    assert "--" not in error["hint"]


def test_a_model_segments_on_the_grid_of_the_image_and_takes_its_terms_first(
    worker: Worker, place: Path
) -> None:
    options = {"coarse": str(place / "coarse.pt"), "name": "both"}
    worker.ask("add_model", **order(place, "fine.pt", **options))
    request = {
        "model": "both",
        "image": str(place / "image.nrrd"),
        "out": str(place / "out"),
        "device": "cpu",
    }
    assert worker.refused("auto_segment", **request)["code"] == "licence-not-accepted"
    outputs = worker.ask("auto_segment", **request, accept_licence=True, maps=["uncertainty"])
    given = read_volume(place / "image.nrrd")
    assert set(np.unique(whole(outputs, given))) <= {0, 1, 4}
    assert [s["label"] for s in outputs["structures"]] == [1, 4]
    assert [row["voxels"] for row in outputs["table"]] == [s["voxels"] for s in outputs["structures"]]
    assert outputs["table"][0]["voxels"] == int((whole(outputs, given) == 1).sum())
    doubt = read_volume(outputs["maps"]["uncertainty"]).voxels
    assert 0 <= doubt.min() <= doubt.max() <= 1
    only = worker.ask("auto_segment", **request, labels=[4])
    assert [s["label"] for s in only["structures"]] == [4]
    quick = worker.ask("auto_segment", **request, mode="quick")
    assert "fine" not in quick["seconds"]
    known = json.loads((place / "home" / "segmentation-times.json").read_text(encoding="utf-8"))
    assert known
