"""The logic as scripts use it, without the panel."""

from __future__ import annotations

import numpy as np
import pytest
import SegToolkitTestData as data


def test_process_gives_what_was_asked_for(panel, makeCt):
    import slicer

    events = []
    run = panel.logic.process(
        makeCt(),
        model="abdomen",
        organs=["spleen"],
        mode="quick",
        uncertainty=True,
        eventCallback=events.append,
    )
    result = run.results[0]
    assert list(result.segmentIds) == ["spleen"]
    assert slicer.mrmlScene.GetNodeByID(result.mapIds["uncertainty"]) is not None
    assert "coarse" in result.seconds
    assert {event["t"] for event in events} == {"progress", "log"}
    assert "Undone" in panel.logic.undo()


def test_process_takes_label_values_and_folders(panel, makeCt):
    folder = panel.session.model("abdomen")["folder"]
    run = panel.logic.process(makeCt(), model=folder, organs=[2], volumesTable=False)
    assert list(run.results[0].segmentIds) == ["spleen"]
    assert run.tableId == ""


def test_process_takes_numpys_numbers(panel, makeCt):
    run = panel.logic.process(makeCt(), model="abdomen", organs=np.array([2]))
    assert list(run.results[0].segmentIds) == ["spleen"]


def test_process_looks_the_models_up_itself(panel, makeCt):
    panel.session.models = []
    run = panel.logic.process(makeCt(), model="abdomen", organs="liver")
    assert list(run.results[0].segmentIds) == ["liver"]


def test_process_writes_into_a_segmentation(panel, makeCt):
    volume = makeCt()
    output, ids = data.outline(volume, ("large organ",))
    run = panel.logic.process(volume, model="abdomen", outputSegmentation=output)
    assert run.results[0].segmentationId == output.GetID()
    names = [output.GetSegmentation().GetNthSegment(n).GetName() for n in range(3)]
    assert names == ["large organ", "liver", "spleen"]
    assert data.maskOf(output, ids["large organ"], volume).any()


def test_process_can_return_at_once(panel, makeCt):
    ended = []
    run = panel.logic.process(makeCt(), model="abdomen", waitForCompletion=False)
    run.finished.connect(ended.append)
    assert not run.over
    panel.over(run)
    assert ended == [run]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ({}, "cannot-run", "Choose a volume"),
        ({"inputVolume": "volume"}, "bad-argument", "inputVolume must be"),
        ({"organs": [1.5]}, "bad-argument", "organs must be"),
        ({"organs": []}, "cannot-run", "Tick at least one organ"),
        ({"organs": "heart"}, "unknown-organ", "does not find 'heart'"),
        ({"mode": "best"}, "cannot-run", "no mode 'best'"),
        ({"model": "nothing"}, "unknown-model", "nothing"),
        ({"maps": [1]}, "bad-argument", "maps must be"),
        ({"maps": "glory"}, "no-map", "It makes: uncertainty, darkness"),
        ({"outputSegmentation": 3}, "bad-argument", "outputSegmentation must be"),
        ({"outputMode": "merge"}, "cannot-run", "'merge' needs a segmentation"),
        ({"outputMode": "mix"}, "cannot-run", "no output mode 'mix'"),
        ({"series": [3]}, "bad-argument", "series must be"),
        ({"series": "1.2.3"}, "cannot-run", "No DICOM database is open"),
        ({"eventCallback": 3}, "bad-argument", "eventCallback must be"),
        ({"model": "with-terms"}, "licence-not-accepted", "terms"),
        ({"model": "failing"}, "too-dark", "too dark"),
    ],
)
def test_mistakes_are_told(panel, makeCt, arguments, code, told):
    from SegToolkitGui.Errors import UserError

    given = {"inputVolume": makeCt(), "model": "abdomen", **arguments} if arguments else {}
    if code == "licence-not-accepted" and panel.session.model("with-terms")["licence"]["accepted"]:
        pytest.skip("accepted by another test")
    with pytest.raises(UserError) as error:
        panel.logic.process(**given)
    assert error.value.code == code
    assert told in str(error.value)


def test_two_runs_at_once_are_refused(panel, makeCt):
    from SegToolkitGui.Errors import UserError

    volume = makeCt()
    run = panel.logic.process(volume, model="slow", waitForCompletion=False)
    with pytest.raises(UserError, match="A run is under way"):
        panel.logic.process(volume, model="abdomen")
    run.cancel()


def test_compare_gives_rows(panel, makeCt):
    volume = makeCt()
    pair = [data.outline(volume, ("large organ",))[0] for _twice in range(2)]
    run = panel.logic.compare(*pair, toleranceMm=1)
    assert [(row["name"], row["dsc"], row["nsd"]) for row in run.rows] == [("large organ", 1.0, 1.0)]


@pytest.mark.parametrize("wrong", [{"toleranceMm": "wide"}, {"toleranceMm": -1}, {"volume": 3}])
def test_mistakes_in_a_comparison_are_told(panel, makeCt, wrong):
    from SegToolkitGui.Errors import UserError

    volume = makeCt()
    pair = [data.outline(volume)[0] for _twice in range(2)]
    with pytest.raises(UserError):
        panel.logic.compare(*pair, **wrong)


def test_models_are_listed(panel):
    panel.session.models = []
    assert "abdomen" in [one["name"] for one in panel.logic.models()]
