"""Models that segment by themselves, as a window meets them: a real process, driven by files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automatic_cases import METHODS, boxes, image, make_model, turned, write
from SegToolkitLib.volume import Volume, read_volume
from worker_driver import Worker, whole


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and an image, in a folder with blanks and other letters in its name."""
    folder = tmp_path_factory.mktemp("place") / "Übung für 医生 $1"
    models = folder / "models"
    make_model(models)
    make_model(models, "bound", permissive=False)
    make_model(models, "plain", modes=["full"], maps=[])
    make_model(models, "slow", delay=5)
    for fails in ("memory", "error", "internal", "dies", "shifted"):
        make_model(models, fails, fails=fails)
    write(image(), folder / "image.nrrd")
    write(image().with_voxels(image().voxels + 1000), folder / "bright.nrrd")
    return folder


def started(folder: Path, place: Path, **environment: str) -> Worker:
    return Worker(
        folder,
        SEGTOOLKIT_HOME=str(folder / "home"),
        SEGTOOLKIT_MODELS=str(place / "models"),
        SEGTOOLKIT_METHOD_PATH=str(METHODS),
        **environment,
    )


@pytest.fixture(scope="module")
def worker(place: Path) -> Iterator[Worker]:
    with started(place / "exchange", place) as process:
        yield process


def body(place: Path, model: str = "brightness", **more: Any) -> dict[str, Any]:
    return {
        "model": model,
        "device": "cpu",
        "image": str(place / "image.nrrd"),
        "out": str(place / "out"),
        **more,
    }


def test_models_are_described_by_their_cards(worker: Worker) -> None:
    found = {one["name"]: one for one in worker.ask("models")["models"]}
    own, few_shot = found["brightness"], found["abdomen-mr-t2-compact"]
    assert own["automatic"]
    assert (own["modes"], own["small"]) == (["full", "quick"], True)
    assert own["maps"] == {"uncertainty": "Uncertainty", "darkness": "How dark it is"}
    assert own["grid"] in own["text"]
    assert [label["name"] for label in own["labels"]] == own["structures"]
    assert own["labels"][0]["value"] == 1
    assert "Liver" in own["labels"][0]["terminology"]
    assert own["labels"][0]["colour"] == [0.8667, 0.5098, 0.3961]
    assert not few_shot["automatic"]
    assert (few_shot["labels"], few_shot["modes"], few_shot["maps"], few_shot["seconds_here"]) == (
        [],
        [],
        {},
        {},
    )
    assert (found["plain"]["modes"], found["plain"]["maps"]) == (["full"], {})


def test_a_card_whose_settings_are_wrong_is_not_usable_and_says_why(place: Path, tmp_path: Path) -> None:
    make_model(tmp_path / "models", "odd", modes=["sideways"])
    with started(tmp_path / "exchange", tmp_path) as process:
        found = {one["name"]: one for one in process.ask("models")["models"]}
        assert not found["odd"]["usable"]
        assert "sideways" in found["odd"]["problem"] or "modes" in found["odd"]["problem"]


@pytest.mark.parametrize(("code", "tilt"), [("LPS", 0), ("RAS", 15), ("SLA", 0), ("ASR", 10)])
def test_the_result_lies_on_the_grid_of_the_image(
    worker: Worker, place: Path, tmp_path: Path, code: str, tilt: float
) -> None:
    given = turned(image(), code, tilt)
    outputs = worker.ask("auto_segment", **body(place, image=str(write(given, tmp_path / "a.nrrd"))))
    expected = turned(image().with_voxels(boxes()), code, tilt).voxels
    assert np.array_equal(whole(outputs, given), expected)
    assert read_volume(outputs["labels"]).voxels.dtype == np.uint8


def test_an_answer_has_all_that_a_window_shows(worker: Worker, place: Path) -> None:
    outputs = worker.ask("auto_segment", **body(place, maps=["uncertainty", "darkness"], labels=[4, 1, 5]))
    assert [(s["label"], s["name"], s["voxels"]) for s in outputs["structures"]] == [
        (1, "liver", 448),
        (4, "left kidney", 60),
        (5, "pancreas", 0),
    ]
    assert outputs["structures"][1]["terminology"].count("~") == 6
    assert set(np.unique(read_volume(outputs["labels"]).voxels)) == {0, 1, 4}
    liver, kidney, pancreas = outputs["table"]
    assert liver == {"value": 1, "name": "liver", "voxels": 448, "ml": pytest.approx(2.016), "mean": 150.0}
    assert (kidney["mean"], pancreas["mean"], outputs["unit"]) == (450.0, None, "HU")
    assert list(outputs["maps"]) == ["uncertainty", "darkness"]
    for path in outputs["maps"].values():
        found = read_volume(path)
        assert found.voxels.dtype == np.float32
        assert 0 <= found.voxels.min() < found.voxels.max() <= 1
        assert found.same_grid(image(), 1e-2)
    assert list(outputs["seconds"])[:2] == ["load", "read"]
    assert outputs["seconds"]["total"] >= outputs["seconds"]["fine"]
    assert outputs["device"] == "cpu"
    assert outputs["mode"] == "full"
    assert outputs["notes"] == []


