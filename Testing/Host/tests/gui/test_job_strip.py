"""The strip at the bottom of the panels."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QVBoxLayout, QWidget

from SegToolkitGui.JobStrip import JobStrip, RemainingTime, asClock

DEVICES = [
    {"id": "auto", "name": "Automatic (CPU, 2 cores)", "memory_gb": None},
    {"id": "cpu", "name": "CPU", "memory_gb": None},
    {"id": "cuda:0", "name": "NVIDIA H100", "memory_gb": 79.2},
]


@pytest.fixture
def panel(application) -> QWidget:
    panel = QWidget()
    panel.setLayout(QVBoxLayout())
    return panel


@pytest.fixture
def strip(panel) -> JobStrip:
    strip = JobStrip(panel.layout())
    yield strip
    strip.cleanup()


def test_devices_are_offered_and_a_choice_is_kept(strip) -> None:
    got: list[str] = []
    strip.deviceChanged.connect(got.append)
    assert strip.device == "auto"
    strip.setDevices(DEVICES)
    combo = strip.deviceComboBox
    assert [combo.itemText(row) for row in range(combo.count())][2] == "NVIDIA H100, 79 GB"
    strip.device = "cuda:0"
    assert strip.device == "cuda:0"
    strip.setDevices(list(reversed(DEVICES)))
    assert strip.device == "cuda:0"
    strip.setDevices(DEVICES[:2])
    assert strip.device == "auto"
    strip.device = "no such device"
    assert strip.device == "auto"
    strip.setDevices([])
    assert strip.device == "auto"
    assert got == []
    strip.setDevices(DEVICES)
    combo.setCurrentIndex(1)
    assert got == ["cpu"]


# name: (device can be chosen, Cancel can be pressed, bar is live)
LOOKS = {
    "idle": (True, False, False),
    "installing": (False, False, True),
    "preparing": (False, True, True),
    "running": (False, True, True),
    "importing": (False, True, True),
    "cancelling": (False, False, True),
    "cancelled": (True, False, False),
    "failed": (True, False, False),
    "done": (True, False, True),
}


@pytest.mark.parametrize("name", LOOKS)
def test_each_state_has_its_look(strip, name) -> None:
    strip.setState("running", "Running.")
    strip.setState(name, "A sentence with <b>, 50 % of it.")
    device, cancel, bar = LOOKS[name]
    assert strip.state == name
    assert strip.stateLabel.text() == "A sentence with <b>, 50 % of it."
    assert strip.deviceComboBox.isEnabled() == device
    assert strip.cancelButton.isEnabled() == cancel
    assert strip.progressBar.isEnabled() == bar
    assert strip.iconLabel.isHidden() == (name == "idle")


def test_all_states_of_a_run_are_known() -> None:
    source = Path(__file__).parents[4] / "SegToolkit" / "SegToolkitGui" / "run" / "States.py"
    import importlib.util

    spec = importlib.util.spec_from_file_location("States", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert {state.value for state in module.State} <= set(JobStrip.STATES)
    assert all(JobStrip.STATES[state.value][1] == state.busy for state in module.State)


def test_an_unknown_state_is_refused(strip) -> None:
    with pytest.raises(KeyError):
        strip.setState("dreaming", "")


def test_progress_shows_steps_and_their_phase(strip) -> None:
    strip.setState("running", "Running.")
    bar = strip.progressBar
    assert (bar.minimum(), bar.maximum()) == (0, 0)
    strip.setProgress("segmenting", 31, 60)
    assert (bar.value(), bar.maximum(), bar.text()) == (31, 60, "segmenting 31/60")
    strip.setProgress("100% sure", 70, 60)
    assert (bar.value(), bar.text()) == (60, "100% sure 60/60")
    strip.setProgress("loading model", 0, 0)
    assert bar.maximum() == 0
    strip.setProgress("coarse", 0, 1)  # one step, of which nobody knows how far it is
    assert (bar.maximum(), bar.format()) == (0, "finding the organs")
    strip.setProgress("coarse", 1, 1)
    assert (bar.value(), bar.maximum()) == (1, 1)
    strip.setState("done", "Done.")
    assert (bar.value(), bar.maximum()) == (1, 1)


@pytest.mark.parametrize("name", ["idle", "cancelling", "cancelled", "failed", "done"])
def test_progress_that_comes_late_changes_nothing(strip, name) -> None:
    strip.setState("running", "Running.")
    strip.setState(name, "")
    before = (strip.progressBar.value(), strip.progressBar.maximum(), strip.progressBar.text())
    strip.setProgress("segmenting", 3, 60)
    assert (strip.progressBar.value(), strip.progressBar.maximum(), strip.progressBar.text()) == before


def test_the_bar_goes_on_between_the_busy_states_of_one_run(strip) -> None:
    strip.setState("running", "Running.")
    strip.setProgress("segmenting", 30, 60)
    strip.setState("importing", "Importing.")
    assert strip.progressBar.value() == 30


def test_the_remaining_time_comes_from_the_steps_of_the_phase() -> None:
    now = [100.0]
    remaining = RemainingTime(lambda: now[0])
    assert remaining.after("segmenting", 10, 60) is None
    now[0] += 0.5
    assert remaining.after("segmenting", 11, 60) is None
    now[0] += 1.5
    assert remaining.after("segmenting", 20, 60) == pytest.approx(8.0)
    now[0] += 6
    assert remaining.after("segmenting", 50, 60) == pytest.approx(2.0)
    assert remaining.after("importing", 50, 60) is None
    now[0] += 5
    assert remaining.after("importing", 50, 60) is None
    assert remaining.after("importing", 1, 60) is None  # the next volume began


def test_the_bar_names_the_remaining_time(strip) -> None:
    now = [0.0]
    strip._remaining = RemainingTime(lambda: now[0])
    strip.setState("running", "Running.")
    strip.setProgress("segmenting", 0, 60)
    now[0] = 30.0
    strip.setProgress("segmenting", 20, 60)
    assert strip.progressBar.text() == "segmenting 20/60, 01:00 left"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00"), (59.6, "01:00"), (725, "12:05"), (3675, "1:01:15")]
)
def test_durations_read_as_clocks(seconds, text) -> None:
    assert asClock(seconds) == text


def test_cancel_asks_for_cancelling(strip) -> None:
    got: list[bool] = []
    strip.cancelRequested.connect(lambda: got.append(True))
    strip.cancelButton.click()
    assert got == []  # nothing to cancel
    strip.setState("running", "Running.")
    strip.cancelButton.click()
    assert got == [True]


def test_log_lines_appear_together_and_are_capped(strip, turn: Callable) -> None:
    changes: list[int] = []
    strip.logView.textChanged.connect(lambda: changes.append(1))
    for number in range(3000):
        strip.appendLog(f"line {number}")
    assert strip.logView.toPlainText() == ""
    assert strip.logText.startswith("line 1000\n")
    assert turn(lambda: strip.logView.toPlainText() != "", seconds=1)
    assert strip.logView.blockCount() == 2000
    assert strip.logView.toPlainText().endswith("line 2999")
    assert len(changes) <= 3
    strip.appendLog("one more")
    assert turn(lambda: strip.logView.toPlainText().endswith("line 2999\none more"), seconds=1)


def test_the_report_is_copied_and_without_a_provider_the_log_is(strip, application) -> None:
    strip.appendLog("a line")
    strip.copyButton.click()
    assert application.texts == ["a line\n"]
    strip.reportProvider = lambda: "the report"
    strip.copyButton.click()
    assert application.texts[-1] == "the report"
    assert strip.copiedLabel.text() == "Copied."


def test_a_report_that_fails_gives_the_log(strip, application) -> None:
    strip.appendLog("a line")
    strip.reportProvider = lambda: 1 / 0
    strip.copyButton.click()
    assert application.texts == ["a line\n"]


@pytest.mark.parametrize("answer", ["report é.txt", "", "no such folder/report.txt"])
def test_the_report_is_saved_where_the_person_says(strip, tmp_path, answer) -> None:
    from host import modal

    strip.appendLog("Zeile é")
    path = str(tmp_path / answer) if answer else ""
    with modal.answering(lambda *arguments: path):
        strip.saveButton.click()
    if answer == "report é.txt":
        assert Path(path).read_text(encoding="utf-8") == "Zeile é\n"
        assert strip.saveFolder == str(tmp_path)
    assert strip.copiedLabel.text() == {"": "", "report é.txt": "Saved."}.get(
        answer, "Not saved: No such file or directory."
    )


def test_after_cleanup_nothing_holds_the_strip(panel) -> None:
    strip = JobStrip(panel.layout())
    strip.appendLog("x")
    strip.cleanup()
    button = strip.cancelButton
    gone = weakref.ref(strip)
    del strip
    gc.collect()
    assert gone() is None
    button.setEnabled(True)
    button.click()
