"""The panel from its opening to a run that ended, with a stand-in for the worker."""

from __future__ import annotations


def test_an_empty_panel_says_what_to_do_first(panel):
    assert not panel.startButton.isEnabled()
    assert "Choose the folder of a data set" in panel.reasonLabel.text()
    assert panel.startButton.toolTip() == panel.reasonLabel.text()
    assert panel.methodCombo.count() == 2
    assert panel.methodCombo.currentText() == "ALPNet"
    assert not panel.followedFrame.isVisible()


def test_a_data_set_leads_to_start(panel, world, dataset):
    panel.choose(dataset)
    assert "data set é: MR, 40 images, 8 labelled, 32 unlabelled." in panel.datasetLabel.text()
    assert "liver, spleen" in panel.datasetLabel.text()
    assert "background" not in panel.datasetLabel.text()
    panel.wait(panel.startButton.isEnabled, what="Start")
    assert panel.runNameEdit.text().startswith("alpnet-quick-20")
    panel.startButton.click()
    panel.wait(lambda: world.asked("job_start"), what="the start")
    order = world.asked("job_start")[0]
    assert order["dataset"] == str(dataset)
    assert order["settings"]["optimiser"]["steps"] == 20
    name = order["name"]
    panel.wait(lambda: panel.jobs.followed.endswith(name), what="the run")
    panel.settle()
    assert panel.row(name)[2] == "starts"
    assert panel.followedFrame.isVisible()
    # The next run has another name.
    assert panel.runNameEdit.text() == f"{name}-2"


def test_the_nodes_of_the_charts_are_hidden_and_go_with_the_panel(panel):
    import slicer

    def charts():
        return slicer.util.getNodesByClass("vtkMRMLPlotChartNode")

    first = charts()
    assert first
    assert all(node.GetHideFromEditors() and not node.GetSaveWithScene() for node in first)
    panel.widget.onReload()
    assert len(charts()) == len(first)  # those of the new panel
    assert not [node for node in first if node.GetScene() is not None]
    panel.application.closeScene()
    assert len(charts()) == len(first)
