"""Training without the panel."""

from __future__ import annotations

import pytest


@pytest.fixture
def hidden(panel):
    """Another module is shown."""
    panel.widget.exit()
    yield panel
    panel.widget.enter()


def test_a_run_from_a_script(hidden, world, dataset):
    changes = {"optimiser.steps": 7, "data": {"fold": None}}
    run = hidden.logic.startTraining(dataset, settings=changes, name="mine", device="cpu")
    assert run.state == "starting"
    hidden.wait(lambda: run.folder, what="the run")
    order = world.asked("job_start")[0]
    assert order["settings"]["optimiser"] == {"steps": 7, "learning_rate": 0.001}
    assert order["settings"]["data"]["fold"] is None
    assert (order["name"], order["device"], order["method"]) == ("mine", "cpu", "alpnet")
    told: list[str] = []
    run.stateChanged.connect(lambda one: told.append(one.state))
    world.run("mine", state="finished", step=7, total=7, model="/m")
    assert run.wait() is run
    assert (run.state, run.model, told) == ("finished", "/m", ["finished"])
    assert [one["name"] for one in hidden.logic.runs()] == ["mine"]


def test_a_script_says_where_the_volumes_lie(hidden, world, dataset, tmp_path):
    run = hidden.logic.startTraining(dataset, data=tmp_path)
    hidden.wait(lambda: run.folder, what="the run")
    assert world.asked("job_start")[0]["data"] == str(tmp_path)


def test_waiting_can_be_limited(hidden, dataset):
    run = hidden.logic.startTraining(dataset)
    run.wait(0.3)
    assert not run.over


def test_a_name_that_is_taken_gets_a_number(hidden, world, dataset):
    world.run("mine", state="finished")
    run = hidden.logic.startTraining(dataset, name="mine")
    hidden.wait(lambda: run.folder, what="the run")
    assert run.name == "mine-2"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"method": "none"}, "There is no method 'none'"),
        ({"preset": "none"}, "alpnet has no preset 'none'"),
        ({"dataset": "/no/such/folder"}, "is no longer there"),
        ({"data": "/no/such/folder"}, "is not there"),
        ({"name": "a/b"}, "cannot be used"),
    ],
)
def test_mistakes_are_told_in_sentences(hidden, dataset, arguments, told):
    from SegToolkitGui.Errors import UserError

    run = hidden.logic.startTraining(**{"dataset": dataset, **arguments})
    with pytest.raises(UserError, match=told):
        run.wait(10)
    assert run.over


def test_a_failed_training_is_told(hidden, world, dataset):
    from SegToolkitGui.Errors import UserError

    run = hidden.logic.startTraining(dataset, name="mine")
    hidden.wait(lambda: run.folder, what="the run")
    world.run("mine", state="failed", error={"code": "disk", "text": "The disk is full.", "hint": ""})
    with pytest.raises(UserError, match=r"The disk is full."):
        run.wait()


@pytest.mark.parametrize(("keep", "early"), [(False, False), (True, False), (True, True)])
def test_a_run_can_be_stopped(hidden, world, dataset, keep, early):
    run = hidden.logic.startTraining(dataset, name="mine")
    if not early:
        hidden.wait(lambda: run.folder, what="the run")
    run.stop(keep)
    hidden.wait(lambda: world.asked("job_stop"), what="the stop")
    assert world.asked("job_stop")[0]["keep"] is keep
    world.run("mine", state="finished" if keep else "stopped")
    assert run.wait().state == ("finished" if keep else "stopped")


def test_a_run_that_is_deleted_elsewhere_is_over(hidden, world, dataset):
    run = hidden.logic.startTraining(dataset, name="mine")
    hidden.wait(lambda: run.folder, what="the run")
    world.read()
    world.facts["jobs"] = []
    world.write()
    assert run.wait(15).state == "deleted"
