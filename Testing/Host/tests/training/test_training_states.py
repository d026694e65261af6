"""How a run in each state looks, and what can be done with it."""

from __future__ import annotations

import pytest

DISK = {"code": "write-failed", "text": "The disk is full.", "hint": "Free some space."}
BEST = {"metric": "dice", "value": 0.7912, "step": 40}
# state, what else is known, what the line says, buttons that can be pressed, buttons that cannot
ABOVE = ("stopButton", "keepButton", "killButton")
LOOKS = [
    ("new", {}, "Not started yet", (), ABOVE),
    (
        "waiting",
        {"reason": "Waits for liver-a, which uses cpu.", "position": 2},
        "Waits for liver-a",
        ("stopButton", "killButton", "moveUpButton", "moveDownButton"),
        ("keepButton", "resumeRunButton", "deleteRunButton"),
    ),
    (
        "waiting",
        {"reason": "Waits for liver-a, which uses cpu.", "position": 1},
        "Waits for liver-a",
        ("moveDownButton",),
        ("moveUpButton",),
    ),
    (
        "starting",
        {"reason": "Prepares: superpixels, 3 of 12."},
        "superpixels, 3 of 12",
        ("stopButton", "killButton"),
        ("keepButton", "deleteRunButton"),
    ),
    (
        "running",
        {"step": 50, "total": 100, "values": {"loss": 0.41234}, "best": BEST, "seconds_left": 3800},
        "Step 50 of 100, loss 0.412, best dice 0.791 (step 40), 63 min left.",
        ABOVE,
        ("moveUpButton", "resumeRunButton", "deleteRunButton", "useModelButton"),
    ),
    (
        "stopping",
        {"step": 50, "total": 100},
        "Stops after this step. Step 50 of 100.",
        ("killButton",),
        ("stopButton", "keepButton"),
    ),
    (
        "stopped",
        {"step": 50, "total": 100},
        "Stopped at step 50 of 100. Resume goes on",
        ("resumeRunButton", "deleteRunButton", "copyRunButton"),
        (*ABOVE, "useModelButton"),
    ),
    (
        "finished",
        {"step": 100, "total": 100, "best": BEST, "model": "/somewhere/result/model"},
        "Finished after step 100 of 100; best dice 0.791 (step 40). The model can be used.",
        ("useModelButton", "deleteRunButton", "copyRunButton"),
        (*ABOVE, "resumeRunButton"),
    ),
    (
        "finished",
        {"step": 30, "total": 100, "model": "/somewhere/result/model", "reason": "Finished early."},
        "Finished early after step 30 of 100. The model can be used.",
        ("useModelButton",),
        ("resumeRunButton",),
    ),
    (
        "failed",
        {"step": 12, "total": 100, "error": DISK},
        "The disk is full. Free some space.",
        ("resumeRunButton", "deleteRunButton"),
        (*ABOVE, "useModelButton"),
    ),
    (
        "interrupted",
        {"step": 70, "total": 100},
        "Interrupted at step 70 of 100: its process ended unexpectedly.",
        ("resumeRunButton", "deleteRunButton"),
        ABOVE,
    ),
]


@pytest.mark.parametrize(("state", "values", "line", "can", "cannot"), LOOKS)
def test_a_run_in_each_state(panel, world, state, values, line, can, cannot):
    world.run("one", state=state, **values)
    panel.polled()
    panel.wait(panel.followedFrame.isVisible, what="the run")
    panel.select("one")
    assert line in panel.stateLabel.text()
    assert panel.row("one")[0] == "one"
    for name in can:
        assert getattr(panel, name).isEnabled(), name
    for name in cannot:
        assert not getattr(panel, name).isEnabled(), name
        assert getattr(panel, name).toolTip(), name
    bar = state in ("waiting", "starting", "running", "stopping")
    assert panel.runProgressBar.isVisible() == bar
    if values.get("step") and bar:
        assert panel.runProgressBar.value() == values["step"]


