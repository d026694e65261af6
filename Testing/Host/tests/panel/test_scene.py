"""The panel and the scene: saving, transforms, sequences, shared labelmaps, views."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data
import slicer
import vtk


def organFound(panel, volume, run):
    result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    return data.maskOf(result, run.results[0].segmentIds["large organ"], volume)


@pytest.mark.parametrize("kind", ["flipped", "oblique", "sagittal"])
def test_results_lie_on_grids_of_any_orientation(panel, kind):
    volume = data.makeVolume(kind=kind)
    segmentation, ids = data.outline(volume)
    panel.choose(volume, segmentation, list(ids.values()))
    panel.addSlice(volume, 5)
    run = panel.apply()
    assert data.dice(organFound(panel, volume, run), data.organMask("large organ")) > 0.7


def test_a_tilted_view_is_refused_until_it_is_aligned(panel):
    volume = data.makeVolume(kind="oblique")
    segmentation, ids = data.outline(volume)
    panel.choose(volume, segmentation, list(ids.values()))
    node = panel.panel.sliceNode()
    node.SetOrientation("Axial")
    node.JumpSliceByCentering(35 - 80, -20 - 70, 140)
    panel.settle()
    assert "tilted" in panel.supportReasonLabel.text()
    assert not panel.addSupportButton.isEnabled()
    assert panel.alignButton.isVisibleTo(panel.widget.uiWidget)
    panel.alignButton.click()
    panel.settle()
    assert panel.supportReasonLabel.text() == ""
    assert panel.addSupportButton.isEnabled()


def test_saved_scenes_open_as_they_were(panel, patient, tmp_path):
    _volume, segmentation, ids = patient
    panel.keepLargestCheck.setChecked(True)
    panel.asPublishedCheck.setChecked(True)
    panel.outputSelector.setCurrentNode(segmentation)
    panel.outputModeCombo.setCurrentIndex(2)
    panel.rangeCombo.setCurrentIndex(1)
    panel.settle()
    panel.sliceRangeWidget.setValues(2, 9)
    panel.viewCombo.setCurrentIndex(1)
    panel.settle()
    panel.addSupportButton.click()
    path = tmp_path / "scene with blanks ä.mrb"
    assert slicer.util.saveScene(str(path))
    panel.application.closeScene()
    panel.settle()
    assert panel.supportTable.rowCount() == 0
    assert not panel.keepLargestCheck.isChecked()
    slicer.util.loadScene(str(path))
    panel.settle()
    assert panel.supportVolumeSelector.currentNode().GetName() == "patient"
    assert panel.supportSegmentSelector.currentNode().GetName() == "patient outlines"
    assert list(panel.supportSegmentSelector.selectedSegmentIDs()) == list(ids.values())
    assert panel.supportTable.rowCount() == 1
    assert panel.supportTable.item(0, 2).text() == "large organ"
    assert panel.queryVolumeSelector.currentNode().GetName() == "patient"
    assert panel.outputSelector.currentNode().GetName() == "patient outlines"
    assert panel.outputModeCombo.currentIndex() == 2
    assert panel.keepLargestCheck.isChecked()
    assert panel.asPublishedCheck.isChecked()
    assert panel.rangeCombo.currentIndex() == 1
    assert panel.range() == (2, 9)
    assert panel.viewCombo.currentIndex() == 1
    assert panel.applyButton.isEnabled(), panel.told()
    panel.outputSelector.setCurrentNode(None)
    assert panel.apply().state.value == "done"


def test_volume_under_a_linear_transform(panel):
    volume = data.makeVolume()
    segmentation, ids = data.outline(volume)
    moved = data.transformNode(scale=1.1)
    for node in (volume, segmentation):
        node.SetAndObserveTransformNodeID(moved.GetID())
    panel.choose(volume, segmentation, list(ids.values()))
    panel.addSlice(volume, 5)
    run = panel.apply()
    result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    assert result.GetParentTransformNode() is moved
    assert data.dice(organFound(panel, volume, run), data.organMask("large organ")) > 0.7


def bend(volume, segmentation):
    """Put both under a transform that bends."""
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for point in ((0, 0, 110), (-80, 0, 110), (0, -80, 110), (0, 0, 180), (-80, -80, 180)):
        source.InsertNextPoint(point)
        target.InsertNextPoint(point[0] + 5 * np.sin(point[1]), point[1], point[2] + 3)
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    grid.SetAndObserveTransformToParent(spline)
    for node in (volume, segmentation):
        node.SetAndObserveTransformNodeID(grid.GetID())
    return grid


def test_volume_under_a_bending_transform(panel, patient):
    volume, segmentation, _ids = patient
    bent = bend(volume, segmentation)
    panel.settle()
    # A flat view shows none of its slices, so none can be added from it,
    assert "bends" in panel.supportReasonLabel.text()
    # but what is outlined already lies under the same transform and serves.
    run = panel.apply()
    assert run.state.value == "done", panel.told()
    result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    assert result.GetParentTransformNode() is bent
    assert organFound(panel, volume, run).sum() > 0.5 * data.organMask("large organ").sum()


def test_examples_of_a_sequence_stay_with_their_frame(panel):
    frames = [data.makeVolume(f"frame {n}", seed=n) for n in range(3)]
    slicer.util.arrayFromVolume(frames[2])[:] = 3
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "beating")
    for number, node in enumerate(frames):
        sequence.SetDataNodeAtValue(node, str(number))
        slicer.mrmlScene.RemoveNode(node)
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    slicer.modules.sequences.logic().UpdateAllProxyNodes()
    proxy = browser.GetProxyNode(sequence)
    browser.SetSelectedItemNumber(1)
    segmentation, ids = data.outline(proxy)
    panel.choose(proxy, segmentation, list(ids.values()))
    panel.addSlice(proxy, 5)
    assert "frame 1" in panel.supportTable.item(0, 0).text()
    browser.SetSelectedItemNumber(0)
    panel.queryVolumeSelector.setCurrentNode(proxy)
    run = panel.apply()
    assert data.dice(organFound(panel, proxy, run), data.organMask("large organ")) > 0.6
    # The empty frame is searched as the empty image that it is, with the example of frame 1.
    browser.SetSelectedItemNumber(2)
    again = panel.apply()
    empty = again.state.value == "failed" or not organFound(panel, proxy, again)[8].any()
    assert empty, panel.told()


def test_outlines_in_a_shared_labelmap(panel):
    volume = data.makeVolume()
    segmentation, ids = data.outline(volume, ("large organ", "small organ"))
    segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert segmentation.GetSegmentation().GetNumberOfLayers() == 1
    panel.choose(volume, segmentation, [ids["small organ"]])
    panel.addSlice(volume, 5)
    assert int(panel.supportTable.item(0, 3).text()) == data.organMask("small organ")[5].sum()
    run = panel.apply()
    assert list(run.results[0].segmentIds) == ["small organ"]


def test_sagittal_and_coronal_slices_can_be_outlined(panel):
    volume = data.makeVolume()
    segmentation, ids = data.outline(volume)
    mask = np.zeros(tuple(reversed(data.SIZE)), np.uint8)
    mask[:, :, 34] = data.organMask("large organ")[:, :, 34]
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, ids["large organ"], volume)
    panel.choose(volume, segmentation, list(ids.values()))
    panel.viewCombo.setCurrentIndex(panel.viewCombo.findText("Yellow"))
    panel.settle()
    panel.addSlice(volume, 34, axis=0)
    assert panel.supportTable.item(0, 1).text() == "sagittal 34"
    run = panel.preview()
    assert run.state.value == "done", panel.told()
    assert organFound(panel, volume, run)[:, :, 34].any()
