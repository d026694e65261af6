"""The curves of runs, over real tables, series and charts."""

from __future__ import annotations

import gc
import math
import time
import weakref

import numpy as np
import pytest
from vtk.util.numpy_support import vtk_to_numpy

from SegToolkitGui.training.CurveData import MOST_ROWS, STEP, CurveData, valuesOf
from SegToolkitGui.training.Curves import Curves

CLASSES = ("vtkMRMLTableNode", "vtkMRMLPlotSeriesNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotViewNode")


def metric(step, **values):
    common = {"learning_rate": 1e-3, "seconds_per_step": 0.5, "samples": step, "skipped": 0}
    return {"t": "metric", "time": 0.0, "step": step, **common, **values}


def validation(step, **values):
    return {"t": "validation", "time": 0.0, "step": step, "best": True, "pictures": ["a.png"], **values}


@pytest.fixture
def curves(scene, panel) -> Curves:
    curves = Curves(panel.layout())
    yield curves
    curves.cleanup()


def nodes(scene):
    found = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
    return [node for node in found if node.GetClassName() in CLASSES]


def drawn(curves):
    """Legend -> points that the view draws."""
    return {one.node.GetName(): one.points for one in curves.plotWidget.plotView()._shown()}


def table(curves, run, kind="training"):
    """Name -> column of a run's table node."""
    found = curves._runs[run][kind].table.GetTable()
    columns = (found.GetColumn(number) for number in range(found.GetNumberOfColumns()))
    return {column.GetName(): vtk_to_numpy(column).tolist() for column in columns}


def test_loss_is_drawn_by_step(curves) -> None:
    curves.show("liver")
    assert curves.noCurveLabel.isVisible()
    curves.addEvents([metric(100, loss=0.9), metric(200, loss=0.5), {"t": "checkpoint", "step": 200}])
    assert drawn(curves) == {"loss": [(100.0, 0.9), (200.0, 0.5)]}
    assert not curves.noCurveLabel.isVisible()
    curves.addEvents([metric(300, loss=0.4), validation(300, dice=0.7, loss=0.6)])
    assert drawn(curves) == {
        "loss": [(100.0, 0.9), (200.0, 0.5), (300.0, 0.4)],
        "loss at validation": [(300.0, 0.6)],
    }


@pytest.mark.parametrize(
    ("chart", "legend", "title"),
    [
        ("metrics", "dice", "Metrics, 0 to 1"),
        ("rate", "learning rate", "Learning rate"),
        ("time", "seconds per step", "Seconds per step"),
        ("other", "hd95", "Other values"),
    ],
)
def test_each_kind_of_value_has_its_chart(curves, chart, legend, title) -> None:
    curves.show("liver")
    curves.addEvents([metric(100, loss=0.9), validation(100, dice=0.7, hd95=12.0)])
    curves.showChart(chart)
    assert list(drawn(curves)) == [legend]
    assert curves.chartComboBox.currentText() == title
    node = curves.plotWidget.mrmlPlotViewNode().GetPlotChartNode()
    assert node.GetYAxisTitle() == title
    if chart == "metrics":
        assert not node.GetYAxisRangeAuto()
        assert tuple(node.GetYAxisRange()) == (0.0, 1.0)


def test_a_value_that_leaves_0_to_1_moves_to_the_other_chart(curves) -> None:
    curves.show("liver")
    curves.addEvents([validation(100, score=0.7)])
    curves.showChart("metrics")
    assert list(drawn(curves)) == ["score"]
    curves.addEvents([validation(200, score=7.0)])
    assert drawn(curves) == {}
    curves.showChart("other")
    assert drawn(curves) == {"score": [(100.0, 0.7), (200.0, 7.0)]}


def test_only_new_rows_are_appended(curves) -> None:
    curves.show("liver")
    curves.addEvents([metric(step, loss=1.0) for step in range(1, 50)])
    node = curves._runs["liver"]["training"].table
    column = node.GetTable().GetColumnByName("loss")
    changed: list[int] = []
    tag = node.AddObserver("ModifiedEvent", lambda *_: changed.append(1))
    curves.addEvents([metric(step, loss=2.0) for step in range(50, 60)])
    node.RemoveObserver(tag)
    assert node.GetTable().GetColumnByName("loss") is column
    assert column.GetNumberOfTuples() == 59
    assert changed == [1]


