"""What ``segtoolkit profile cssn`` says of a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from SegToolkitLib.cli import main
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import ModelPlan, NetworkPlan, StagePlan
from SegToolkitLib.methods.cssn.profiling import network_facts
from SegToolkitLib.methods.cssn.weights import for_stage
from SegToolkitLib.models.card import Label, Licence, ModelCard, Preprocessing
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.phantom.ct import ORGANS, trunk
from SegToolkitLib.volume import write_volume


@pytest.mark.parametrize(
    ("plan", "classes", "parameters", "tensors"),
    [
        (NetworkPlan(kind="unet"), 13, 10_705_552, 38),
        (NetworkPlan(kind="unet", channels=(8, 16, 32, 64, 128)), 4, 2_676_480, 38),
        (NetworkPlan(kind="efficient"), 13, 9_366_160, 56),
    ],
    ids=["coarse", "coarse of FLARE21", "fine"],
)
def test_released_networks_have_the_published_number_of_parameters(
    plan: NetworkPlan, classes: int, parameters: int, tensors: int
) -> None:
    facts = network_facts(StagePlan(network=plan, size=(160, 160, 160)), classes)
    assert (facts["parameters"], facts["tensors"]) == (parameters, tensors)


def test_operations_grow_with_the_volume_and_are_those_of_the_convolutions() -> None:
    plan = NetworkPlan(kind="unet", channels=(1, 1, 1, 1))
    small, large = (network_facts(StagePlan(network=plan, size=size), 1) for size in ((16,) * 3, (32,) * 3))
    assert large["multiply_adds"] == 8 * small["multiply_adds"]
    encoder, decoder = 4 * 27 + 1, 2 * 27 + 27 + 2
    per_stage = [
        16**3 * (encoder + decoder),
        8**3 * (encoder + decoder),
        4**3 * (encoder + decoder),
        2**3 * encoder,
    ]
    assert small["multiply_adds"] == sum(per_stage) + 16**3


def test_profile_measures_a_whole_case(tmp_path: Path) -> None:
    plan = ModelPlan(
        coarse=StagePlan(network=NetworkPlan(kind="unet", channels=(2, 2, 2, 2)), size=(16, 16, 16))
    )
    assert plan.coarse
    card = ModelCard(
        name="tiny",
        title="Tiny",
        method="cssn",
        settings=plan.model_dump(mode="json"),
        labels=[Label(value=1, name="liver")],
        preprocessing=Preprocessing(modality="CT"),
        licence=Licence(name="CC0 1.0", permissive=True),
    )
    save_model(tmp_path / "tiny", card, for_stage(build_network(plan.coarse, 1, 0).state_dict(), "coarse"))
    image = trunk(1, shape=(12, 40, 44), spacing=(9, 10, 40)).image
    write_volume(image, tmp_path / "scan.nii.gz")
    out = tmp_path / "figures.json"
    arguments = [
        "--model",
        str(tmp_path / "tiny"),
        "--image",
        str(tmp_path / "scan.nii.gz"),
        "--out",
        str(out),
    ]
    assert main(["profile", "cssn", *arguments, "--device", "cpu"]) == 0
    facts = json.loads(out.read_text())
    assert facts["networks"]["coarse"]["size"] == [16, 16, 16]
    assert facts["image"]["voxels"] == [44, 40, 12]
    seconds = facts["seconds"]
    assert {"load", "read", "resample", "coarse", "restore", "write", "total"} <= set(seconds)
    assert sum(v for part, v in seconds.items() if part != "total") <= 1.001 * seconds["total"]
    assert facts["flare22"]["seconds"] >= seconds["total"]
    assert facts["peak_memory_mb"] > 50


def test_a_trunk_shows_every_organ_in_air_and_depends_on_its_seed_alone() -> None:
    first = trunk(4, shape=(60, 80, 80), spacing=(5, 5, 8))
    assert set(np.unique(first.label.voxels)) == set(range(len(ORGANS) + 1))
    assert first.image.voxels.min() < -1000
    assert first.image.orientation == "RAS"
    again = trunk(4, shape=(60, 80, 80), spacing=(5, 5, 8))
    assert (again.image.voxels == first.image.voxels).all()
    assert (trunk(5, shape=(60, 80, 80), spacing=(5, 5, 8)).label.voxels != first.label.voxels).any()
