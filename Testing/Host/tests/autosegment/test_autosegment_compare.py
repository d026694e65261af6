"""Comparing with a reference."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data
from autosegment_panel import ORGANS


def reference(volume, names=("Liver", "Spleen"), shift=0):
    """A segmentation of the test's organs, moved by some voxels along i."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "reference")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name in names:
        mask = np.roll(data.organMask(ORGANS[name.lower()]), shift, axis=2).astype(np.uint8)
        one = node.GetSegmentation().AddEmptySegment("", name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, one, volume)
    return node


def compare(panel):
    panel.settle()
    assert panel.compareButton.isEnabled(), panel.compareReasonLabel.text()
    panel.compareButton.click()
    return panel.over(panel.runner.compared)


def test_organs_are_matched_by_name_and_scored(panel, volume):
    panel.apply()
    panel.referenceSelector.setCurrentNode(reference(volume, shift=4))
    run = compare(panel)
    assert [row["name"] for row in run.rows] == ["Liver", "Spleen"]
    moved = data.dice(data.organMask("large organ"), np.roll(data.organMask("large organ"), 4, axis=2))
    assert run.rows[0]["dsc"] == pytest.approx(moved, abs=0.005)
    assert run.rows[0]["hd95_mm"] == pytest.approx(4 * data.SPACING[0], abs=1.9)
    assert run.rows[0]["reference_ml"] == pytest.approx(run.rows[0]["result_ml"], rel=0.01)
    shown = panel.rows(panel.compareTable)
    assert shown[0][:2] == ["Liver", f"{run.rows[0]['dsc']:.3f}"]
    assert "Mean DSC" in panel.resultLabel.text()


def test_tolerance_decides_the_surface_dice(panel, volume):
    panel.apply()
    panel.referenceSelector.setCurrentNode(reference(volume, shift=2))
    panel.toleranceSpin.setValue(1.0)
    strict = compare(panel).rows[0]["nsd"]
    panel.toleranceSpin.setValue(5.0)
    assert compare(panel).rows[0]["nsd"] > strict + 0.2
    assert panel.compareTable.horizontalHeaderItem(2).text() == "NSD 5 mm"


def test_charts_show_the_table(panel, volume):
    import slicer

    panel.apply()
    panel.referenceSelector.setCurrentNode(reference(volume))
    run = compare(panel)
    for name, columns in (("agreement", ["DSC", "NSD 2 mm"]), ("distance", ["HD95 mm"])):
        chart = slicer.mrmlScene.GetNodeByID(run.chartIds[name])
        series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
        assert [one.GetYColumnName() for one in series] == columns
        assert {one.GetLabelColumnName() for one in series} == {"Organ"}
        assert {one.GetTableNodeID() for one in series} == {run.tableId}
    view = panel.panel.compare.chart
    assert view.plot.mrmlPlotViewNode().GetPlotChartNodeID() == run.chartIds["agreement"]
    view.combo.setCurrentIndex(1)
    assert view.plot.mrmlPlotViewNode().GetPlotChartNodeID() == run.chartIds["distance"]


def test_an_empty_organ_has_no_distance(panel, volume):
    import slicer

    panel.apply()
    node = reference(volume)
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        np.zeros(data.SIZE[::-1], np.uint8), node, node.GetSegmentation().GetNthSegmentID(1), volume
    )
    panel.referenceSelector.setCurrentNode(node)
    run = compare(panel)
    assert run.rows[1]["dsc"] == 0
    assert panel.rows(panel.compareTable)[1][3] == ""  # no number, rather than an endless bar