def test_a_chart_is_redrawn_once_for_many_events(curves, application) -> None:
    curves.show("liver")
    view = curves.plotWidget.plotView()
    application.processEvents(0.1)
    before = view._paints
    curves.addEvents([metric(step, loss=0.5, other_loss=0.1) for step in range(1, 300)])
    application.processEvents(0.1)
    assert 1 <= view._paints - before <= 2


def test_what_is_no_number_leaves_a_gap(curves) -> None:
    curves.show("liver")
    values = [1.0, math.nan, 0.5, math.inf, 0.4]
    curves.addEvents([metric(step, loss=value) for step, value in enumerate(values, 1)])
    shown = curves.plotWidget.plotView()._shown()
    assert [one.pieces for one in shown] == [[[(1.0, 1.0)], [(3.0, 0.5)], [(5.0, 0.4)]]]


def test_a_value_that_comes_later_or_not_at_all_is_no_trouble(curves) -> None:
    curves.show("liver")
    curves.addEvents([metric(1, loss=1.0), metric(2, loss=0.9, edge_loss=3.0), metric(3), {"t": "metric"}])
    assert drawn(curves) == {"loss": [(1.0, 1.0), (2.0, 0.9)], "edge loss": [(2.0, 3.0)]}
    columns = table(curves, "liver")
    assert {len(column) for column in columns.values()} == {3}


def test_a_resumed_run_takes_back_what_it_makes_again(curves) -> None:
    curves.show("liver")
    curves.addEvents([metric(step, loss=float(step)) for step in (100, 200, 300)])
    curves.addEvents([{"t": "start", "step": 200, "total": 400}])
    assert table(curves, "liver")[STEP] == [100.0, 200.0]
    curves.addEvents([metric(300, loss=0.3), metric(250, loss=0.25)])  # without a start event, too
    assert table(curves, "liver")[STEP] == [100.0, 200.0, 250.0]


def test_values_may_stand_in_an_object_of_their_own() -> None:
    event = {"t": "metric", "step": 1, "values": {"loss": 2}, "learning_rate": 0.1, "best": True, "time": 5}
    assert valuesOf(event) == {"loss": 2.0, "learning_rate": 0.1}


def test_thinning_keeps_ends_and_extremes() -> None:
    data = CurveData()
    noise = np.random.default_rng(5).normal(size=30000)
    noise[[7000, 12345]] = 50, -50
    for step, value in enumerate(noise, 1):
        data.add(step, {"loss": value, "other": -value})
    steps = data.columns[STEP]
    assert MOST_ROWS // 4 < len(data) <= MOST_ROWS
    assert (steps[0], steps[-1]) == (1.0, 30000.0)
    assert (max(data.columns["loss"]), min(data.columns["loss"])) == (50, -50)
    assert 7001.0 in steps
    assert steps == sorted(steps)
    # No stretch is left without rows, and rows still belong together.
    assert max(np.diff(steps)) < 30000 / 50
    assert all(data.columns["loss"][n] == noise[int(step) - 1] for n, step in enumerate(steps))
    assert data.columns["other"] == [-value for value in data.columns["loss"]]


def test_10000_points_cost_less_than_20_ms_an_update(curves) -> None:
    curves.show("liver")
    for first in range(0, 10000, 500):
        curves.addEvents(
            [metric(s, loss=1 / (s + 1), b_loss=0.1, dice=0.5) for s in range(first, first + 500)]
        )
    times = []
    for step in range(10000, 10100):
        began = time.perf_counter()
        curves.addEvents([metric(step, loss=0.5, b_loss=0.2, dice=0.6)])
        times.append(time.perf_counter() - began)
    print(f"with 10,000 points: median {1000 * np.median(times):.1f} ms, worst {1000 * max(times):.1f} ms")
    assert np.median(times) < 0.02


