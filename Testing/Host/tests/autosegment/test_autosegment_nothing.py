"""A volume in which no organ is found: told, counted in the table, and no empty segmentation in the scene."""

from __future__ import annotations

import pytest
import SegToolkitTestData as data
from autosegment_panel import BANDS


@pytest.fixture
def makeBlank(makeCt):
    """Makes CT volumes without organs."""
    import slicer

    def make(name="blank"):
        volume = makeCt(name)
        voxels = slicer.util.arrayFromVolume(volume)
        for low, high in BANDS.values():
            voxels[(voxels >= low) & (voxels <= high)] = 180
        slicer.util.arrayFromVolumeModified(volume)
        return volume

    return make


@pytest.fixture
def blank(panel, makeBlank):
    """A volume without organs, chosen in the panel."""
    volume = makeBlank()
    panel.choose(volume)
    return volume


def test_no_empty_segmentation_is_left(panel, blank):
    run = panel.apply()
    assert run.state.value == "done"
    assert panel.brought("Segmentation") == []
    assert (run.results[0].segmentationId, run.results[0].segmentIds) == ("", {})
    assert not panel.show3DButton.isEnabled()
    assert not panel.dicomSegButton.isEnabled()
    assert "Choose the reference" in panel.compareReasonLabel.text()


def test_it_is_said_with_what_the_worker_notes(panel, blank):
    panel.modeCombo.setCurrentIndex(panel.panel.currentModel()["modes"].index("quick"))
    panel.apply()
    told = panel.resultLabel.text()
    assert told.startswith("None of the organs was found in blank (")
    assert told.endswith("Computed on every second voxel.")
    assert "#c0392b" not in panel.resultLabel.styleSheet()  # it may well be true


def test_the_table_has_its_rows(panel, blank):
    panel.apply()
    assert not panel.tableSection.isHidden()
    assert panel.rows(panel.volumesTable) == [
        ["blank", organ, "0.000", ""] for organ in ("liver", "spleen", "gallbladder")
    ]


def test_undo_takes_table_and_map_back(panel, blank):
    panel.mapCheck().click()
    run = panel.apply()
    assert panel.brought("Table", "ScalarVolume") == ["blank volumes", "blank", "blank: Uncertainty"]
    assert run.results[0].mapIds["uncertainty"]
    assert panel.undoButton.isEnabled()
    panel.undoButton.click()
    panel.settle()
    assert panel.brought("Table", "ScalarVolume", "Segmentation") == ["blank"]
    assert not panel.undoButton.isEnabled()


def test_a_run_that_brought_nothing_leaves_the_last_one_to_be_undone(panel, volume, makeBlank):
    panel.apply()
    panel.volumesCheck.click()
    panel.choose(makeBlank())
    panel.apply()
    assert panel.brought("Segmentation") == ["patient segmentation"]
    panel.undoButton.click()
    panel.settle()
    assert panel.brought("Segmentation", "Table") == []


def test_a_table_that_was_deleted_is_not_undone(panel, volume, makeBlank):
    import slicer

    panel.apply()
    panel.choose(makeBlank())
    run = panel.apply()
    slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetNodeByID(run.tableId))
    panel.settle()
    panel.undoButton.click()  # so it is the first run's turn
    panel.settle()
    assert panel.brought("Segmentation", "Table") == []


@pytest.mark.parametrize("order", [("patient", "blank"), ("blank", "patient")])
def test_among_several_it_is_told_by_name_and_the_others_count(panel, makeCt, makeBlank, order):
    volumes = {"patient": makeCt(), "blank": makeBlank()}
    run = panel.logic.process([volumes[name] for name in order], model="abdomen")
    panel.settle()
    assert "2 volumes segmented" in panel.resultLabel.text()
    assert "None of the organs was found in blank." in panel.resultLabel.text()
    assert [bool(result.segmentationId) for result in run.results] == [name == "patient" for name in order]
    assert panel.brought("Segmentation") == ["patient segmentation"]
    assert panel.panel.running.resultNode().GetName() == "patient segmentation"
    assert panel.show3DButton.isEnabled()
    assert [row[0] for row in panel.rows(panel.volumesTable)] == [order[0]] * 3 + [order[1]] * 3
    assert panel.logic.undo()
    assert panel.brought("Segmentation", "Table") == []


def test_cancelling_leaves_nothing(panel, blank):
    panel.mapCheck().click()
    run = panel.begin()
    run.stateChanged.connect(lambda now: run.cancel() if now.value == "importing" else None)
    panel.over(run)
    assert run.state.value == "cancelled"
    assert panel.brought("Segmentation", "Table", "ScalarVolume") == ["blank"]
    assert not panel.undoButton.isEnabled()


@pytest.mark.parametrize("mode", ["replace", "add", "merge"])
def test_a_chosen_segmentation_stays(panel, blank, mode):
    output, ids = data.outline(blank, ("large organ",))
    run = panel.logic.process(blank, model="abdomen", outputSegmentation=output, outputMode=mode)
    assert run.results[0].segmentationId == output.GetID()
    assert list(output.GetSegmentation().GetSegmentIDs()) == list(ids.values())
    assert data.maskOf(output, ids["large organ"], blank).any()
    panel.settle()
    assert "None of the organs was found in blank" in panel.resultLabel.text()


def test_the_logic_answers_and_undoes(panel, makeBlank):
    run = panel.logic.process(makeBlank(), model="abdomen")
    assert run.results[0].segmentationId == ""
    assert [row["ml"] for row in run.results[0].rows] == [0, 0, 0]
    assert panel.logic.undo() == "Undone: blank volumes."
    assert panel.brought("Segmentation", "Table") == []
