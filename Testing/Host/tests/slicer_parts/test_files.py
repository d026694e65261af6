"""Reading and writing volumes, segmentations, sequences and scenes through the real slicer.util."""

import numpy as np
import pytest
import slicer
import vtk
from volumes import CORONAL, addSegmentation, addVolume, rotated


def geometry(volume) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def test_a_volume_comes_back_with_its_geometry(application, tmp_path):
    volume = addVolume(rotated(CORONAL, 20.0))
    assert slicer.util.saveNode(volume, str(tmp_path / "a volume.nrrd"))
    loaded = slicer.util.loadVolume(str(tmp_path / "a volume.nrrd"))
    assert loaded.GetName() == "a volume"
    np.testing.assert_allclose(geometry(loaded), geometry(volume), atol=1e-6)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(loaded), slicer.util.arrayFromVolume(volume))
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == loaded.GetID()


def test_a_missing_file_is_an_error(application, tmp_path):
    with pytest.raises(RuntimeError, match="Failed to load node"):
        slicer.util.loadVolume(str(tmp_path / "missing.nrrd"))


def test_a_segmentation_comes_back(application, tmp_path):
    volume = addVolume()
    segmentation = addSegmentation(volume)
    before = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "liver", volume)
    assert slicer.util.saveNode(segmentation, str(tmp_path / "organs.seg.nrrd"))
    loaded = slicer.util.loadSegmentation(str(tmp_path / "organs.seg.nrrd"))
    assert loaded.GetSegmentation().GetSegment("liver").GetName() == "Liver"
    after = slicer.util.arrayFromSegmentBinaryLabelmap(loaded, "liver", volume)
    np.testing.assert_array_equal(after, before)
    assert before.sum() == 12


@pytest.mark.parametrize("suffix", [".mrb", ".mrml"])
def test_a_scene_comes_back(application, tmp_path, suffix):
    volume = addVolume()
    segmentation = addSegmentation(volume)
    voxels = slicer.util.arrayFromVolume(volume).copy()
    if suffix == ".mrml":  # the scene file alone refers to files of the nodes
        slicer.util.saveNode(volume, str(tmp_path / "CT.nrrd"))
        slicer.util.saveNode(segmentation, str(tmp_path / "organs.seg.nrrd"))
    assert slicer.util.saveScene(str(tmp_path / f"scene{suffix}"))
    application.closeScene()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
    slicer.util.loadScene(str(tmp_path / f"scene{suffix}"))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(slicer.util.getNode("CT")), voxels)
    assert list(slicer.util.getNode("organs").GetSegmentation().GetSegmentIDs()) == ["liver"]
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    assert hierarchy.GetItemByDataNode(slicer.util.getNode("CT"))


def test_exporting_leaves_the_node_alone(application, tmp_path):
    volume = addVolume()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[0, 3] = 10.0
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert slicer.util.exportNode(volume, str(tmp_path / "world.nrrd"), world=True)
    assert volume.GetStorageNode() is None
    loaded = slicer.util.loadVolume(str(tmp_path / "world.nrrd"))
    np.testing.assert_allclose(geometry(loaded), matrix @ geometry(volume), atol=1e-6)


def test_loading_and_saving_are_told(application, tmp_path):
    events = []
    manager = slicer.app.coreIOManager()
    manager.newFileLoaded.connect(events.append)
    manager.fileSaved.connect(events.append)
    slicer.util.saveNode(addVolume(), str(tmp_path / "v.nrrd"))
    slicer.util.loadVolume(str(tmp_path / "v.nrrd"))
    manager.newFileLoaded.disconnect(events.append)
    manager.fileSaved.disconnect(events.append)
    assert [event["fileType"] for event in events] == ["VolumeFile", "VolumeFile"]


def addSequence(frames: int = 3):
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    for frame in range(frames):
        volume = addVolume(name=f"frame {frame}")
        slicer.util.arrayFromVolume(volume)[:] = frame
        sequence.SetDataNodeAtValue(volume, str(frame))
        slicer.mrmlScene.RemoveNode(volume)
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.AddSynchronizedSequenceNode(sequence)
    slicer.modules.sequences.logic().UpdateAllProxyNodes()
    return sequence, browser


def test_the_proxy_follows_the_browser(application):
    sequence, browser = addSequence()
    proxy = browser.GetProxyNode(sequence)
    for frame in (2, 0, 1):
        browser.SetSelectedItemNumber(frame)
        assert slicer.util.arrayFromVolume(proxy)[0, 0, 0] == frame
    assert slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(proxy) is browser


def test_a_sequence_comes_back_with_the_scene(application, tmp_path):
    addSequence()
    assert slicer.util.saveScene(str(tmp_path / "cine.mrb"))
    application.closeScene()
    slicer.util.loadScene(str(tmp_path / "cine.mrb"))
    browser = slicer.util.getNode("browser")
    assert browser.GetNumberOfItems() == 3
    browser.SetSelectedItemNumber(2)
    proxy = browser.GetProxyNode(browser.GetMasterSequenceNode())
    assert slicer.util.arrayFromVolume(proxy)[0, 0, 0] == 2
