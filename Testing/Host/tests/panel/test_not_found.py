"""Structures that a run does not find: no empty segments, and a line that names them."""

from __future__ import annotations

from pathlib import Path

import pytest
import SegToolkitTestData as data

BOTH = ("large organ", "small organ")


@pytest.fixture
def lost(monkeypatch):
    """Names of structures that the worker is made not to find."""
    from SegToolkitGui.fewshot.Run import FewShotRun
    from SegToolkitLib.volume import read_volume, write_volume

    names: set[str] = set()
    answered = FewShotRun._answered

    def without(run, request):
        outputs = yield from answered(run, request)
        for one in outputs["structures"]:
            if one["name"] in names and outputs["labels"]:
                labels = read_volume(Path(outputs["labels"]), label=True)
                labels.voxels[labels.voxels == one["label"]] = 0
                write_volume(labels, Path(outputs["labels"]), compress=False)
                one["voxels"] = 0
        if not any(one["voxels"] for one in outputs["structures"]):
            outputs["labels"] = None
        return outputs

    monkeypatch.setattr(FewShotRun, "_answered", without)
    return names


@pytest.fixture
def outlined(panel):
    volume = data.makeVolume()
    segmentation, ids = data.outline(volume, BOTH)
    panel.choose(volume, segmentation, list(ids.values()))
    panel.addSlice(volume, 5)
    return volume


def segments(panel, run):
    import slicer

    node = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    segmentation = node.GetSegmentation()
    return {segmentation.GetSegment(one).GetName(): one for one in segmentation.GetSegmentIDs()}


def test_what_is_not_found_makes_no_segment_and_is_named(panel, outlined, lost):
    lost.add("small organ")
    run = panel.apply()
    assert list(segments(panel, run)) == ["large organ"]
    assert list(run.results[0].segmentIds) == ["large organ"]
    assert "Found large organ" in panel.resultLabel.text()
    assert "Not found: small organ." in panel.resultLabel.text()


def test_what_stood_there_and_is_not_found_again_is_emptied(panel, outlined, lost):
    import slicer

    run = panel.apply()
    node = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    before = segments(panel, run)
    panel.outputSelector.setCurrentNode(node)
    panel.settle()
    panel.outputModeCombo.setCurrentIndex(1)  # replace
    lost.add("small organ")
    again = panel.apply()
    assert again.results[0].segmentationId == node.GetID()
    assert segments(panel, again) == before
    assert not data.maskOf(node, before["small organ"], outlined).any()
    assert data.maskOf(node, before["large organ"], outlined).any()
    assert "Not found: small organ." in panel.resultLabel.text()


def test_a_run_that_finds_nothing_makes_no_segmentation(panel, outlined, lost):
    import slicer

    lost.update(BOTH)
    before = len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))
    run = panel.apply()
    assert run.state.value == "done"
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == before
    assert (run.results[0].segmentationId, run.results[0].missing) == ("", BOTH)
    assert "Nothing was found" in panel.resultLabel.text()
    assert not panel.undoButton.isEnabled()
    lost.clear()
    assert list(segments(panel, panel.apply())) == list(BOTH)


def test_a_preview_names_what_its_slice_does_not_show(panel, outlined, lost):
    lost.add("large organ")
    panel.showSlice(outlined, 5)
    panel.preview()
    assert panel.resultLabel.text().startswith("Preview of slice")
    assert "Not found: large organ." in panel.resultLabel.text()


def test_of_several_volumes_it_is_said_where():
    from types import SimpleNamespace as Made

    from SegToolkitGui.fewshot.Run import QueryResult
    from SegToolkitGui.fewshot.RunPart import RunPart

    results = [QueryResult("a", missing=("spleen",)), QueryResult("b")]
    assert RunPart._missing(Made(results=results)) == " Not found: spleen (in a)."


def test_on_a_computer_without_models_nothing_is_asked_twice(panel, patient, monkeypatch):
    from PySide6.QtCore import QTimer

    asked = []

    def none(verb, body, onEvent=None, onFinished=None):
        asked.append(verb)
        QTimer.singleShot(5, lambda: onFinished({"models": [], "folder": ""}, None))

    session = panel.session
    known, session.models = session.models, []
    session.forgetFailures()
    with monkeypatch.context() as patched:
        patched.setattr(session.client, "request", none)
        panel.settle()
        panel.wait(lambda: asked, what="the question")
        for _refresh in range(4):
            panel.settle()
        assert asked == ["models"]
        assert panel.reasonLabel.text() == "There is no few-shot model: add one under Model."
        assert panel.modelLabel.text() == "There is no few-shot model yet: add one."
    session.forgetFailures()
    panel.settle()
    panel.ready()
    assert session.models == known
