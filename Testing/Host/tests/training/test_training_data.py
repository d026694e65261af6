"""Section 1: a data set is chosen, checked, collected from the scene."""

from __future__ import annotations

import json

import pytest
import slicer

ERROR = {"severity": "error", "case": "case_03", "code": "geometry", "text": "The label lies elsewhere."}
WARNING = {"severity": "warning", "case": "case_07", "code": "spacing", "text": "Slices are far apart."}


def facts(**changes):
    known = {"name": "Abdomen", "modality": "MR", "images": 3, "labelled": 1, "unlabelled": 2}
    return {**known, "labels": {"liver": 1}, "folds": 5, "problems": [], **changes}


def test_errors_block_start_and_come_first(panel, world, dataset):
    world.set("answers", "dataset_check", facts(problems=[WARNING, ERROR]))
    panel.choose(dataset)
    assert panel.problemTable.item(0, 0).text() == "Error"
    assert panel.problemTable.item(1, 1).text() == "case_07"
    assert not panel.startButton.isEnabled()
    assert "case_03: The label lies elsewhere." in panel.reasonLabel.text()


def test_paths_in_the_data_set_are_told_without_its_folder(panel, world, dataset):
    problem = {**ERROR, "text": f"{dataset}/labelsTr/a.nii.gz is damaged."}
    world.set("answers", "dataset_check", facts(problems=[problem]))
    panel.choose(dataset)
    assert panel.problemTable.item(0, 2).text() == "labelsTr/a.nii.gz is damaged."


def test_warnings_do_not_block_start(panel, world, dataset):
    world.set("answers", "dataset_check", facts(problems=[WARNING]))
    panel.choose(dataset)
    assert panel.problemTable.isVisible()
    panel.wait(panel.startButton.isEnabled, what="Start")


def test_mended_data_are_checked_again(panel, world, dataset):
    world.set("answers", "dataset_check", facts(problems=[ERROR]))
    panel.choose(dataset)
    world.set("answers", "dataset_check", facts())
    panel.recheckButton.click()
    panel.wait(panel.startButton.isEnabled, what="Start")
    assert not panel.problemTable.isVisible()
    assert "No problem was found." in panel.datasetLabel.text()


def test_a_folder_that_is_not_there_is_told_without_asking(panel, world, tmp_path):
    panel.choose(tmp_path / "nowhere")
    assert "There is no folder" in panel.reasonLabel.text()
    assert not world.asked("dataset_check")


def volumes(panel, folder):
    """Type the folder of the volumes."""
    panel.volumesFolderEdit.setText(str(folder))
    panel.volumesFolderEdit.editingFinished.emit()
    panel.settle()


def test_a_folder_of_volumes_that_is_not_there_is_told(panel, world, dataset, tmp_path):
    panel.choose(dataset)
    volumes(panel, tmp_path / "unplugged")
    assert f"There is no folder {tmp_path / 'unplugged'}" in panel.reasonLabel.text()
    volumes(panel, "")
    panel.wait(panel.startButton.isEnabled, what="Start")
    assert "40 images" in panel.datasetLabel.text()


