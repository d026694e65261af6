"""The worker as a window meets it: a real process, driven by files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from SegToolkitLib.methods.alpnet.segment import FewShotSegmenter
from SegToolkitLib.volume import Reorient, Volume, prepare, read_volume, write_volume
from worker_driver import NAMES, Worker, patient, save_test_model, support, whole


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with blanks and other letters in its name: models, a patient outlined on slice 6, another."""
    folder = tmp_path_factory.mktemp("place") / "Übung für 医生 $1"
    save_test_model(folder / "models", "free")
    save_test_model(folder / "models", "coarse", spacing=6.0)
    save_test_model(folder / "models", "bound", permissive=False)
    support(folder, patient().image, patient().label, 2, 6, NAMES)
    write_volume(patient(2).image, folder / "other.nrrd", compress=False)
    return folder


@pytest.fixture(scope="module")
def worker(place: Path) -> Iterator[Worker]:
    home, models = str(place / "home"), str(place / "models")
    with Worker(place / "exchange", HOME=home, USERPROFILE=home, SEGTOOLKIT_MODELS=models) as process:
        yield process


def body(folder: Path, place: Path, axis: int = 2, plane: str = "axial", **more: Any) -> dict[str, Any]:
    """A request to segment the image of ``folder`` with the outline that lies there."""
    own = folder == place
    item = support(folder, patient().image, patient().label, 2, 6, NAMES) if own else more.pop("item")
    values = {"model": "free", "plane": plane, "axis": axis, "supports": [item], "out": str(folder / "out")}
    return {**values, "query": {"image": item["image"], "axis": axis}, **more}


def test_it_says_hello_and_knows_the_models(worker: Worker) -> None:
    assert worker.hello["t"] == "hello"
    assert worker.hello["pid"] == worker.process.pid
    assert worker.hello["protocol"] == 1
    found = {one["name"]: one for one in worker.ask("models", method="alpnet")["models"]}
    assert {"free", "bound", "abdomen-mr-t2-compact"} <= set(found)
    assert found["free"]["licence"]["accepted"]
    assert not found["bound"]["licence"]["accepted"]
    assert found["free"]["usable"]
    assert "Research only" in found["bound"]["text"]
    assert worker.ask("models", method="another")["models"] == []


def test_listing_models_needs_no_torch(place: Path, tmp_path: Path) -> None:
    broken = tmp_path / "torch"
    broken.mkdir()
    (broken / "__init__.py").write_text("import os; os._exit(7)")
    with Worker(tmp_path / "exchange", PYTHONPATH=str(tmp_path), SEGTOOLKIT_MODELS=str(place)) as process:
        assert process.ask("models")["models"]
        found = process.ask("environment")
        assert found["devices"] == []
        assert "exit code 7" in found["problem"]
        (broken / "__init__.py").write_text("raise OSError('wrong build')")
        assert "wrong build" in process.ask("environment")["problem"]
        # "models" finds the starter model; using it fails with a sentence, and the worker lives.
        assert process.refused("warm", model="abdomen-mr-t2-compact")["code"] == "torch-broken"
        assert process.ask("models")["models"]


def test_the_environment_names_versions_and_devices(worker: Worker) -> None:
    found = worker.ask("environment")
    assert found["problem"] == ""
    assert [device["id"] for device in found["devices"]][:2] == ["auto", "cpu"]
    assert found["packages"]["pydantic"]


def test_a_result_is_that_of_the_segmenter(worker: Worker, place: Path) -> None:
    request = body(place, place, confidence=True)
    outputs = worker.ask("segment", **request)
    tool = FewShotSegmenter.from_model(place / "models" / "free", plane="axial")
    tool.set_support(patient().image, patient().label, [6], NAMES)
    expected = tool.segment(patient().image)
    assert np.array_equal(whole(outputs, patient().image), expected.labels.voxels)
    counted = {s["name"]: s["voxels"] for s in outputs["structures"]}
    assert counted == {n: int((expected.labels.voxels == k).sum()) for k, n in enumerate(counted, 1)}
    sure = read_volume(outputs["confidence"])
    assert sure.voxels.dtype == np.float32
    np.testing.assert_allclose(sure.voxels, expected.confidence.voxels, atol=2e-3)
    assert outputs["next_slice"] == expected.next_slice
    assert outputs["axis"] == expected.axis == 2
    assert list(outputs["slice_confidence"]) == [str(z) for z in range(12)]


