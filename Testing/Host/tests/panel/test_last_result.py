"""The last result: whose scene it belongs to, and what does not hide it."""

from __future__ import annotations

import SegToolkitTestData as data


def test_a_new_scene_knows_nothing_of_the_last_result(panel, patient):
    import slicer

    panel.apply()
    panel.preview()
    assert panel.show3DButton.isEnabled()  # of the result: the preview does not count
    assert panel.nextSliceButton.isEnabled()
    panel.application.closeScene()
    data.outline(data.makeVolume("another"))  # under the IDs of the old ones
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "another")
    panel.settle()
    assert not panel.show3DButton.isEnabled()
    assert not panel.nextSliceButton.isEnabled()


def test_terms_of_a_run_that_was_cancelled_are_looked_up_again(panel, patient):
    from PySide6.QtWidgets import QMessageBox

    from host import modal

    model = panel.session.model(panel.panel.modelName())
    model["licence"] = {**model["licence"], "permissive": False, "accepted": False}
    panel.settle()
    with modal.answering(lambda *_: QMessageBox.StandardButton.Ok.value):
        panel.applyButton.click()
    run = panel.runner.run
    assert run.settings.acceptLicence
    run.cancel()
    assert not model["licence"]["accepted"]
    panel.wait(lambda: panel.session.model(model["name"]) is not model, what="the worker's word")