def test_another_data_set_has_its_volumes_in_place_again(panel, world, dataset, tmp_path):
    from host import modal

    panel.choose(dataset)
    with modal.answering(lambda *_: str(tmp_path)):
        panel.volumesFolderButton.click()
    panel.settle()
    assert panel.volumesFolderEdit.text() == str(tmp_path)
    panel.choose(dataset)  # the same one once more
    assert panel.volumesFolderEdit.text() == str(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    panel.choose(other)
    assert panel.volumesFolderEdit.text() == ""


def test_what_the_worker_says_of_a_folder_is_shown(panel, world, tmp_path):
    told = {"code": "no-description", "text": "There is no dataset.json.", "hint": "Choose another folder."}
    world.set("errors", "dataset_check", told)
    panel.choose(tmp_path)
    assert "There is no dataset.json. Choose another folder." in panel.datasetLabel.text()
    assert not panel.startButton.isEnabled()


def test_a_check_can_be_cancelled_and_begun_again(panel, world, dataset):
    world.set("seconds", "dataset_check", 30)
    panel.datasetCombo.setEditText(str(dataset))
    panel.datasetCombo.lineEdit().editingFinished.emit()
    panel.wait(lambda: panel.checkProgressBar.isVisible() and panel.checkProgressBar.maximum() == 600)
    panel.cancelCheckButton.click()
    panel.settle()
    assert not panel.checkFrame.isVisible()
    assert "cancelled" in panel.reasonLabel.text()
    world.set("seconds", "dataset_check", 0)
    panel.recheckButton.click()
    panel.wait(panel.startButton.isEnabled, what="Start")


def test_another_folder_ends_the_check_of_the_first(panel, world, dataset, tmp_path):
    world.set("seconds", "dataset_check", 30)
    panel.datasetCombo.setEditText(str(dataset))
    panel.datasetCombo.lineEdit().editingFinished.emit()
    panel.wait(lambda: world.asked("dataset_check"), what="the first check")
    world.set("seconds", "dataset_check", 0)
    other = tmp_path / "other"
    other.mkdir()
    panel.choose(other)
    assert panel.datasetLabel.text().startswith("other:")


def test_polls_go_on_while_a_check_takes_its_time(panel, world, dataset):
    world.set("seconds", "dataset_check", 30)
    panel.datasetCombo.setEditText(str(dataset))
    panel.datasetCombo.lineEdit().editingFinished.emit()
    panel.wait(lambda: world.asked("dataset_check"), what="the check")
    world.run("one", state="running", step=1, total=2)
    panel.wait(lambda: panel.runsTable.rowCount() == 1, 4, "the list of runs")
    panel.cancelCheckButton.click()


def test_folders_used_lately_are_offered_and_the_scene_keeps_its_own(panel, dataset, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    panel.choose(dataset)
    panel.choose(other)
    items = [panel.datasetCombo.itemText(row) for row in range(panel.datasetCombo.count())]
    assert items == [str(other), str(dataset)]
    panel.application.closeScene()
    panel.settle()
    assert panel.datasetCombo.currentText() == ""
    assert "Choose the folder" in panel.reasonLabel.text()


def test_the_fold_goes_into_the_settings(panel, world, dataset):
    panel.choose(dataset)
    texts = [panel.foldCombo.itemText(row) for row in range(panel.foldCombo.count())]
    assert texts == ["nothing: train on every case", *(f"fold {n} of 5" for n in range(1, 6))]
    assert panel.foldCombo.currentIndex() == 1
    for index, fold in ((3, 2), (0, None)):
        panel.foldCombo.setCurrentIndex(index)
        panel.settle()
        assert panel.panel.plan.values()["data"]["fold"] == fold
        assert panel.foldCombo.currentIndex() == index
    # Chosen in section 1, so it is no setting that differs.
    assert panel.settingsSection.property("text") == "Settings"
    panel.presetCombo.setCurrentIndex(1)
    panel.settle()
    assert panel.panel.plan.values()["data"]["fold"] is None


def test_a_method_without_folds_offers_none(panel, dataset):
    panel.choose(dataset)
    panel.methodCombo.setCurrentIndex(1)
    panel.settle()
    assert not panel.foldCombo.isVisible()


def test_the_choice_is_saved_with_the_scene(panel, dataset, tmp_path):
    panel.choose(dataset)
    panel.foldCombo.setCurrentIndex(3)
    panel.settle()
    path = str(tmp_path / "scene.mrml")
    assert slicer.util.saveScene(path)
    panel.application.closeScene()
    panel.settle()
    slicer.util.loadScene(path)
    panel.settle()
    assert panel.datasetCombo.currentText() == str(dataset)
    assert panel.panel.plan.values()["data"]["fold"] == 2


# Collecting


@pytest.fixture
def patients(panel):
    """Two volumes, one of them outlined, both ticked."""
    import SegToolkitTestData as data
    from PySide6.QtCore import Qt

    volumes = [data.makeVolume("one"), data.makeVolume("two", seed=1)]
    segmentation, _ids = data.outline(volumes[0], ("large organ", "small organ"))
    for node in volumes:
        panel.collectVolumesSelector.setCheckState(node, Qt.CheckState.Checked)
    panel.collectSegmentationsSelector.setCheckState(segmentation, Qt.CheckState.Checked)
    panel.settle()
    return volumes, segmentation


def name(panel, folder, title="Made up"):
    panel.collectFolderEdit.setText(str(folder))
    panel.collectFolderEdit.textEdited.emit(str(folder))
    panel.collectNameEdit.setText(title)
    panel.collectNameEdit.textEdited.emit(title)
    panel.settle()


def test_reasons_lead_to_collect_step_by_step(panel, patients, tmp_path):
    assert "Choose a folder" in panel.collectLabel.text()
    name(panel, tmp_path / "new", "")
    assert "a name" in panel.collectLabel.text()
    assert not panel.collectButton.isEnabled()
    name(panel, tmp_path / "new")
    assert panel.collectLabel.text() == "2 cases, 1 of them labelled."
    assert panel.collectButton.isEnabled()


def test_the_scene_becomes_a_data_set(panel, world, patients, tmp_path):
    name(panel, tmp_path / "new")
    panel.collectModalityCombo.setCurrentIndex(1)
    panel.collectButton.click()
    panel.wait(lambda: not panel.panel.collect.busy, what="the data set")
    order = world.asked("dataset_add")[0]
    assert (order["name"], order["modality"], order["append"]) == ("Made up", "CT", False)
    masks = [item["mask"] for item in order["items"]]
    assert sum(mask is not None for mask in masks) == 1
    structures = next(item["structures"] for item in order["items"] if item["mask"])
    assert sorted(one["name"] for one in structures.values()) == ["large organ", "small organ"]
    panel.settle()
    assert "has 2 cases" in panel.collectLabel.text()
    assert panel.datasetCombo.currentText() == str(tmp_path / "new")
    panel.wait(lambda: world.asked("dataset_check"), what="the check")
    # What crossed over to the worker does not stay behind.
    assert not list((panel.session.folder / "collect").glob("*"))


def test_a_folder_with_a_data_set_is_added_to(panel, world, patients, dataset):
    (dataset / "imagesTr").mkdir()
    (dataset / "imagesTr" / "patient-1_0000.nii.gz").write_bytes(b"")
    name(panel, dataset)
    assert panel.collectButton.text() == "Add to the data set"
    assert not panel.collectModalityCombo.isEnabled()
    panel.collectButton.click()
    panel.wait(lambda: world.asked("dataset_add"), what="the request")
    order = world.asked("dataset_add")[0]
    assert order["append"] is True
    assert "modality" not in order
    assert "patient-1" not in {item["case"] for item in order["items"]}


def test_the_scene_can_be_closed_while_volumes_are_collected(panel, world, patients, tmp_path):
    name(panel, tmp_path / "new")
    panel.collectButton.click()
    panel.application.closeScene()
    panel.settle()
    assert not panel.panel.collect.busy
    assert "The scene was closed" in panel.messageLabel.text()
    assert not world.asked("dataset_add")


def test_collecting_can_be_cancelled(panel, world, patients, tmp_path):
    world.set("seconds", "dataset_add", 30)
    name(panel, tmp_path / "new")
    panel.collectButton.click()
    panel.wait(lambda: world.asked("dataset_add"), what="the request")
    panel.wait(panel.cancelCollectButton.isEnabled, what="Cancel")
    panel.cancelCollectButton.click()
    panel.settle()
    assert not panel.panel.collect.busy
    assert "Cancelled" in panel.collectLabel.text()
    assert panel.collectButton.isEnabled() is False or panel.collectLabel.text()


def test_what_fails_while_collecting_is_told(panel, world, patients, tmp_path):
    told = {"code": "write-failed", "text": "The disk is read-only.", "hint": "Choose another folder."}
    world.set("errors", "dataset_add", told)
    name(panel, tmp_path / "new")
    panel.collectButton.click()
    panel.wait(lambda: not panel.panel.collect.busy, what="the end")
    panel.settle()
    assert "The disk is read-only. Choose another folder." in panel.messageLabel.text()
    assert json.dumps(world.asked("dataset_add")[0]["items"])


def test_a_fault_of_ours_while_collecting_is_told_and_nothing_stays_locked(
    panel, patients, tmp_path, monkeypatch
):
    def broken(*_arguments, **_more):
        yield "reading", 0, 2
        raise ValueError("a fault")

    monkeypatch.setattr("SegToolkitGui.training.SceneCollect.collect", broken)
    name(panel, tmp_path / "new")
    panel.collectButton.click()
    panel.wait(lambda: not panel.panel.collect.busy, what="the end")
    panel.settle()
    assert "failed unexpectedly (ValueError: a fault)" in panel.messageLabel.text()
    assert panel.collectVolumesSelector.isEnabled()
    assert not panel.cancelCollectButton.isEnabled()


def test_a_check_that_a_later_one_replaced_says_nothing(panel, world, dataset):
    """A collection goes before the check of its folder, which is begun anew when the collection is done."""
    world.set("seconds", "add_model", 0.5)
    panel.session.slow.ask(
        "model", "add_model", {"path": "/runs/one/result/model"}, None, lambda *_told: None
    )
    panel.datasetCombo.setEditText(str(dataset))
    panel.datasetCombo.lineEdit().editingFinished.emit()
    panel.settle()
    assert panel.panel.data.checking
    panel.panel.data.check()  # the same folder, while the first check waits
    panel.wait(panel.startButton.isEnabled, what="Start")
    assert panel.panel.data.error is None
    assert "40 images" in panel.datasetLabel.text()


def test_a_check_that_was_cancelled_can_be_made_again(panel, world, dataset):
    world.set("seconds", "dataset_check", 5)
    panel.datasetCombo.setEditText(str(dataset))
    panel.datasetCombo.lineEdit().editingFinished.emit()
    panel.wait(lambda: world.asked("dataset_check"), what="the check")
    panel.settle()
    panel.cancelCheckButton.click()
    panel.settle()
    assert "was cancelled" in panel.datasetLabel.text()
    world.set("seconds", "dataset_check", 0)
    panel.recheckButton.click()
    panel.wait(panel.startButton.isEnabled, what="Start")
    assert "cancelled" not in panel.datasetLabel.text()