@pytest.mark.parametrize(
    ("code", "tilt", "axis"), [("LAS", 0, 2), ("RPI", 15, 2), ("SLA", 0, 0), ("ASR", 10, 1)]
)
def test_the_result_lies_on_the_querys_grid(
    worker: Worker, place: Path, tmp_path: Path, code: str, tilt: float, axis: int
) -> None:
    angle = np.deg2rad(tilt)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    image, label = (
        prepare(Volume(v.voxels, v.spacing, v.origin, turn @ v.direction), [Reorient(code)]).volume
        for v in (patient().image, patient().label)
    )
    z = next(n for n in (6, 5) if (np.moveaxis(label.voxels, 2 - axis, 0)[n] == 4).any())
    item = support(tmp_path, image, label, axis, z, NAMES)
    # Voxels of another size: the labels have to come back through an interpolation.
    request = body(tmp_path, tmp_path / "x", axis, item=item) | {"model": "coarse"}
    got = whole(worker.ask("segment", **request), image)
    own, drawn = (np.moveaxis(v, 2 - axis, 0)[z] for v in (got, label.voxels))
    assert np.array_equal(own, np.select([drawn == 1, drawn == 4], [1, 2], 0))
    tool = FewShotSegmenter.from_model(place / "models" / "coarse", plane="axial")
    tool.set_support(image, label, [z], NAMES)
    assert np.array_equal(got, tool.segment(image).labels.voxels)
    assert (np.moveaxis(got, 2 - axis, 0).any((1, 2))).sum() > 1


def test_a_preview_computes_one_slice_and_shows_what_the_whole_run_shows(worker: Worker, place: Path) -> None:
    request = body(place, place, query={"image": str(place / "other.nrrd"), "axis": 2})
    preview = worker.ask("segment", **request, slices=[4, 4])
    everything = worker.ask("segment", **request)
    query = read_volume(place / "other.nrrd")
    labels = whole(preview, query)
    assert labels[4].any()
    assert not labels[[z for z in range(12) if z != 4]].any()
    assert np.array_equal(labels[4], whole(everything, query)[4])
    assert preview["next_slice"] is None
    # Of the whole run's slices, the preview's was known.
    assert everything["slices_encoded"] == 11


def test_a_preview_of_another_slice_does_not_bring_the_outline_along(worker: Worker, place: Path) -> None:
    outputs = worker.ask("segment", **body(place, place), slices=[3, 3])
    assert outputs["labels"] is None or (outputs["offset"][2], outputs["size"][2]) == (3, 1)


