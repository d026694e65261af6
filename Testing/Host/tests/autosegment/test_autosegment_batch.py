"""Many volumes in one run: of the scene, and of the DICOM database."""

from __future__ import annotations

import os
import sys
import types

import pytest
import SegToolkitTestData as data
from dicom_database import Database


def tick(panel, *volumes):
    """Tick volumes under "And these"."""
    from PySide6.QtCore import Qt

    for volume in volumes:
        panel.moreSelector.setCheckState(volume, Qt.CheckState.Checked)
    panel.settle()


def segmentations():
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_each_volume_gets_its_own_segmentation_and_one_table(panel, volume, makeCt):
    second = makeCt("second", seed=1)
    tick(panel, second)
    assert not panel.outputSelector.isEnabled()
    assert panel.applyButton.text() == "Apply to 2 volumes"
    run = panel.apply()
    assert [one.GetName() for one in segmentations()] == ["patient segmentation", "second segmentation"]
    assert [row[:2] for row in panel.rows(panel.volumesTable)] == [
        [name, organ] for name in ("patient", "second") for organ in ("liver", "spleen", "gallbladder")
    ]
    assert "2 volumes segmented" in panel.resultLabel.text()
    panel.undoButton.click()
    assert not segmentations()
    assert run.tableId


def test_an_output_that_was_chosen_is_not_written_to_by_several(panel, volume, makeCt):
    first = panel.segmentation(panel.apply())
    panel.outputSelector.setCurrentNode(first)
    panel.settle()
    tick(panel, makeCt("second"))
    panel.apply()
    assert first.GetSegmentation().GetNumberOfSegments() == 2
    assert len(segmentations()) == 3


def test_one_failure_does_not_end_the_run(panel, volume, makeCt):
    wrong = data.makeVolume("not a CT")  # no air: refused
    tick(panel, wrong, makeCt("second"))
    run = panel.apply()
    assert run.state.value == "done"
    assert [name for name, _error in run.failures] == ["not a CT"]
    assert len(run.results) == 2
    assert "not a CT failed: not a CT is said to be CT" in panel.resultLabel.text()
    assert "#c0392b" in panel.resultLabel.styleSheet()


def test_a_run_that_found_nothing_usable_has_failed(panel, makeCt):
    wrong = [data.makeVolume(name) for name in ("one", "two")]
    panel.choose(wrong[0])
    tick(panel, wrong[1])
    run = panel.apply()
    assert run.state.value == "failed"
    assert "said to be CT" in panel.resultLabel.text()
    assert not panel.undoButton.isEnabled()


@pytest.mark.parametrize("device", ["cuda:7", "typing mistake"])
def test_a_failure_that_all_would_meet_ends_the_run(panel, volume, makeCt, device):
    tick(panel, makeCt("second"))
    settings = panel.panel.settings()
    settings.device = device
    run = panel.over(panel.logic.start(settings))
    assert run.state.value == "failed"
    assert run.failures == []


@pytest.mark.parametrize("victim", [0, 1])
def test_a_volume_that_is_deleted_meanwhile_is_left_out(panel, makeCt, victim):
    import slicer

    volumes = [makeCt(name) for name in ("one", "two", "three")]
    panel.choose(volumes[0], "slow")
    tick(panel, *volumes[1:])
    run = panel.begin()
    panel.wait(lambda: run.state.value == "running", what="the first volume")
    slicer.mrmlScene.RemoveNode(volumes[victim])
    panel.over(run)
    assert len(run.failures) == 1
    assert [slicer.mrmlScene.GetNodeByID(one.volumeId).GetName() for one in run.results] == [
        name for number, name in enumerate(("one", "two", "three")) if number != victim
    ]


def test_a_finished_volume_may_be_deleted(panel, makeCt):
    import slicer

    volumes = [makeCt(name) for name in ("one", "two")]
    panel.choose(volumes[0], "slow")
    tick(panel, volumes[1])
    run = panel.begin()
    panel.wait(lambda: run.results, what="the first volume")
    slicer.mrmlScene.RemoveNode(volumes[0])
    panel.over(run)
    assert run.failures == []
    assert [row[0] for row in panel.rows(panel.volumesTable)] == ["one"] * 3 + ["two"] * 3


def test_files_of_a_long_list_do_not_pile_up(panel, volume, makeCt):
    tick(panel, makeCt("second"), makeCt("third"))
    panel.apply()
    assert list((panel.session.folder / "volumes").glob("*")) == []