def test_nothing_found_is_an_answer_too(worker: Worker, place: Path, tmp_path: Path) -> None:
    dark = image().with_voxels(np.full((10, 20, 30), -1000, np.int16))
    dark.voxels[0, 0, 0] = -990
    outputs = worker.ask("auto_segment", **body(place, image=str(write(dark, tmp_path / "dark.nrrd"))))
    assert (outputs["labels"], outputs["offset"], outputs["size"]) == (None, [0, 0, 0], [0, 0, 0])
    assert [row["voxels"] for row in outputs["table"]] == [0] * 5


def test_the_quick_mode_says_what_it_did_and_its_time_is_remembered_apart(
    worker: Worker, place: Path
) -> None:
    worker.ask("auto_segment", **body(place))
    outputs = worker.ask("auto_segment", **body(place, mode="quick"))
    assert outputs["notes"] == ["Computed on every second voxel."]
    found = {one["name"]: one for one in worker.ask("models")["models"]}
    assert set(found["brightness"]["seconds_here"]["cpu"]) == {"full", "quick"}
    assert found["slow"]["seconds_here"]["cpu"]["full"] >= 0  # weights are the same, so is the time


def test_the_model_stays_until_another_one_is_asked_for(place: Path, tmp_path: Path) -> None:
    with started(tmp_path, place) as process:
        assert process.ask("auto_warm", model="brightness")["device"] == "cpu"

        def phases(**request: Any) -> list[str]:
            events = process.events("auto_segment", **request)
            assert events[-1]["t"] == "done", events[-1]
            return list(dict.fromkeys(event["phase"] for event in events if event["t"] == "progress"))

        usual = ["reading", "coarse", "fine"]
        assert phases(**body(place)) == usual
        assert phases(**body(place, labels=[2])) == usual
        assert phases(**body(place, model="plain")) == ["loading model", *usual]
        assert phases(**body(place)) == ["loading model", *usual]
        # The card changes on disk: its model is loaded anew.
        make_model(tmp_path / "models", "mine", title="first")
        mine = body(place, model=str(tmp_path / "models" / "mine"))
        assert phases(**mine)[0] == "loading model"
        assert phases(**mine) == usual
        make_model(tmp_path / "models", "mine", title="second", bands={"spleen": (100, 199)})
        assert phases(**mine)[0] == "loading model"


