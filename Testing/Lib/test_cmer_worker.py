"""WSS-CMER behind a window: what models need, maps of a patient, and masks of maps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cmer_runs import made_patient
from SegToolkitLib.methods.cmer.network import build_networks
from SegToolkitLib.methods.cmer.plan import InputPlan, MapPlan, ModelPlan, NetworkPlan
from SegToolkitLib.methods.cmer.requests import file_names
from SegToolkitLib.methods.cmer.segment import load
from SegToolkitLib.methods.cmer.weights import with_seeds
from SegToolkitLib.models.card import Label, Licence, ModelCard, Preprocessing
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.volume import Volume, read_volume, write_volume
from worker_driver import Worker

SEEDS = 3


def made_model(folder: Path, seeds: int = SEEDS, **changes: Any) -> ModelPlan:
    """A model with networks of seeds 0, 1, ...; those of the seeds 0 and 1 are used."""
    facts: dict[str, Any] = {
        "modalities": ("T2", "ADC"),
        "network": NetworkPlan(width_factor=32),
        "input": InputPlan(size=16),
        "maps": MapPlan(gate=False),
        "thresholds": {"T2": 0.6},
        "seeds": seeds,
    }
    plan = ModelPlan(**facts | changes)
    states = [
        build_networks(plan.each, len(plan.parts), torch.Generator().manual_seed(seed)).state_dict()
        for seed in range(seeds)
    ]
    own = {key: states[int(key[0]) % seeds][key] for key in states[0]}
    card = ModelCard(
        name=folder.name,
        title="balls",
        method="cmer",
        settings=plan.model_dump(mode="json"),
        labels=[Label(value=1, name="ball")],
        preprocessing=Preprocessing(modality="MR"),
        licence=Licence(name="CC0", permissive=True),
        limits="For tests.",
    )
    save_model(folder, card, with_seeds(own, states if seeds > 1 else []))
    return plan


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cmer")
    made_model(folder / "home" / "models" / "balls")
    made_model(folder / "home" / "models" / "one-seed", 1)
    made_model(
        folder / "home" / "models" / "second", 1, supervision="masks", thresholds={}, fused_threshold=0.3
    )
    t2, adc, label = made_patient()
    x, y, z = adc.origin
    write_volume(t2, folder / "t2.nrrd")
    write_volume(adc, folder / "adc.nrrd")
    write_volume(Volume(adc.voxels, adc.spacing, (x + 1.5, y, z), adc.direction), folder / "apart.nrrd")
    soft = label.voxels.astype(np.float32) * 0.9
    write_volume(label.with_voxels(soft), folder / "map.nrrd")
    return folder


@pytest.fixture(scope="module")
def worker(place: Path) -> Iterator[Worker]:
    with Worker(place / "exchange", SEGTOOLKIT_HOME=str(place / "home")) as process:
        yield process


def order(place: Path, model: str = "balls", **changes: Any) -> dict[str, Any]:
    images = {"T2": str(place / "t2.nrrd"), "ADC": str(place / "adc.nrrd")}
    return {
        "method": "cmer",
        "model": model,
        "images": images,
        "out": str(place / "out"),
        "device": "cpu",
    } | changes


def test_models_say_which_images_they_need(worker: Worker) -> None:
    models = {one["name"]: one for one in worker.ask("models")["models"]}
    balls, second = models["balls"], models["second"]
    assert balls["usable"]
    assert not balls["automatic"]
    assert balls["modalities"] == ["T2", "ADC"]
    assert balls["thresholds"] == {"T2": 0.6, "ADC": 0.5, "fused": 0.5}
    assert balls["seeds"] == SEEDS
    assert models["one-seed"]["seeds"] == 1
    assert (second["modalities"], second["thresholds"]) == (["T2", "ADC"], {"fused": 0.3})
    others = [one for one in models.values() if one["method"] != "cmer"]
    assert others
    assert all(one["modalities"] == [] for one in others)


def test_maps_are_files_on_the_first_image_and_say_what_is_known_of_each_slice(
    worker: Worker, place: Path
) -> None:
    events = worker.events("maps", **order(place))
    outputs = events[-1]["outputs"]
    phases = [event["phase"] for event in events if event["t"] == "progress"]
    assert list(dict.fromkeys(phases)) == ["loading model", "reading", "maps", "writing"]
    first = read_volume(place / "t2.nrrd")
    assert list(outputs["maps"]) == ["T2", "ADC", "fused"]
    for file in outputs["maps"].values():
        volume = read_volume(Path(file))
        assert volume.same_grid(first)
        assert volume.voxels.dtype == np.float32
        assert 0 <= volume.voxels.min() <= volume.voxels.max() <= 1
    assert outputs["axis"] == 2
    assert outputs["seeds"] == SEEDS
    assert outputs["thresholds"]["T2"] == 0.6
    slices = outputs["slices"]
    assert [one["slice"] for one in slices] == list(range(first.grid.size[2]))
    assert all(set(one["probability"]) == set(one["present"]) == {"T2", "ADC"} for one in slices)
    # The same as from Python.
    mapper = load(place / "home" / "models" / "balls")
    result = mapper.maps({"T2": first, "ADC": read_volume(place / "adc.nrrd")})
    np.testing.assert_allclose(
        read_volume(Path(outputs["maps"]["fused"])).voxels, result.maps["fused"].voxels, atol=1e-5
    )
    seen = [any(one["present"].values()) for one in slices]
    assert any(seen)
    for one, somebody in zip(slices, seen, strict=True):
        assert somebody or one["modalities"] is None
        assert one["modalities"] is None or 0 <= one["modalities"] <= 1
    assert any(one["seeds"] is not None for one in slices)


def test_the_model_and_the_volumes_stay(worker: Worker, place: Path) -> None:
    worker.ask("maps", **order(place))
    again = worker.events("maps", **order(place, kind="gradcam++", gate=True))
    assert "loading model" not in [event.get("phase") for event in again]
    outputs = again[-1]["outputs"]
    gated = read_volume(Path(outputs["maps"]["T2"])).voxels
    for one in outputs["slices"]:
        assert one["present"]["T2"] or not gated[one["slice"]].any()


def test_a_second_stage_makes_one_map(worker: Worker, place: Path) -> None:
    outputs = worker.ask("maps", **order(place, "second"))
    assert set(outputs["maps"]) == set(outputs["thresholds"]) == {"fused"}
    assert all(one["modalities"] is None and one["seeds"] is None for one in outputs["slices"])
    values = read_volume(Path(outputs["maps"]["fused"])).voxels
    for one in outputs["slices"]:
        # The slice's own probability is that of its most probable pixel, before it was brought to the grid.
        assert one["probability"]["fused"] >= values[one["slice"]].max() - 1e-3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"images": {"T2": "t2.nrrd"}}, "missing-modality"),
        ({"images": {"T2": "t2.nrrd", "ADC": "apart.nrrd"}}, "channel-grid"),
        ({"images": {"T2": "t2.nrrd", "ADC": "gone.nrrd"}}, "missing-file"),
        ({"kind": "cram"}, "bad-request"),
        ({"model": "gone"}, "no-model"),
    ],
)
def test_what_cannot_be_mapped_is_told(
    changes: dict[str, Any], code: str, worker: Worker, place: Path
) -> None:
    if "images" in changes:
        changes = {"images": {name: str(place / file) for name, file in changes["images"].items()}}
    error = worker.refused("maps", **order(place, **changes))
    assert error["code"] in (code, {"missing-file": "unreadable", "no-model": "unknown-model"}.get(code))


def test_images_elsewhere_are_brought_onto_the_first(worker: Worker, place: Path) -> None:
    images = {"ADC": str(place / "apart.nrrd"), "T2": str(place / "t2.nrrd")}
    outputs = worker.ask("maps", **order(place, images=images, resample=True))
    apart = read_volume(place / "apart.nrrd")
    assert all(read_volume(Path(file)).same_grid(apart) for file in outputs["maps"].values())


def refinement(place: Path, **changes: Any) -> dict[str, Any]:
    return {
        "method": "cmer",
        "images": {"T2": str(place / "t2.nrrd"), "ADC": str(place / "adc.nrrd")},
        "maps": {"T2": str(place / "map.nrrd"), "ADC": str(place / "map.nrrd")},
        "settings": {"smallest_ml": 0},
        "out": str(place / "out"),
    } | changes


def test_refinement_makes_a_mask_as_segment_does(worker: Worker, place: Path) -> None:
    tags = {"2": False, "3": True}
    outputs = worker.ask("refine", **refinement(place, tags=tags, threshold={"T2": 0.4, "fused": 0.5}))
    label = made_patient()[2]
    mask = read_volume(Path(outputs["labels"]), label=True)
    assert mask.voxels.dtype == np.uint8
    i, j, k = outputs["offset"]
    assert list(mask.grid.size) == outputs["size"]
    assert k == 3
    whole = np.zeros(label.voxels.shape, np.uint8)
    depth, rows, columns = mask.voxels.shape
    whole[k : k + depth, j : j + rows, i : i + columns] = mask.voxels
    truth = label.voxels[3:6]
    assert 2 * (whole[3:6] * truth).sum() / (whole[3:6].sum() + truth.sum()) > 0.95
    assert outputs["voxels"] == {"before": int(label.voxels.sum()), "after": int(whole.sum())}
    assert [one["after"] for one in outputs["slices"]] == whole.sum((1, 2)).tolist()
    assert outputs["slices"][2] == {"slice": 2, "before": int(label.voxels[2].sum()), "after": 0}
    assert set(outputs["seconds"]) == {"read", "refine", "write", "total"}


def test_refinement_of_one_slice_is_the_slice_of_the_whole(worker: Worker, place: Path) -> None:
    outputs = worker.ask("refine", **refinement(place, slices=[4]))
    assert [one["slice"] for one in outputs["slices"]] == [4]
    assert outputs["offset"][2] == 4
    assert outputs["size"][2] == 1
    whole = worker.ask("refine", **refinement(place))
    assert outputs["slices"][0]["after"] == whole["slices"][4]["after"]


def test_nothing_above_the_threshold_is_no_file(worker: Worker, place: Path) -> None:
    outputs = worker.ask("refine", **refinement(place, threshold=0.95))
    assert outputs["labels"] is None
    assert outputs["size"] == [0, 0, 0]
    assert outputs["voxels"] == {"before": 0, "after": 0}


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"settings": {"consensus": "most"}}, "bad-request", "consensus"),
        ({"settings": {"smooothing": "none"}}, "bad-request", "smoothing"),
        ({"tags": {"8": True}}, "bad-slices", "0 to 7"),
        ({"slices": [9]}, "bad-slices", "0 to 7"),
        ({"threshold": {"T1": 0.5}}, "unknown-map", "T1"),
        ({"maps": {}}, "bad-request", "maps"),
    ],
)
def test_what_cannot_be_refined_is_told(
    changes: dict[str, Any], code: str, words: str, worker: Worker, place: Path
) -> None:
    error = worker.refused("refine", **refinement(place, **changes))
    assert error["code"] == code
    assert words in error["text"] + error["hint"]


def test_refinement_needs_no_torch(place: Path) -> None:
    (place / "broken").mkdir()
    (place / "broken" / "torch.py").write_text("raise ImportError('broken')", encoding="utf-8")
    with Worker(
        place / "exchange2", SEGTOOLKIT_HOME=str(place / "home"), PYTHONPATH=str(place / "broken")
    ) as own:
        assert own.ask("refine", **refinement(place))["labels"]
        assert {one["seeds"] for one in own.ask("models", method="cmer")["models"]} == {SEEDS, 1}
        assert own.refused("maps", **order(place))["code"] == "torch-broken"


@pytest.mark.parametrize("names", [["a/b", "a:b", "A-B"], ["../x", "..", "fused"], ["Größe", "FLAIR"]])
def test_files_are_named_safely_and_apart(names: list[str]) -> None:
    found = file_names("7/../1", names)
    assert list(found) == names
    assert len({one.casefold() for one in found.values()}) == len(names)
    assert all(
        set(one) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
        for one in found.values()
    )


def test_cases_of_several_images_and_tags_join_a_data_set(worker: Worker, place: Path) -> None:
    folder = place / "set"
    images = {"T2": str(place / "t2.nrrd"), "ADC": str(place / "adc.nrrd")}
    first = {"images": images, "case": "a", "tags": {"0": False, "3": True, "4": True, "6": False}}
    answer = worker.ask("dataset_add", folder=str(folder), modality="MR", items=[first])
    assert answer["cases"] == ["a"]
    assert (folder / "tags.csv").read_text() == "case,slice,visible\na,0,0\na,3-4,1\na,6,0\n"
    second = {"images": images, "case": "b", "tags": {"1": True}}
    third = {"images": images, "case": "c"}
    worker.ask("dataset_add", folder=str(folder), append=True, items=[second, third])
    assert (folder / "tags.csv").read_text().splitlines()[-1] == "b,1,1"
    checked = worker.ask("dataset_check", path=str(folder))
    assert checked["channels"] == ["T2", "ADC"]
    assert (checked["images"], checked["tagged"]) == (3, 2)
    # All or nothing: neither the case nor its tags.
    before = (folder / "tags.csv").read_bytes(), (folder / "dataset.json").read_bytes()
    wrong = [
        ({"images": images, "case": "d", "tags": {"8": True}}, "bad-tags"),
        ({"images": {"T2": images["T2"]}, "case": "d", "tags": {"1": True}}, "several-channels"),
        ({"images": images | {"ADC": str(place / "apart.nrrd")}, "case": "d", "tags": {}}, "channel-grid"),
        ({"image": images["T2"], "images": images, "case": "d"}, "description"),
        ({"images": images, "case": "a", "tags": {"1": True}}, "case-exists"),
    ]
    for item, code in wrong:
        refused = worker.refused("dataset_add", folder=str(folder), append=True, items=[item])
        assert refused["code"] == code, refused
        assert before == ((folder / "tags.csv").read_bytes(), (folder / "dataset.json").read_bytes())
    mixed = [first | {"case": "x"}, {"image": images["T2"], "case": "y"}]
    refused = worker.refused("dataset_add", folder=str(place / "new"), modality="MR", items=mixed)
    assert refused["code"] == "several-channels"
    assert not (place / "new").exists()
    json.dumps(checked)