def test_organs_that_only_one_of_the_two_has_count_as_zero(panel, volume):
    """The reference has liver and spleen; the one that is judged has the liver, and made up a gallbladder."""
    import slicer

    judged = reference(volume, ("Liver",))
    segments = judged.GetSegmentation()
    made = segments.AddEmptySegment("", "Gallbladder")
    mask = np.zeros(data.SIZE[::-1], np.uint8)
    mask[2:4, 2:5, 2:5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, judged, made, volume)
    segments.AddEmptySegment("", "Pancreas")  # which neither has
    panel.referenceSelector.setCurrentNode(reference(volume))
    panel.comparedSelector.setCurrentNode(judged)
    run = compare(panel)
    assert run.error is None, run.error
    scores = {row["name"]: row["dsc"] for row in run.rows}
    assert scores == {"Liver": 1.0, "Spleen": 0.0, "Gallbladder": 0.0, "Pancreas": None}
    told = panel.resultLabel.text()
    for text in (
        "Organs compared: 3.",
        "Mean DSC: 0.333.",
        "Mean HD95: 0.0 mm.",
        "Only in the reference: Spleen; DSC 0",
        "Only in the result: Gallbladder; DSC 0",
        "no distance in the mean",
        "In neither, and left out: Pancreas.",
    ):
        assert text in told
    assert [row[:2] for row in panel.rows(panel.compareTable)][1] == ["Spleen", "0.000"]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("nothing", "Choose the reference"),
        ("no result", "Choose the segmentation that is to be judged"),
        ("itself", "equals itself"),
        ("empty", "has no segments"),
    ],
)
def test_what_cannot_be_compared_is_told(panel, volume, what, told):
    import slicer

    if what == "no result":
        panel.referenceSelector.setCurrentNode(reference(volume))
        panel.runner.segmented = None
    elif what == "itself":
        node = reference(volume)
        panel.referenceSelector.setCurrentNode(node)
        panel.comparedSelector.setCurrentNode(node)
    elif what == "empty":
        panel.referenceSelector.setCurrentNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"))
    panel.settle()
    assert told in panel.compareReasonLabel.text()
    assert panel.compareReasonLabel.text() == panel.compareButton.toolTip()
    assert not panel.compareButton.isEnabled()


def test_nothing_in_common_is_told(panel, volume):
    panel.apply()
    node = reference(volume)
    for number in range(2):
        node.GetSegmentation().GetNthSegment(number).SetName(f"thing {number}")
    panel.referenceSelector.setCurrentNode(node)
    run = compare(panel)
    assert run.state.value == "failed"
    assert "Name the structures alike" in panel.resultLabel.text()


@pytest.mark.parametrize("victim", ["reference", "compared", "volume", "scene"])
def test_what_is_deleted_meanwhile_ends_the_comparison(panel, volume, victim):
    import slicer

    nodes = {"compared": panel.segmentation(panel.apply()), "reference": reference(volume), "volume": volume}
    panel.referenceSelector.setCurrentNode(nodes["reference"])
    panel.settle()
    panel.compareButton.click()
    run = panel.runner.compared
    if victim == "scene":
        panel.application.closeScene()
    else:
        slicer.mrmlScene.RemoveNode(nodes[victim])
    panel.over(run)
    assert run.state.value == "failed"
    told = panel.resultLabel.text()
    assert ("The scene was closed" if victim == "scene" else "was deleted") in told
    assert "Nothing was compared" in told
    assert "for that volume" not in told
    assert not slicer.mrmlScene.GetNodeByID(run.tableId)


def test_a_comparison_is_gone_with_the_scene(panel, volume):
    panel.apply()
    panel.referenceSelector.setCurrentNode(reference(volume))
    compare(panel)
    panel.application.closeScene()
    panel.settle()
    assert panel.compareTable.isHidden()
    assert panel.panel.compare.chart.plot.mrmlPlotViewNode() is not None


@pytest.mark.parametrize(
    ("name", "selector"),
    [
        ("inputVolume", "inputSelector"),
        ("reference", "referenceSelector"),
        ("compared", "comparedSelector"),
    ],
)
def test_a_deleted_node_does_not_lead_to_its_neighbour(panel, volume, makeCt, name, selector):
    import slicer

    chosen = makeCt("chosen")
    node = chosen if name == "inputVolume" else data.outline(chosen)[0]
    data.outline(volume)  # somebody else's
    getattr(panel, selector).setCurrentNode(node)
    panel.settle()
    assert getattr(panel.panel.parameters, name) is node
    slicer.mrmlScene.RemoveNode(node)
    panel.settle()
    assert getattr(panel.panel.parameters, name) is None
    assert getattr(panel, selector).currentNode() is None


def test_charts_have_an_owner_before_the_layout_manager_sees_them(panel):
    """It makes a view of its own for each view node that comes into the scene without one."""
    import slicer
    import vtk

    owners = []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(_caller, _event, node):
        if node.IsA("vtkMRMLPlotViewNode"):
            owners.append(node.GetParentLayoutNode())

    tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, added)
    panel.application.closeScene()
    slicer.mrmlScene.RemoveObserver(tag)
    assert len(owners) >= 2
    assert None not in owners
    for owner in owners:
        assert owner.GetHideFromEditors()
        assert not owner.GetSaveWithScene()