def test_the_second_request_computes_only_what_is_new(place: Path, tmp_path: Path) -> None:
    with Worker(tmp_path, SEGTOOLKIT_MODELS=str(place / "models"), HOME=str(tmp_path / "home")) as process:
        request = body(place, place)
        phases = [e["phase"] for e in process.events("segment", **request) if e["t"] == "progress"]
        assert list(dict.fromkeys(phases)) == ["loading model", "reading", "segmenting"]
        again = process.events("segment", **request)
        assert "loading model" not in [e.get("phase") for e in again]
        assert again[-1]["outputs"]["slices_encoded"] == 0
        # The outline changes on disk: it is read again, and no slice has to be encoded for it.
        mask = read_volume(place / "mask.nrrd", label=True)
        smaller = mask.voxels.copy()
        smaller[:, : mask.shape[1] // 2] = 0
        before = whole(again[-1]["outputs"], read_volume(place / "image.nrrd"))
        write_volume(mask.with_voxels(smaller), place / "mask.nrrd", compress=False)
        changed = process.ask("segment", **request)
        assert changed["slices_encoded"] == 0
        assert not np.array_equal(whole(changed, read_volume(place / "image.nrrd")), before)
        # So does the image.
        image = read_volume(place / "image.nrrd")
        write_volume(image.with_voxels(image.voxels[:, :, ::-1].copy()), place / "image.nrrd", compress=False)
        assert process.ask("segment", **request)["slices_encoded"] == 12


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no support": ({"supports": []}, "bad-request"),
    "a word for a number": ({"slices": ["a", 2]}, "bad-request"),
    "a range backwards": ({"slices": [5, 2]}, "bad-request"),
    "an unknown field": ({"slice": [5, 2]}, "bad-request"),
    "a range outside": ({"slices": [5, 99]}, "bad-range"),
    "a preview outside": ({"slices": [99, 99]}, "bad-range"),
    "another axis": ({"axis": 1, "query": {"image": "image.nrrd"}}, "axis-differs"),
    "another plane": ({"plane": "coronal"}, "axis-differs"),
    "no image": ({"query": {"image": "nothing.nrrd"}}, "missing-file"),
    "an unknown structure": ({"structures": ["heart"]}, "unknown-structure"),
    "an unknown model": ({"model": "nobody"}, "unknown-model"),
    "a device that is not there": ({"device": "cuda:99"}, "device-missing"),
    "terms not accepted": ({"model": "bound"}, "licence-not-accepted"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_answered_and_the_worker_lives(worker: Worker, place: Path, case: str) -> None:
    change, code = WRONG[case]
    request = {**body(place, place), **change}
    request["query"]["image"] = str(place / request["query"]["image"])
    error = worker.refused("segment", **request)
    assert error["code"] == code
    assert "--" not in error["hint"]
    assert worker.ask("models")["models"]


SHIFTED: dict[str, tuple[dict[str, Any], str]] = {
    "outside the image": ({"offset": [63, 0, 6]}, "mask-outside"),
    "elsewhere than its header says": ({"offset": [0, 0, 6]}, "mask-place"),
    "an outlined slice that is not there": ({"slices": [70]}, "slice-outside"),
    "nothing on that slice": ({"slices": [2]}, "empty-mask"),
    "a structure that was not drawn": (
        {"structures": {"1": {"name": "a"}, "9": {"name": "b"}}},
        "empty-mask",
    ),
    "a negative offset": ({"offset": [-1, 0, 0]}, "bad-request"),
}


@pytest.mark.parametrize("case", SHIFTED)
def test_an_outline_in_the_wrong_place_is_refused(worker: Worker, place: Path, case: str) -> None:
    change, code = SHIFTED[case]
    request = body(place, place)
    request["supports"][0] |= change
    assert worker.refused("segment", **request)["code"] == code


@pytest.mark.parametrize("text", ["", "{", "[]", '{"do": "models"}', '{"id": "x"}', '{"id": [], "do": "x"}'])
def test_what_is_no_request_is_answered_too(worker: Worker, text: str) -> None:
    worker.put(text)
    event = worker.event()
    assert (event["t"], event["code"]) == ("error", "bad-request")
    assert event["id"] == ("x" if "x" in text and "[]" not in text else None)
    assert worker.refused("dance")["code"] == "unknown-request"
    assert worker.refused("models", method=3)["code"] == "bad-request"


def test_terms_are_accepted_once(worker: Worker, place: Path) -> None:
    assert worker.refused("warm", model="bound")["code"] == "licence-not-accepted"
    assert worker.ask("accept_licence", model="bound") == {"remembered": True}
    assert worker.ask("warm", model="bound")["device"] == "cpu"
    found = {one["name"]: one for one in worker.ask("models")["models"]}
    assert found["bound"]["licence"]["accepted"]


def test_models_are_added_from_a_folder_a_zip_and_a_checkpoint(
    worker: Worker, place: Path, tmp_path: Path
) -> None:
    folder = save_test_model(tmp_path, "from-folder")
    assert worker.ask("add_model", path=str(folder))["name"] == "from-folder"
    assert worker.refused("add_model", path=str(folder))["code"] == "model-exists"
    assert worker.ask("add_model", path=str(folder), replace=True)["name"] == "from-folder"
    packed = save_test_model(tmp_path, "from-zip")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in packed.iterdir():
            archive.write(file, f"any name/{file.name}")
        archive.writestr("any name/readme.txt", "not copied")
    added = worker.ask("add_model", path=str(tmp_path / "model.zip"))
    assert added["name"] == "from-zip"
    assert {f.suffix for f in Path(added["folder"]).iterdir()} == {".json", ".safetensors"}
    assert {"from-zip", "from-folder"} <= {one["name"] for one in worker.ask("models")["models"]}
    (tmp_path / "a.pth").write_bytes(b"no checkpoint")
    assert worker.refused("add_model", path=str(tmp_path / "a.pth"))["code"] == "modality-needed"
    assert (
        worker.refused("add_model", path=str(tmp_path / "a.pth"), modality="MR")["code"] == "bad-checkpoint"
    )
    assert worker.refused("add_model", path=str(place / "image.nrrd"))["code"] == "not-a-model"
    assert worker.refused("add_model", path=str(tmp_path / "no"))["code"] == "missing-file"


def test_support_examples_are_packed_and_unpacked(worker: Worker, place: Path, tmp_path: Path) -> None:
    item = body(place, place)["supports"][0]
    item["structures"]["1"] |= {"colour": [1, 0, 0.5], "terminology": "a~b~c~d~e~f~g"}
    path = str(tmp_path / "Beispiele 1.zip")
    made = worker.ask("pack_support", path=path, items=[{**item, "plane": "axial", "name": "one"}])
    assert made["path"] == path
    assert made["size_mb"] > 0
    (found,) = worker.ask("unpack_support", path=path, folder=str(tmp_path / "out"))["items"]
    assert found["structures"]["1"] == {
        "name": "liver",
        "colour": [1, 0, 0.5],
        "terminology": "a~b~c~d~e~f~g",
    }
    # What comes out can be handed in again.
    request = body(place, place)
    before = worker.ask("segment", **request)
    again = worker.ask("segment", **request | {"supports": [found]})
    assert again["structures"] == before["structures"]
    refused = worker.refused("unpack_support", path=path, folder=str(tmp_path))
    assert refused["code"] == "folder-not-empty"
