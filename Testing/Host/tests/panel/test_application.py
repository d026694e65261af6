"""What the application does around the panel: it imports scenes, reloads modules, and quits."""

from __future__ import annotations

import SegToolkitTestData as data
import slicer


def test_an_import_into_the_scene_keeps_the_choices(panel, patient, tmp_path):
    volume, segmentation, ids = patient
    other = slicer.vtkMRMLScene()
    node = slicer.vtkMRMLTextNode()
    node.SetText("from elsewhere")
    other.AddNode(node)
    path = tmp_path / "other.mrml"
    other.SetURL(str(path))
    assert other.Commit()
    slicer.util.loadScene(str(path), {"clear": False})
    assert slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLTextNode").GetText() == "from elsewhere"
    panel.settle()
    parameters = panel.panel.parameters
    assert parameters.supportVolume is volume
    assert parameters.queryVolume is volume
    assert parameters.supportSegmentation is segmentation
    assert list(parameters.supportSegmentIds) == list(ids.values())
    assert panel.supportVolumeSelector.currentNode() is volume
    assert panel.queryVolumeSelector.currentNode() is volume
    assert panel.supportSegmentSelector.selectedSegmentIDs() == list(ids.values())
    assert panel.segmentEditor.segmentationNode() is segmentation


def test_a_broken_torch_is_asked_for_once(panel, monkeypatch):
    asked, session = [], panel.session
    broken = {"devices": [], "packages": {}, "problem": "PyTorch cannot be loaded."}
    answers = {"environment": broken, "models": {"models": session.models}}

    def request(verb, body, onEvent=None, onFinished=None):
        asked.append(verb)
        onFinished(answers[verb], None)

    before = session.environment, session.devices
    monkeypatch.setattr(session.client, "request", request)
    session.environment, session.devices = {}, []
    try:
        for _ in range(3):
            panel.settle()
        assert asked == ["environment"]
        assert "cannot be loaded" in panel.setupLabel.text()
        assert not panel.setupFrame.isHidden()
        panel.checkAgainButton.click()
        panel.settle()
        assert sorted(asked) == ["environment", "environment", "models"]  # all that may have been mended
    finally:
        session.environment, session.devices = before
        session.environmentProblem = ""


def test_the_editor_has_no_selectors_of_its_own(panel):
    """They would choose another segmentation than the panel's, which takes it back."""
    assert not panel.segmentEditor.property("segmentationNodeSelectorVisible")
    inner = panel.segmentEditor._panel
    assert inner.segmentationBox.isHidden()
    assert inner.sourceBox.isHidden()


def test_a_module_reloaded_while_shown_goes_on(panel, application):
    data.makeVolume()
    old = panel.segmentEditor
    panel.widget.onReload()
    panel = type(panel)(application)
    panel.ready()
    assert panel.panel.shown
    assert "Outline" in panel.reasonLabel.text()
    # The old widgets are only hidden: their editor must not paint along.
    assert old.mrmlSegmentEditorNode() is None
    assert panel.segmentEditor.mrmlSegmentEditorNode() is not None


def test_runner_lets_go_of_the_scene(panel):
    from SegToolkitGui.fewshot.Runner import Runner

    runner = Runner(panel.session)
    runner.shutDown()
    runner.shutDown()
    forgotten = []
    runner.session = type("Session", (), {"forgetVolumes": lambda self: forgotten.append(1)})()
    panel.application.closeScene()
    assert forgotten == []


def test_without_a_main_window_there_are_no_shortcuts(panel, monkeypatch):
    panel.panel.exit()
    with monkeypatch.context() as patched:
        patched.setattr(slicer.util, "mainWindow", lambda: None)
        panel.panel.enter()
        assert panel.segmentEditor._shortcuts == []
    panel.panel.enter()
    assert panel.segmentEditor._shortcuts


def test_quitting_during_a_run_leaves_nothing_behind(panel, patient):
    from SegToolkitGui.fewshot.Runner import Runner
    from SegToolkitGui.fewshot.Session import FewShotSession

    session = FewShotSession()
    runner = Runner(session)
    run = runner.start(panel.panel.query.settings())
    session.onQuit()  # the application tells the session first: it is older
    runner.shutDown()
    assert run.state.value == "cancelled"
    assert session._clients == {}
    assert session._folder is None
