"""Maps in the scene, what is said of slices, the overlay, the threshold and its outline."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
import slicer


def outline(panel, volume):
    """Voxels of the preview [k, j, i] on the volume's grid."""
    node = panel.panel.maps.preview.node
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, "preview", volume) > 0


def maps(panel, run):
    return {name: slicer.mrmlScene.GetNodeByID(one) for name, one in run.results[0].mapIds.items()}


def test_maps_lie_on_the_first_image_and_beside_it(panel, images):
    run = panel.press(panel.applyButton)
    assert run.error is None, run.error
    found = maps(panel, run)
    assert list(found) == ["FLAIR", "T1c", "fused"]
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    parents = [
        hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
        for node in (images["FLAIR"], *found.values())
    ]
    assert len(set(parents)) == 1
    for node in found.values():
        values = slicer.util.arrayFromVolume(node)
        assert values.shape == slicer.util.arrayFromVolume(images["FLAIR"]).shape
        assert 0 <= values.min() <= values.max() <= 1
    mean = np.mean([slicer.util.arrayFromVolume(found[name]) for name in ("FLAIR", "T1c")], axis=0)
    assert np.allclose(slicer.util.arrayFromVolume(found["fused"]), mean, atol=1e-5)
    # Numbers and colours of the slices, from the worker's answer.
    for row, told in enumerate(run.results[0].slices):
        wanted = statistics.mean(told["probability"].values())
        assert panel.tagTable.item(row, 2).text() == f"{wanted:.2f}"
        assert panel.tagTable.item(row, 4).text() == f"{told['seeds']:.2f}"
    assert not panel.tagTable.isColumnHidden(4)
    assert "3 maps made" in panel.resultLabel.text()
    assert "Agreement between seeds" in panel.resultLabel.text()
    # One step takes all of it back.
    panel.undoButton.click()
    panel.settle()
    assert all(node.GetScene() is None for node in found.values())
    assert slicer.mrmlScene.GetNodeByID(run.results[0].tableId) is None
    assert panel.tagTable.isColumnHidden(2)
    assert not panel.thresholdSlider.isEnabled()


def test_poor_agreement_has_another_colour_than_good():
    from SegToolkitGui.weak import Colours

    poor, good = Colours.colourOf(0.05), Colours.colourOf(0.95)
    assert poor[0] > 200 > poor[2]  # orange
    assert good[2] > 220 > good[0]  # blue
    assert Colours.colourOf(None) is None
    assert Colours.colourOf(float("nan")) is None


def test_one_map_lies_over_the_image(panel, mapped):
    composite = slicer.mrmlScene.GetNthNodeByClass(0, "vtkMRMLSliceCompositeNode")
    fused = panel.panel.maps.maps()["fused"]
    assert panel.overlayCheck.isChecked()
    assert composite.GetForegroundVolumeID() == fused.GetID()
    assert composite.GetBackgroundVolumeID() == mapped["FLAIR"].GetID()
    panel.mapCombo.setCurrentIndex(0)
    panel.settle()
    assert composite.GetForegroundVolumeID() == panel.panel.maps.maps()["FLAIR"].GetID()
    panel.opacitySlider.setValue(0.25)
    assert composite.GetForegroundOpacity() == pytest.approx(0.25)
    panel.coloursCombo.setCurrentIndex(4)
    display = panel.panel.maps.maps()["FLAIR"].GetDisplayNode()
    assert display.GetColorNode().GetAttribute("SegToolkit.ColourRamp") == "map-4"
    panel.overlayCheck.click()
    panel.settle()
    assert not composite.GetForegroundVolumeID()


def test_each_map_has_a_threshold_of_its_own_that_begins_at_the_models(panel, mapped):
    assert panel.thresholdSlider.value == pytest.approx(0.45)  # fused
    panel.mapCombo.setCurrentIndex(0)
    panel.settle()
    assert panel.thresholdSlider.value == pytest.approx(0.6)
    panel.thresholdSlider.setValue(0.3)
    panel.settle()
    panel.mapCombo.setCurrentIndex(1)
    panel.settle()
    assert panel.thresholdSlider.value == pytest.approx(0.5)
    assert panel.panel.maps.thresholds() == pytest.approx({"FLAIR": 0.3, "T1c": 0.5, "fused": 0.45})
    panel.mapCombo.setCurrentIndex(0)
    panel.settle()
    panel.modelThresholdButton.click()
    panel.settle()
    assert panel.thresholdSlider.value == pytest.approx(0.6)


def test_the_outline_follows_threshold_map_and_slice_at_once(panel, mapped):
    volume = mapped["FLAIR"]
    fused = slicer.util.arrayFromVolume(panel.panel.maps.maps()["fused"])
    panel.panel.tags.show(4)
    for threshold in (0.2, 0.7):
        panel.thresholdSlider.setValue(threshold)
        wanted = np.zeros(fused.shape, bool)
        wanted[4] = fused[4] > threshold
        assert np.array_equal(outline(panel, volume), wanted)  # without a turn of the event loop
    panel.panel.tags.show(6)
    assert not outline(panel, volume)[4].any()
    assert np.array_equal(outline(panel, volume)[6], fused[6] > 0.7)
    panel.previewCheck.click()
    assert panel.panel.maps.preview.node is None
    panel.previewCheck.click()
    assert panel.panel.maps.preview.node is not None
    panel.application.leaveModule()
    assert panel.panel.maps.preview.node is None