def test_runs_are_laid_over_each_other_with_a_colour_each(curves) -> None:
    curves.show("liver a")
    curves.addEvents([metric(1, loss=1.0, part_loss=0.1), validation(1, dice=0.5, loss=0.8)])
    assert list(drawn(curves)) == ["loss", "part loss", "loss at validation"]
    curves.addEvents([metric(1, loss=2.0), validation(1, dice=0.6)], "liver b")
    assert curves.runNames == ["liver a", "liver b"]
    assert list(drawn(curves)) == ["liver a", "liver a, validation", "liver b"]
    colours = [tuple(one.node.GetColor()) for one in curves.plotWidget.plotView()._shown()]
    assert colours[0] == colours[1] != colours[2]
    curves.showChart("metrics")
    assert list(drawn(curves)) == ["liver a, dice", "liver b, dice"]
    curves.remove("liver a")
    assert list(drawn(curves)) == ["dice"]


def test_showing_another_run_drops_the_first_and_its_nodes(curves, scene) -> None:
    curves.show("liver a")
    curves.addEvents([metric(1, loss=1.0)])
    before = len(nodes(scene))
    curves.show("liver a")
    assert list(drawn(curves)) == ["loss"]
    curves.show("liver b")
    assert drawn(curves) == {}
    curves.addEvents([metric(5, loss=3.0)])
    assert drawn(curves) == {"loss": [(5.0, 3.0)]}
    assert len(nodes(scene)) == before
    curves.clear()
    assert curves.runNames == []
    assert {node.GetClassName() for node in nodes(scene)} == set(CLASSES[2:])


def test_nodes_are_hidden_not_saved_and_leave_others_alone(curves, scene, tmp_path) -> None:
    import slicer

    curves.show("liver")
    curves.addEvents([metric(1, loss=1.0), validation(1, dice=0.5)])
    assert len(nodes(scene)) > 6
    assert all(node.GetHideFromEditors() and not node.GetSaveWithScene() for node in nodes(scene))
    hierarchy = scene.GetSubjectHierarchyNode()
    assert not any(hierarchy.GetItemByDataNode(node) for node in nodes(scene))
    view = curves.plotWidget.mrmlPlotViewNode()
    # The layout manager makes a widget of its own for each view without an owner.
    assert view.GetParentLayoutNode() is not None
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", "somebody else's")
    slicer.app.applicationLogic().GetSelectionNode().SetActivePlotChartID(chart.GetID())
    slicer.app.applicationLogic().PropagatePlotChartSelection()
    assert view.GetPlotChartNodeID() != chart.GetID()
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Commit()
    text = (tmp_path / "scene.mrml").read_text()
    assert "somebody else" in text
    assert "Training curves" not in text
    assert "Seconds per step" not in text


def test_curves_survive_the_closing_of_the_scene(curves, scene, application) -> None:
    curves.show("liver")
    curves.addEvents([metric(1, loss=1.0), metric(2, loss=0.5)])
    before = drawn(curves), len(nodes(scene))
    application.closeScene()
    assert (drawn(curves), len(nodes(scene))) == before
    curves.addEvents([metric(3, loss=0.25)])
    assert drawn(curves) == {"loss": [(1.0, 1.0), (2.0, 0.5), (3.0, 0.25)]}


def test_after_cleanup_no_node_and_nothing_that_holds_the_curves_is_left(scene, panel, application) -> None:
    curves = Curves(panel.layout())
    curves.show("liver")
    curves.addEvents([metric(1, loss=1.0)])
    curves.cleanup()
    assert nodes(scene) == []
    gone = weakref.ref(curves)
    del curves
    gc.collect()
    assert gone() is None
    application.closeScene()
    assert nodes(scene) == []


def test_the_view_draws_the_curve_in_its_colour(curves, panel, turn) -> None:
    curves.show("liver")
    turn()
    before = curves.plotWidget.grab().toImage()
    curves.addEvents([metric(1, loss=1.0), metric(2, loss=0.0)])
    turn()
    after = curves.plotWidget.grab().toImage()
    assert before != after
    middle = after.height() // 2  # the falling line has to cross it
    pixels = [after.pixelColor(x, middle).getRgb()[:3] for x in range(after.width())]
    assert min(np.abs(np.array(pixels) - (0, 115, 179)).max(axis=1)) < 12