def test_cancelling_keeps_what_is_finished(panel, makeCt):
    volumes = [makeCt(name) for name in ("one", "two")]
    panel.choose(volumes[0], "slow")
    tick(panel, volumes[1])
    run = panel.begin()
    panel.wait(lambda: run.results and run.state.value == "running", what="the second volume")
    panel.panel.running.strip.cancelButton.click()
    panel.over(run)
    assert run.state.value == "cancelled"
    assert [one.GetName() for one in segmentations()] == ["one segmentation"]
    assert "Volumes that were finished are kept" in panel.resultLabel.text()
    panel.undoButton.click()
    assert not segmentations()


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_a_worker_that_dies_costs_one_volume(panel, makeCt):
    volumes = [makeCt(name) for name in ("one", "two")]
    panel.choose(volumes[0], "slow")
    tick(panel, volumes[1])
    run = panel.begin()
    panel.wait(lambda: run.state.value == "running" and panel.session.client.pid, what="the worker")
    panel.application.processEvents(0.3)
    os.kill(panel.session.client.pid, 9)
    panel.over(run)
    assert [error.code for _name, error in run.failures] == ["worker-died"]
    assert len(run.results) == 1


# The DICOM database


@pytest.fixture
def database(panel, makeCt, monkeypatch):
    """An open database; its reader puts volumes under patient and study. The list of what was loaded."""
    import slicer

    loaded = []

    def load(uids):
        (uid,) = uids
        loaded.append(uid)
        if uid == "1.1.2":
            return []
        node = makeCt(f"volume {uid}")
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
        item = hierarchy.GetItemByDataNode(node)
        hierarchy.SetItemParent(item, study)
        hierarchy.SetItemUID(item, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName(), uid)
        return [node.GetID()]

    package = types.ModuleType("DICOMLib")
    package.DICOMUtils = types.SimpleNamespace(loadSeriesByUID=load)
    monkeypatch.setitem(sys.modules, "DICOMLib", package)
    monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
    panel.dicomSection.collapsed = False
    panel.settle()
    yield loaded
    panel.dicomSearch.setText("")
    panel.panel.dicom._ticked.clear()
    panel.dicomSection.collapsed = True


def tickItem(item):
    from PySide6.QtCore import Qt

    item.setCheckState(0, Qt.CheckState.Checked)


def test_the_tree_shows_patients_with_images(panel, database):
    tree = panel.dicomTree
    assert [tree.topLevelItem(n).text(0) for n in range(tree.topLevelItemCount())] == [
        "Miller Anna, id1",
        "Smith Otto, id2",
    ]
    study = tree.topLevelItem(1).child(0)
    assert [study.child(n).text(0) for n in range(study.childCount())] == ["1, T2"]  # and no report
    assert [study.child(0).text(n) for n in (1, 2)] == ["MR", "12"]


def test_a_ticked_patient_is_loaded_and_segmented(panel, database):
    import slicer

    panel.chooseModel("abdomen")
    tickItem(panel.dicomTree.topLevelItem(1))
    panel.settle()
    assert "(1)" in panel.dicomSection.text()
    run = panel.apply()
    assert database == ["2.1.1"]
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    volume, result = (
        hierarchy.GetItemByDataNode(slicer.mrmlScene.GetNodeByID(one))
        for one in (run.results[0].volumeId, run.results[0].segmentationId)
    )
    assert hierarchy.GetItemParent(result) == hierarchy.GetItemParent(volume) != hierarchy.GetSceneItemID()
    panel.apply()  # it is there now: not loaded again
    assert database == ["2.1.1"]


def test_a_series_that_cannot_be_loaded_is_told_by_its_name(panel, database):
    panel.chooseModel("abdomen")
    tickItem(panel.dicomTree.topLevelItem(0))
    run = panel.apply()
    assert database == ["1.1.1", "1.1.2"]
    assert len(run.results) == 1
    assert "2, thick failed: The series 2, thick could not be loaded" in panel.resultLabel.text()


@pytest.mark.parametrize(
    ("words", "shown"), [("miller", ["1, thin", "2, thick"]), ("ct thick", ["2, thick"]), ("otto ct", [])]
)
def test_search_leaves_what_has_all_words(panel, database, words, shown):
    panel.dicomSearch.setText(words)
    tree = panel.dicomTree
    studies = [tree.topLevelItem(n).child(0) for n in range(2)]
    series = [study.child(n) for study in studies for n in range(study.childCount())]
    assert [one.text(0) for one in series if not one.isHidden()] == shown


def test_without_a_database_the_reason_is_told(panel):
    panel.dicomSection.collapsed = False
    panel.settle()
    assert "No DICOM database is open" in panel.dicomLabel.text()
    panel.dicomSection.collapsed = True


def test_what_left_the_database_is_no_longer_ticked(panel, database, monkeypatch):
    tickItem(panel.dicomTree.topLevelItem(1))
    monkeypatch.setattr(Database, "tree", {"1": Database.tree["1"]})
    panel.dicomRefreshButton.click()
    panel.settle()
    assert panel.panel.dicom.chosen() == []