def test_an_image_that_changes_on_disk_is_read_again(worker: Worker, place: Path, tmp_path: Path) -> None:
    path = write(image(), tmp_path / "a.nrrd")
    before = worker.ask("auto_segment", **body(place, image=str(path)))
    write(image({1: 250}), path)
    after = worker.ask("auto_segment", **body(place, image=str(path)))
    assert [row["voxels"] for row in before["table"]] == [448, 24, 60, 60, 0]
    assert [row["voxels"] for row in after["table"]] == [0, 472, 60, 60, 0]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown model": ({"model": "nobody"}, "unknown-model"),
    "a few-shot model": ({"model": "abdomen-mr-t2-compact"}, "not-automatic"),
    "an unknown label": ({"labels": [1, 77]}, "unknown-structure"),
    "no label": ({"labels": []}, "bad-request"),
    "a mode of no model": ({"mode": "sideways"}, "bad-request"),
    "a mode that it has not": ({"model": "plain", "mode": "quick"}, "no-mode"),
    "a map that it has not": ({"model": "plain", "maps": ["uncertainty"]}, "no-map"),
    "a map whose name is a path": ({"maps": ["../up"]}, "bad-request"),
    "an unknown field": ({"label": [1]}, "bad-request"),
    "no image": ({"image": "nothing.nrrd"}, "missing-file"),
    "no Hounsfield units": ({"image": "bright.nrrd"}, "modality-range"),
    "a device that is not there": ({"device": "cuda:99"}, "device-missing"),
    "terms not accepted": ({"model": "bound"}, "licence-not-accepted"),
    "a sentence of the method": ({"model": "error"}, "too-dark"),
    "a fault of the method": ({"model": "internal"}, "internal"),
    "a result elsewhere": ({"model": "shifted"}, "bad-result"),
    "no memory": ({"model": "memory"}, "out-of-memory"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_answered_and_the_worker_lives(worker: Worker, place: Path, case: str) -> None:
    change, code = WRONG[case]
    request = {**body(place), **change}
    request["image"] = str(place / request["image"])
    error = worker.refused("auto_segment", **request)
    assert error["code"] == code
    assert "--" not in error["hint"]
    assert worker.ask("auto_segment", **body(place))["labels"]


def test_terms_are_accepted_once(worker: Worker, place: Path) -> None:
    assert worker.refused("auto_warm", model="bound")["code"] == "licence-not-accepted"
    assert worker.ask("auto_segment", **body(place, model="bound", accept_licence=True))["labels"]
    assert worker.ask("auto_warm", model="bound")["device"] == "cpu"


def test_after_memory_ran_out_nothing_is_kept(place: Path, tmp_path: Path) -> None:
    with started(tmp_path, place) as process:
        process.ask("auto_warm", model="memory")
        assert process.refused("auto_segment", **body(place, model="memory"))["code"] == "out-of-memory"
        phases = [event.get("phase") for event in process.events("auto_warm", model="memory")]
        assert "loading model" in phases


def test_a_killed_worker_leaves_no_half_result(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with started(tmp_path / "exchange", place) as process:
        process.send("auto_segment", **body(place, model="slow", out=str(out)))
        while process.event().get("phase") != "coarse":
            pass
        process.process.kill()
        process.end()
    assert not out.exists() or not list(out.iterdir())
    with started(tmp_path / "again", place) as process:
        assert process.ask("auto_segment", **body(place, out=str(out)))["labels"]


def test_a_method_that_takes_the_process_with_it_answers_nothing(place: Path, tmp_path: Path) -> None:
    with started(tmp_path, place) as process:
        process.send("auto_segment", **body(place, model="dies"))
        assert process.end() == 9


def test_a_worker_whose_parent_is_gone_ends_in_the_middle_of_the_work(place: Path, tmp_path: Path) -> None:
    with started(tmp_path / "exchange", place) as process:
        process.send("auto_segment", **body(place, model="slow"))
        while process.event().get("phase") != "coarse":
            pass
        before = time.monotonic()
        (tmp_path / "exchange").rename(tmp_path / "gone")
        assert process.end() == 3
        assert time.monotonic() - before < 5


def test_describing_and_comparing_need_no_torch(place: Path, tmp_path: Path) -> None:
    broken = tmp_path / "torch"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise OSError('wrong build')")
    labels = str(write(image().with_voxels(boxes()), tmp_path / "labels.nrrd"))
    with started(tmp_path / "exchange", place, PYTHONPATH=str(tmp_path)) as process:
        found = {one["name"]: one for one in process.ask("models")["models"]}
        assert found["brightness"]["automatic"]
        assert process.ask("compare", reference=labels, result=labels)["rows"][0]["dsc"] == 1
        assert process.refused("auto_warm", model="brightness")["code"] == "torch-broken"


def test_a_result_is_compared_with_a_reference(worker: Worker, place: Path, tmp_path: Path) -> None:
    outputs = worker.ask("auto_segment", **body(place, labels=[1, 2, 5]))
    moved = image().with_voxels(np.roll(boxes(), 1, axis=2))
    request = {
        "reference": str(write(moved, tmp_path / "reference.nrrd")),
        "result": outputs["labels"],
        "reference_names": {"1": "Liver", "2": "spleen", "3": "right kidney", "9": "pancreas"},
        "result_names": {s["label"]: s["name"] for s in outputs["structures"]},
        "tolerance_mm": 0.5,
        "tolerances": {"Liver": 1.0},
        "out": str(tmp_path / "rows.csv"),
    }
    answer = worker.ask("compare", **request)
    liver, spleen, kidney, pancreas = answer["rows"]
    assert liver["dsc"] == pytest.approx(15 / 16)
    assert (liver["nsd"], liver["tolerance_mm"], spleen["tolerance_mm"]) == (1.0, 1.0, 0.5)
    assert spleen["nsd"] < 1
    assert liver["hd95_mm"] == pytest.approx(1.0)
    assert (kidney["dsc"], kidney["hd95_mm"]) == (0.0, None)
    assert (pancreas["dsc"], pancreas["hd95_mm"], pancreas["result_ml"]) == (None, None, 0.0)
    assert answer["notes"] == ["right kidney is in the reference only."]
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8").startswith("name,dsc,nsd,")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reference": "nothing.nrrd"}, "missing-file"),
        ({"result_names": {"1": "heart"}}, "nothing-in-common"),
        ({"result_names": {"0": "background"}}, "bad-request"),
        ({"tolerance_mm": 0}, "bad-request"),
        ({"referenze": "x"}, "bad-request"),
    ],
)
def test_what_cannot_be_compared_is_said(
    worker: Worker, tmp_path: Path, change: dict[str, Any], code: str
) -> None:
    labels = str(write(Volume(boxes(), (1, 1, 1), (0, 0, 0), np.eye(3)), tmp_path / "labels.nrrd"))
    assert worker.refused("compare", **{"reference": labels, "result": labels, **change})["code"] == code
