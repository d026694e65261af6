"""Slice views: real logics and nodes under the application's names."""

import pytest
import slicer
from volumes import AXIAL, CORONAL, SAGITTAL, addVolume, rotated


def view(name):
    return slicer.app.layoutManager().sliceWidget(name)


def test_the_three_slice_views_have_their_orientations(application):
    names = slicer.app.layoutManager().sliceViewNames()
    assert set(names) == {"Red", "Yellow", "Green"}
    assert isinstance(names, tuple)
    expected = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
    assert {name: view(name).sliceOrientation for name in names} == expected
    assert view("Blue") is None
    for name in names:
        assert view(name).mrmlSliceNode() is view(name).sliceLogic().GetSliceNode()
        known = slicer.app.applicationLogic().GetSliceLogic(view(name).mrmlSliceNode())
        assert known is view(name).sliceLogic()
        assert view(name).sliceView().mrmlSliceNode() is view(name).mrmlSliceNode()


@pytest.mark.parametrize(
    ("name", "ijkToRAS", "next_"),
    [("Red", AXIAL, 5), ("Green", CORONAL, 3), ("Yellow", SAGITTAL, 3)],
    ids=["axial", "coronal", "sagittal"],
)
def test_a_view_tells_the_slice_of_an_aligned_volume(application, name, ijkToRAS, next_):
    volume = addVolume(ijkToRAS)
    slicer.util.setSliceViewerLayers(background=volume)
    logic = view(name).sliceLogic()
    logic.SetSliceOffset(0.0)  # middle of seven slices
    assert logic.GetBackgroundLayer().GetVolumeNode() is volume
    assert logic.GetSliceIndexFromOffset(0.0, volume) == 4
    assert logic.GetSliceIndexFromOffset(2.0, volume) == next_
    assert logic.GetSliceIndexFromOffset(100.0, volume) == -2


def test_an_oblique_volume_is_told_until_the_view_is_aligned(application):
    volume = addVolume(rotated(AXIAL, 10.0))
    slicer.util.setSliceViewerLayers(background=volume)
    logic, node = view("Red").sliceLogic(), view("Red").mrmlSliceNode()
    assert logic.GetSliceIndexFromOffset(logic.GetSliceOffset(), volume) == -1
    node.RotateToVolumePlane(volume)
    node.JumpSliceByCentering(0, 0, 0)
    assert logic.GetSliceIndexFromOffset(logic.GetSliceOffset(), volume) == 4
    node.SetOrientation("Axial")


def test_the_active_volume_reaches_all_views(application):
    volume = addVolume()
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveVolumeID(volume.GetID())
    slicer.app.applicationLogic().PropagateVolumeSelection()
    for name in slicer.app.layoutManager().sliceViewNames():
        assert view(name).mrmlSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()


def test_views_survive_closing_the_scene(application):
    before = view("Red").mrmlSliceNode()
    slicer.util.setSliceViewerLayers(background=addVolume())
    application.closeScene()
    assert view("Red").mrmlSliceNode() is before
    assert before.GetScene() is slicer.mrmlScene
    assert view("Red").sliceLogic().GetBackgroundLayer().GetVolumeNode() is None
    volume = addVolume()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    assert view("Red").sliceLogic().GetBackgroundLayer().GetVolumeNode() is volume


def test_positions_in_a_view_and_in_the_patient_fit(application):
    sliceView = view("Green").sliceView()
    xyz = sliceView.convertRASToXYZ([3.0, 0.0, -5.0])
    assert sliceView.convertXYZToRAS(xyz) == pytest.approx((3.0, 0.0, -5.0))


def test_what_the_application_lacks_does_not_exist(application):
    for thing, name in [
        (slicer.app, "mainWindow"),
        (slicer.app.layoutManager(), "sliceWidgets"),
        (view("Red"), "sliceNode"),
    ]:
        with pytest.raises(AttributeError):
            getattr(thing, name)
        with pytest.raises(AttributeError):
            setattr(thing, name, 1)


def test_an_unknown_signal_is_refused(application):
    from host import problems

    assert slicer.app.connect("aboutToLeave()", print) is False
    assert [problem.kind for problem in problems.take()] == ["connect"]
