"""What a run leaves in the scene."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data
from autosegment_panel import BANDS


def band(volume, organ):
    """Where the organ's brightness is [k, j, i]."""
    import slicer

    low, high = BANDS[organ]
    voxels = slicer.util.arrayFromVolume(volume)
    return (voxels >= low) & (voxels <= high)


@pytest.mark.parametrize("kind", ["axial", "flipped", "sagittal", "oblique"])
def test_each_voxel_is_where_it_was_found(panel, makeCt, kind):
    volume = makeCt(kind=kind)
    panel.choose(volume)
    run = panel.apply()
    for organ in ("liver", "spleen"):
        found = data.maskOf(panel.segmentation(run), run.results[0].segmentIds[organ], volume)
        assert np.array_equal(found, band(volume, organ)), organ


def test_the_result_follows_the_volumes_transform(panel, volume):
    moved = data.transformNode()
    volume.SetAndObserveTransformNodeID(moved.GetID())
    run = panel.apply()
    segmentation = panel.segmentation(run)
    assert segmentation.GetParentTransformNode() is moved
    found = data.maskOf(segmentation, run.results[0].segmentIds["liver"], volume)
    assert np.array_equal(found, band(volume, "liver"))


def test_segments_are_finished(panel, volume):
    import slicer

    from SegToolkitGui.scene.Appearance import appearanceOf

    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), study)
    run = panel.apply()
    segmentation = panel.segmentation(run)
    looks = {}
    for one in segmentation.GetSegmentation().GetSegmentIDs():
        segment = segmentation.GetSegmentation().GetSegment(one)
        looks[segment.GetName()] = appearanceOf(segment)
    assert list(looks) == ["liver", "spleen"]
    assert "SCT^10200004^Liver" in looks["liver"]["terminology"]
    assert looks["liver"]["colour"] == pytest.approx((0.8667, 0.5098, 0.3961), abs=0.01)
    role = segmentation.GetReferenceImageGeometryReferenceRole()
    assert segmentation.GetNodeReferenceID(role) == volume.GetID()
    table = slicer.mrmlScene.GetNodeByID(run.tableId)
    for node in (segmentation, table):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study, node.GetName()


def test_only_ticked_organs_are_found(panel, volume):
    panel.noOrgansButton.click()
    panel.settle()
    assert "Tick at least one organ" in panel.reasonLabel.text()
    panel.organList.item(1).setCheckState(panel.organList.item(1).checkState().Checked)
    run = panel.apply()
    assert list(run.results[0].segmentIds) == ["spleen"]
    assert [row["name"] for row in run.results[0].rows] == ["spleen"]


def test_what_was_not_found_is_told_and_is_no_segment(panel, volume):
    run = panel.apply()
    assert "Organs found: 2" in panel.resultLabel.text()
    assert "Not found: gallbladder" in panel.resultLabel.text()
    assert panel.segmentation(run).GetSegmentation().GetNumberOfSegments() == 2


def test_replacing_empties_an_organ_that_is_no_longer_there(panel, volume):
    import slicer

    segmentation = panel.segmentation(panel.apply())
    voxels = slicer.util.arrayFromVolume(volume)
    voxels[band(volume, "spleen")] = 180
    slicer.util.arrayFromVolumeModified(volume)
    panel.outputSelector.setCurrentNode(segmentation)
    panel.apply()
    names = [one.GetName() for one in map(segmentation.GetSegmentation().GetNthSegment, range(2))]
    assert names == ["liver", "spleen"]
    assert data.maskOf(segmentation, "liver", volume).any()
    assert not data.maskOf(segmentation, "spleen", volume).any()


def test_table_tells_millilitres_and_mean(panel, volume):
    import slicer

    run = panel.apply()
    voxel = np.prod(data.SPACING) / 1000
    mask = band(volume, "liver")
    mean = slicer.util.arrayFromVolume(volume)[mask].mean()
    rows = panel.rows(panel.volumesTable)
    assert rows[0] == ["patient", "liver", f"{mask.sum() * voxel:.1f}", f"{mean:.1f}"]
    assert rows[2][1:] == ["gallbladder", "0.000", ""]
    table = slicer.mrmlScene.GetNodeByID(run.tableId).GetTable()
    assert [table.GetColumnName(n) for n in range(4)] == ["Volume", "Organ", "ml", "Mean HU"]
    assert table.GetColumnByName("Mean HU").GetValue(0) == pytest.approx(mean)


def test_mr_has_no_hounsfield_units(panel):
    import slicer

    panel.choose(data.makeVolume("MR"), "abdomen-mr")
    run = panel.apply()
    assert slicer.mrmlScene.GetNodeByID(run.tableId).GetTable().GetColumnName(3) == "Mean intensity"