def test_the_outline_takes_no_time_and_asks_nobody(panel, images):
    """A volume of BraTS's size: 150 ms a slice at most."""
    from SegToolkitGui.weak import MapNodes
    from SegToolkitGui.weak.Preview import SlicePreview

    random = np.random.default_rng(0)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "large")
    slicer.util.updateVolumeFromArray(node, random.random((155, 240, 240), np.float32))
    MapNodes.mark(node, images["FLAIR"], "run", "FLAIR")
    preview, took, asked = SlicePreview(), [], panel.session.workerState
    for number in range(30):
        began = time.perf_counter()
        count = preview.show(node, 2, number, 0.5)
        took.append(time.perf_counter() - began)
        assert 0.4 < count / 240**2 < 0.6
    assert statistics.median(took) < 0.150
    assert panel.session.workerState == asked
    preview.hide()


@pytest.mark.parametrize(("axis", "index"), [(0, 34), (1, 40), (2, 5)])
def test_the_outline_is_of_the_slice_across_any_axis(panel, axis, index):
    import SegToolkitTestData as data

    from SegToolkitGui.weak.Preview import SlicePreview

    volume = data.makeVolume(kind="oblique")
    voxels = slicer.util.arrayFromVolume(volume)
    preview = SlicePreview()
    preview.show(volume, axis, index, 300)
    wanted = np.zeros(voxels.shape, bool)
    place = [slice(None)] * 3
    place[2 - axis] = index
    wanted[tuple(place)] = voxels[tuple(place)] > 300
    found = slicer.util.arrayFromSegmentBinaryLabelmap(preview.node, "preview", volume) > 0
    assert wanted.any()
    assert np.array_equal(found, wanted)
    preview.hide()


def test_maps_are_found_again_in_a_saved_scene(panel, mapped, tmp_path):
    panel.thresholdSlider.setValue(0.33)
    for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
        if node.IsA("vtkMRMLVolumeNode") or node.IsA("vtkMRMLTableNode"):
            node.AddDefaultStorageNode()
    rows = panel.column(panel.tagTable, 2)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    panel.application.closeScene()
    panel.settle()
    assert panel.tagTable.rowCount() == 0
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.settle()
    assert panel.thresholdSlider.value == pytest.approx(0.33)
    assert panel.column(panel.tagTable, 2) == rows


def test_models_trained_on_one_data_set_are_told_apart(panel, images):
    texts = [panel.modelCombo.itemText(row) for row in range(panel.modelCombo.count())]
    alike = "Made up (FLAIR, T1c)"
    assert {f"{alike} (balls)", f"{alike} (one-seed)", "Made up (T2, ADC)"} <= set(texts)
    assert panel.modelSection.text() == f"3. Model: {alike} (balls)"
    panel.modelCard.collapsed = False
    assert "Name: balls" in panel.modelCard.toPlainText()


def test_a_model_with_one_seed_says_so(panel, images):
    panel.chooseModel("one-seed")
    run = panel.press(panel.applyButton)
    assert run.error is None, run.error
    assert panel.tagTable.isColumnHidden(4)
    assert "one seed" in panel.resultLabel.text()


def test_terms_are_asked_for_before_the_first_run(panel, images):
    panel.chooseModel("with-terms")
    with panel.application.answers.given("cancel") as asked:
        panel.applyButton.click()
    panel.settle()
    assert "terms of the test" in asked[0]
    assert "terms were not accepted" in panel.resultLabel.text()


def test_cancel_leaves_nothing(panel, images):
    run = panel.begin(panel.applyButton)
    panel.panel.running.onCancel()
    panel.settle()
    assert run.over
    assert "Cancelled" in panel.resultLabel.text()
    assert not panel.panel.maps.maps()


def test_a_deleted_image_ends_the_run(panel, images):
    run = panel.begin(panel.applyButton)
    slicer.mrmlScene.RemoveNode(images["T1c"])
    panel.settle()
    assert run.over
    assert "was deleted while the run was under way" in panel.resultLabel.text()
    assert not panel.panel.maps.maps()


def test_closing_the_scene_ends_the_run(panel, images):
    run = panel.begin(panel.applyButton)
    panel.application.closeScene()
    panel.settle()
    assert run.over


def test_the_logic_makes_maps_without_the_panel(panel, images):
    run = panel.logic.maps(images, model="balls", gate=True)
    result = run.results[0]
    assert result.axis == 2
    assert [one["slice"] for one in result.slices] == list(range(12))
    assert result.thresholds == pytest.approx({"FLAIR": 0.6, "T1c": 0.5, "fused": 0.45})
    from SegToolkitGui.Errors import UserError

    for arguments in ({"images": {}}, {"images": "x"}, {"images": images, "kind": "other"}):
        with pytest.raises(UserError):
            panel.logic.maps(**arguments)