def test_running_ones_come_first_then_the_queue_then_the_latest(panel, world):
    world.run("old", state="finished", updated=1_790_000_000)
    world.run("b", state="waiting", position=2)
    world.run("new", state="failed", updated=1_790_000_900)
    world.run("a", state="waiting", position=1)
    world.run("works", state="running")
    panel.polled()
    rows = [panel.runsTable.item(row, 0).text() for row in range(panel.runsTable.rowCount())]
    assert rows == ["works", "a", "b", "new", "old"]
    assert panel.runsSection.property("text") == "4. Runs (3 going on)"


def test_the_selection_stays_with_its_run_while_rows_move(panel, world):
    world.run("a", state="running")
    world.run("b", state="stopped")
    panel.polled()
    panel.select("b")
    world.run("b", state="running", updated=1_790_000_900)
    world.run("c", state="running", updated=1_790_000_950)
    panel.polled()
    assert panel.panel.runs.selected()["name"] == "b"


def test_what_runs_is_followed_or_else_what_was_trained_last(panel, world):
    world.run("old", state="finished", updated=1_790_000_000)
    world.run("yesterday", state="finished", updated=1_790_000_500)
    panel.polled()
    assert panel.stateLabel.text().startswith("yesterday")
    # Somebody looks at that one: a run that begins elsewhere does not push it aside.
    world.run("new", state="running", updated=1_790_000_900)
    panel.polled()
    assert panel.stateLabel.text().startswith("yesterday")
    panel.select("new")
    panel.showRunButton.click()
    panel.settle()
    assert panel.stateLabel.text().startswith("new")
    assert panel.runsTable.item(0, 0).font().bold()


def test_curves_and_pictures_come_with_the_events_and_go_on(panel, world, tmp_path):
    from PIL import Image

    folder = world.runs / "one"
    (folder / "pictures").mkdir(parents=True)
    Image.new("RGB", (40, 20), (200, 30, 30)).save(folder / "pictures" / "4.png")
    world.run("one", state="running", step=4, total=10)
    metrics = [{"t": "metric", "step": step, "loss": 1 / (step + 1)} for step in range(5)]
    shown = {"t": "validation", "step": 4, "dice": 0.5, "pictures": ["pictures/4.png"]}
    world.events("one", {"t": "start", "step": 0, "total": 10}, *metrics, shown)
    panel.polled()
    got: list[dict] = []
    panel.jobs.eventsArrived.connect(got.extend)
    panel.wait(lambda: panel.panel.running._pictures, what="the picture")
    assert panel.panel.running._pictures == [(4, str(folder / "pictures" / "4.png"))]
    assert panel.panel.running.curves.runNames == ["one"]
    world.run("one", state="running", step=6, total=10)
    world.events("one", {"t": "metric", "step": 5, "loss": 0.1})
    panel.polled()
    panel.wait(lambda: any(event.get("step") == 5 for event in got), what="the next event")
    # None twice, none left out.
    assert len(panel.jobs.events) == 8
    panel.jobs.eventsArrived.disconnect(got.extend)


def test_the_log_shows_the_end_of_the_files(panel, world):
    run = world.run("one", state="running")
    folder = world.runs / run["name"]
    (folder / "log.txt").write_text("\n".join(f"line {n}" for n in range(5000)), encoding="utf-8")
    (folder / "console.txt").write_bytes(b"Traceback: \xff broken text\n")
    panel.polled()
    assert panel.runLogView.toPlainText() == ""
    panel.runLogSection.setProperty("collapsed", False)
    panel.settle()
    text = panel.runLogView.toPlainText()
    assert "line 4999" in text
    assert "line 100\n" not in text
    assert "Traceback" in text
    panel.runLogSection.setProperty("collapsed", True)


def test_preparation_is_shown_before_the_first_step(panel, world):
    world.run("one", state="starting")
    world.events("one", {"t": "progress", "phase": "superpixels", "step": 3, "total": 12})
    panel.polled()
    panel.wait(lambda: "superpixels 3/12" in panel.stateLabel.text(), what="the preparation")
    assert (panel.runProgressBar.value(), panel.runProgressBar.maximum()) == (3, 12)