def test_table_can_be_left_out(panel, volume):
    import slicer

    panel.volumesCheck.click()
    run = panel.apply()
    assert run.tableId == ""
    assert not slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert panel.tableSection.isHidden()


def test_table_is_copied_and_saved(panel, volume, tmp_path):
    import slicer

    from host import modal

    panel.apply()
    panel.copyVolumesButton.click()
    lines = slicer.app.clipboard().text().splitlines()
    assert lines[0] == "Volume\tOrgan\tml\tMean HU"
    assert lines[1].startswith("patient\tliver\t")
    assert lines[3] == "patient\tgallbladder\t0.0\t"
    path = tmp_path / "organs é.csv"
    with modal.answering(lambda *_: str(path)):
        panel.saveVolumesButton.click()
    assert path.read_text(encoding="utf-8").splitlines()[1].split(",")[1].strip('"') == "liver"


def test_uncertainty_is_a_volume_beside_the_image(panel, volume):
    import slicer

    panel.mapCheck().click()
    run = panel.apply()
    doubt = slicer.mrmlScene.GetNodeByID(run.results[0].mapIds["uncertainty"])
    values = slicer.util.arrayFromVolume(doubt)
    low, high = BANDS["liver"]
    mask = band(volume, "liver")
    edge = np.minimum(
        slicer.util.arrayFromVolume(volume)[mask] - low, high - slicer.util.arrayFromVolume(volume)[mask]
    )
    assert values[mask] == pytest.approx(np.clip(1 - edge / 50.0, 0, 1), abs=1e-5)
    assert doubt.GetName() == "patient: Uncertainty"


def test_every_map_of_a_model_has_a_box_a_volume_and_colours_of_its_own(panel, volume):
    import slicer

    assert [check.text() for check in panel.panel.maps.checks.values()] == ["Uncertainty", "How dark it is"]
    for name in ("uncertainty", "darkness"):
        panel.mapCheck(name).click()
    run = panel.apply()
    nodes = {name: slicer.mrmlScene.GetNodeByID(one) for name, one in run.results[0].mapIds.items()}
    assert [node.GetName() for node in nodes.values()] == ["patient: Uncertainty", "patient: How dark it is"]
    assert len({node.GetDisplayNode().GetColorNodeID() for node in nodes.values()}) == 2
    dark = slicer.util.arrayFromVolume(nodes["darkness"])
    voxels = slicer.util.arrayFromVolume(volume).astype(float)
    assert dark == pytest.approx((voxels.max() - voxels) / np.ptp(voxels), abs=1e-5)


def test_a_map_lies_over_its_image_when_it_is_asked_for(panel, volume):
    import slicer

    assert panel.overlayCombo.isHidden()
    panel.mapCheck("darkness").click()
    panel.mapCheck().click()
    run = panel.apply()
    combo = panel.overlayCombo
    texts = [combo.itemText(n) for n in range(combo.count())]
    assert texts == ["No overlay", "patient: Uncertainty", "patient: How dark it is"]
    assert combo.currentIndex() == 0
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    combo.setCurrentIndex(2)
    for view in views:
        assert view.GetForegroundVolumeID() == run.results[0].mapIds["darkness"]
        assert view.GetBackgroundVolumeID() == volume.GetID()
        assert 0 < view.GetForegroundOpacity() < 1
    panel.settle()
    assert combo.currentIndex() == 2
    combo.setCurrentIndex(0)
    assert {view.GetForegroundVolumeID() for view in views} == {None}
    combo.setCurrentIndex(1)
    panel.undoButton.click()
    panel.settle()
    assert combo.isHidden()


def test_quick_mode_is_asked_for_and_said(panel, volume):
    panel.modeCombo.setCurrentIndex(1)
    run = panel.apply()
    assert "coarse" in run.results[0].seconds
    assert "every second voxel" in panel.resultLabel.text()


def test_one_undo_takes_everything_back(panel, volume):
    import slicer

    panel.mapCheck().click()
    before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    run = panel.apply()
    assert panel.undoButton.isEnabled()
    panel.undoButton.click()
    panel.settle()
    for nodeId in (run.results[0].segmentationId, run.results[0].mapIds["uncertainty"], run.tableId):
        assert slicer.mrmlScene.GetNodeByID(nodeId) is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == before
    assert not panel.undoButton.isEnabled()
    assert panel.tableSection.isHidden()


def test_the_card_tells_how_long_it_took_here(panel, volume):
    panel.apply()
    panel.wait(lambda: "full" in panel.modelCard.toPlainText(), what="the time on the card")
