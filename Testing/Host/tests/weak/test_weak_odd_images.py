"""Images of other kinds, grids and numbers than expected: sentences, and buttons that tell why not."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data
import slicer
import vtk


def volume(name, array, kind="vtkMRMLScalarVolumeNode"):
    node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
    slicer.util.updateVolumeFromArray(node, array)
    return node


def several(name):
    """A scalar volume node with three values a voxel, as some readers make."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    image = vtk.vtkImageData()
    image.SetDimensions(96, 80, 12)
    image.AllocateScalars(vtk.VTK_SHORT, 3)
    node.SetAndObserveImageData(image)
    return node


def nothing(name):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


def sheared(name):
    node = data.makeVolume(name)
    matrix = np.eye(4)
    matrix[0, 1] = 0.3
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return node


def small(name):
    return volume(name, np.ones((1, 1, 1), np.int16))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (several, "has 3 values per voxel"),
        (nothing, "has no voxels"),
        (sheared, "not at right angles"),
        (small, "lies on other voxels"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_images_that_cannot_be_used_are_told(panel, images, make, told, first):
    strange = make("strange")
    pair = (strange, images["T1c"]) if first else (images["FLAIR"], strange)
    panel.choose(FLAIR=pair[0], T1c=pair[1])
    assert told in panel.reasonLabel.text()
    for button in (panel.applyButton, panel.refineButton, panel.collectButton):
        assert not button.isEnabled()
        assert button.toolTip()
    panel.choose(**images)
    assert panel.applyButton.isEnabled(), panel.told()


def test_one_image_is_too_few(panel, images):
    panel.choose(FLAIR=images["FLAIR"], T1c=None)
    assert panel.reasonLabel.text() == "Choose two or more volumes, one for each modality."
    assert panel.visibleButton.isEnabled()  # its slices can be tagged


def test_a_colour_volume_is_not_offered(panel):
    volume("colours", np.ones((4, 5, 6, 3), np.uint8), "vtkMRMLVectorVolumeNode")
    panel.settle()
    assert panel.panel.images.rows[0].volume.nodeCount() == 0


@pytest.mark.parametrize("kind", ["oblique", "sagittal", "flipped"])
def test_other_orientations_are_tagged_and_mapped(panel, kind):
    pair = {"FLAIR": data.makeVolume("FLAIR", kind=kind), "T1c": data.makeVolume("T1c", kind=kind, seed=1)}
    panel.choose(**pair)
    panel.chooseModel("balls")
    panel.select(panel.tagTable, 5)
    assert panel.panel.tags.view.index == 5
    run = panel.press(panel.applyButton)
    assert run.error is None, run.error
    assert panel.panel.maps.preview.node is not None
    assert not panel.mapsHintLabel.isVisible(), panel.mapsHintLabel.text()


def test_a_volume_that_is_renamed_while_it_is_mapped_keeps_its_maps(panel, images):
    run = panel.begin(panel.applyButton)
    images["FLAIR"].SetName("another name")
    panel.over(run)
    assert run.error is None, run.error
    assert "another name: map Fused" in [node.GetName() for node in panel.panel.maps.maps().values()]
