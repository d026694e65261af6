"""Pictures in colour: models for pictures take them, others say why not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

# In a process of its own: torch is not loaded where the window is.
MAKE = """
import sys, numpy as np, torch
from SegToolkitLib.methods.pdcr_uafr.network import build_network
from SegToolkitLib.methods.pdcr_uafr.plan import InputPlan, ModelPlan, NetworkPlan, UafrPlan, SMALL
from SegToolkitLib.methods.pdcr_uafr.segment import PdcrUafrSegmenter
from SegToolkitLib.models.card import Label, Licence, ModelCard, Preprocessing
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.volume import Volume
from SegToolkitLib.methods.pdcr_uafr.slices import normalised, resized
from pathlib import Path
folder = Path(sys.argv[1])
network = NetworkPlan(widths=SMALL, uafr=UafrPlan(positions=("conv1",)))
plan = ModelPlan(network=network, input=InputPlan(size=(64, 96)))
pixels = np.load(folder / "pixels.npy")
network = build_network(plan.network, 2, seed=0).eval()
with torch.no_grad():  # fresh weights find one class alone
    images = normalised(resized(pixels, plan.input.size), plan.input)
    network.decoder.last_conv3.bias.sub_(network(images).mean((0, 2, 3)))
labels = [Label(value=1, name="lesion")]
card = ModelCard(name="photos", title="Photos", method="pdcr_uafr", labels=labels,
    settings=plan.model_dump(mode="json"), preprocessing=Preprocessing(modality="picture"),
    licence=Licence(name="CC0 1.0", permissive=True))
save_model(folder / "photos", card, network.state_dict())
found = PdcrUafrSegmenter(plan, network.state_dict(), labels, torch.device("cpu")).segment(
    Volume(pixels, (1, 1, 1), (0, 0, 0), np.eye(3)))
np.save(folder / "labels.npy", found.labels.voxels)
"""


def node(pixels: np.ndarray):
    import slicer

    made = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    slicer.util.updateVolumeFromArray(made, pixels)
    made.SetSpacing(0.5, 0.25, 1)
    return made


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A model for pictures, a picture [1, rows, columns, 3], and what the model finds in it."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (1, 8, 12, 3))
    pixels = np.kron(coarse, np.ones((1, 9, 7, 1), int)).astype(np.uint8)
    np.save(folder / "pixels.npy", pixels)
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True)
    labels = np.load(folder / "labels.npy")
    assert 0.05 < labels.mean() < 0.95
    return folder / "photos", pixels, labels


@pytest.mark.parametrize("channels", [3, 4])
def test_a_model_for_pictures_takes_colours(panel, photo, channels):
    import slicer

    model, pixels, labels = photo
    if channels == 4:
        pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=-1)
    volume = node(pixels)
    run = panel.logic.process(volume, model=str(model), maps=["uncertainty"])
    (result,) = run.results
    segmentation = slicer.mrmlScene.GetNodeByID(result.segmentationId)
    found = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, result.segmentIds["lesion"], volume)
    # But for pixels in doubt: numbers of threads differ.
    assert ((found > 0) == (labels > 0)).mean() > 0.99
    shown = slicer.util.arrayFromVolume(slicer.mrmlScene.GetNodeByID(result.mapIds["uncertainty"]))
    assert shown.shape == labels.shape


def test_the_panel_offers_pictures(panel, photo):
    volume = node(photo[1])
    panel.choose(volume)
    panel.settle()
    assert panel.inputSelector.currentNode() is volume
    assert "colour" not in panel.reasonLabel.text()


def test_other_models_and_stacks_of_pictures_are_refused_in_a_sentence(panel, photo):
    from SegToolkitGui.Errors import UserError

    with pytest.raises(UserError) as caught:
        panel.logic.process(node(photo[1]), model="abdomen")
    assert (caught.value.code, "needs one number a voxel" in str(caught.value)) == ("colour-picture", True)
    with pytest.raises(UserError) as caught:
        panel.logic.process(node(np.repeat(photo[1], 2, axis=0)), model=str(photo[0]))
    assert "is a colour volume; choose a picture" in str(caught.value)
