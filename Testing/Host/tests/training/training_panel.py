"""What the tests of the training panel share: the stand-in worker's world, and the panel by its widgets."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]
FAKE = Path(__file__).with_name("fake_worker.py")
MODULES = [ROOT / "SegToolkit" / f"{name}.py" for name in ("SegToolkitFewShot", "SegToolkitTraining")]
for folder in ("SegToolkit", "Testing/Slicer"):
    if str(ROOT / folder) not in sys.path:
        sys.path.append(str(ROOT / folder))


class World:
    """What the stand-in for the worker tells, and what it was asked."""

    def __init__(self, folder: Path, runs: Path) -> None:
        self.folder = folder
        self.runs = runs
        (folder / "asked.jsonl").unlink(missing_ok=True)
        empty: dict = {"jobs": [], "events": {}, "answers": {}, "errors": {}, "seconds": {}}
        self.facts = {**empty, "runs": str(runs)}
        self.write()

    def write(self) -> None:
        part = self.folder / "world.part"
        part.write_text(json.dumps(self.facts), encoding="utf-8")
        part.replace(self.folder / "world.json")

    def read(self) -> None:
        self.facts = json.loads((self.folder / "world.json").read_text(encoding="utf-8"))

    def run(self, name: str, **values: Any) -> dict:
        """Put a run into the list, or change the one of that name."""
        from fake_worker import status

        self.read()
        folder = self.runs / name
        folder.mkdir(parents=True, exist_ok=True)
        old = next((one for one in self.facts["jobs"] if one["name"] == name), status(str(folder), name))
        new = {**old, **values}
        self.facts["jobs"] = [new, *(one for one in self.facts["jobs"] if one["name"] != name)]
        self.write()
        return new

    def events(self, name: str, *events: dict) -> None:
        """Let a run tell more events."""
        self.read()
        self.facts["events"].setdefault(str(self.runs / name), []).extend(events)
        self.write()

    def set(self, kind: str, verb: str, value: Any) -> None:
        """Fix an answer, an error or a duration of a verb."""
        self.read()
        self.facts[kind][verb] = value
        self.write()

    def asked(self, verb: str) -> list[dict]:
        """Requests of a verb so far."""
        path = self.folder / "asked.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [one for one in map(json.loads, lines) if one["do"] == verb]


class Panel:
    """What a test does with the panel, by its widgets."""

    def __init__(self, application: Any) -> None:
        import slicer

        self.application = application
        self.widget = slicer.util.getModuleWidget("SegToolkitTraining")
        self.panel = self.widget.panel
        self.logic = self.widget.logic
        self.session = self.logic.session
        self.jobs = self.session.jobs

    def __getattr__(self, name: str) -> Any:
        """A widget by its name in the .ui file."""
        return getattr(self.widget.ui, name)

    def wait(self, condition: Callable[[], Any], seconds: float = 20, what: str = "") -> None:
        """Let events happen until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s for {what or condition}; {self.told()}"
            self.application.processEvents(0.005)

    def settle(self, seconds: float = 0.1) -> None:
        """Let pending refreshes happen."""
        self.application.processEvents(seconds)
        self.panel.refresh()

    def told(self) -> str:
        """What the panel says."""
        return (
            f"reason: {self.reasonLabel.text()!r}, message: {self.messageLabel.text()!r}, "
            f"data: {self.datasetLabel.text()!r}, state: {self.stateLabel.text()!r}, "
            f"estimate: {self.estimateLabel.text()!r}"
        )

    def polled(self) -> None:
        """Wait until the list of runs was asked for once more."""
        answered: list[int] = []
        self.session.quick("jobs", {}, lambda outputs, error: answered.append(1))
        self.jobs.poll()
        self.wait(lambda: answered and not self.jobs._asking, what="the list of runs")
        self.settle()

    def choose(self, folder: Path) -> None:
        """Type the folder of a data set and wait for the check."""
        self.datasetCombo.setEditText(str(folder))
        self.datasetCombo.lineEdit().editingFinished.emit()
        self.settle()
        self.wait(lambda: not self.panel.data.checking, what="the check")
        self.settle()

    def row(self, name: str) -> list[str]:
        """Texts of a run's row."""
        for row in range(self.runsTable.rowCount()):
            if self.runsTable.item(row, 0).text() == name:
                return [self.runsTable.item(row, column).text() for column in range(6)]
        raise AssertionError(f"{name} is not in the table")

    def select(self, name: str) -> None:
        """Select a run in the table."""
        for row in range(self.runsTable.rowCount()):
            if self.runsTable.item(row, 0).text() == name:
                self.runsTable.selectRow(row)
        self.settle()
        assert (self.panel.runs.selected() or {}).get("name") == name


def fresh(panel: Panel, command: list[str] | None) -> None:
    """As after the start of the application: other workers, nothing known, nothing chosen."""
    _emptyScene(panel)
    panel.widget.exit()
    session = panel.session
    session.jobs.end()
    if session.command != command:
        session.command = command
        session.stopWorkers()
    for kind in ("model", "collect", "check", "environment", "estimate"):
        session.slow.cancel(kind)
    panel.wait(lambda: not session.jobs._asking, what="the last answer")
    session.methods, session.devices, session.environment = [], [], {}
    session.environmentProblem = session.methodsProblem = ""
    session.forgetFailures()
    session.jobs.known, session.jobs.problem, session.jobs.root = False, None, ""
    session.jobs.follow("")
    session.machine._settings.remove("SegToolkit")
    part = panel.panel
    part.plan.method = part.plan.preset = None
    part.plan._shownMethods = part.plan._checkedValues = None
    part.plan.problems = []
    part.estimate.result, part.estimate._key = None, ""
    part.estimate._timer.setInterval(200)
    part.running.message, part.running._named, part.running.starting = "", False, False
    part.data.checked = part.data._checkedVolumes = ""
    part.data.facts, part.data.error = None, None
    panel.runNameEdit.setText("")
    panel.settle()


def _emptyScene(panel: Panel) -> None:
    """Closing the scene takes a while, so it is done only where a test has put something into it."""
    import slicer

    kinds = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode")
    parameters = panel.panel.parameters
    if parameters is None or any(slicer.util.getNodesByClass(kind) for kind in kinds):
        panel.application.closeScene()
        return
    for name in ("dataset", "volumesFolder", "fold", "collectFolder", "collectName"):
        setattr(parameters, name, "")
    parameters.collectModality, parameters.keepNames = "MR", False
