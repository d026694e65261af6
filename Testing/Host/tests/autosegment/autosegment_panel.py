"""What the tests of the automatic-segmentation panel share: models of bands, and the panel by its widgets."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]
MODULE = ROOT / "SegToolkit" / "SegToolkitAutoSegment.py"
METHODS = ROOT / "Testing" / "Data" / "methods"
for folder in (ROOT / "SegToolkit", ROOT / "Testing" / "Slicer", METHODS):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

# Brightness of the organs of SegToolkitTestData; there is no gallbladder.
BANDS = {"liver": (380, 520), "spleen": (590, 740), "gallbladder": (900, 990)}
ORGANS = {"liver": "large organ", "spleen": "small organ"}
# The same brightness as another model's structures.
HEART = {"left ventricle": (380, 520), "right ventricle": (590, 740), "myocardium": (900, 990)}
# Classes of nodes that a run or a comparison makes.
MADE = ("Segmentation", "Table", "PlotChart", "PlotSeries", "ScalarVolume", "Sequence")
MODELS: dict[str, dict[str, Any]] = {
    "abdomen": {"title": "Abdomen, CT"},
    "abdomen-mr": {"title": "Abdomen, MR", "modality": "MR"},
    "with-terms": {"title": "With terms", "permissive": False},
    "plain": {"title": "Plain", "modes": ["full"], "maps": []},
    "slow": {"title": "Slow", "delay": 0.25},
    "heart": {"title": "Heart, CT", "bands": HEART},
    "failing": {"title": "Failing", "fails": "error"},
    "dying": {"title": "Dying", "fails": "dies"},
}


class Panel:
    """What a test does with the panel, by its widgets."""

    def __init__(self, application: Any) -> None:
        import slicer

        self.application = application
        self.widget = slicer.util.getModuleWidget("SegToolkitAutoSegment")
        self.panel = self.widget.panel
        self.logic = self.widget.logic
        self.runner = self.logic.runner
        self.session = self.logic.session
        self._before = Counter(_names(*MADE))

    def __getattr__(self, name: str) -> Any:
        """A widget by its name in the .ui file."""
        return getattr(self.widget.ui, name)

    def mapCheck(self, name: str = "uncertainty") -> Any:
        """The check box of a map."""
        return self.panel.maps.checks[name]

    def wait(self, condition: Callable[[], Any], seconds: float = 60, what: str = "") -> None:
        """Let events happen until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s for {what or condition}; {self.told()}"
            self.application.processEvents(0.005)

    def settle(self) -> None:
        """Let pending refreshes happen."""
        self.application.processEvents(0.1)
        self.panel.refresh()

    def told(self) -> str:
        """What the panel says."""
        return f"reason: {self.reasonLabel.text()!r}, result: {self.resultLabel.text()!r}"

    def choose(self, volume: Any, model: str = "abdomen") -> None:
        """Choose a volume and a model by their widgets."""
        self.inputSelector.setCurrentNode(volume)
        self.chooseModel(model)

    def chooseModel(self, model: str) -> None:
        """Click on a model."""
        names = [one["name"] for one in self.session.listedModels()]
        self.modelList.setCurrentRow(names.index(model))
        self.settle()

    def begin(self) -> Any:
        """Press Apply; the run that began."""
        self.settle()
        assert self.applyButton.isEnabled(), self.told()
        before = self.runner.run
        self.applyButton.click()
        assert self.runner.run is not before, self.told()
        return self.runner.run

    def apply(self, seconds: float = 60) -> Any:
        """Press Apply and wait for the end of the run."""
        return self.over(self.begin(), seconds)

    def over(self, run: Any, seconds: float = 60) -> Any:
        """Wait for the end of a run."""
        self.wait(lambda: run.over, seconds, "the end of the run")
        self.settle()
        return run

    def segmentation(self, run: Any, number: int = -1) -> Any:
        """The segmentation of a result."""
        import slicer

        return slicer.mrmlScene.GetNodeByID(run.results[number].segmentationId)

    def brought(self, *classes: str) -> list[str]:
        """Names of the nodes of these classes that were not there when the test began.

        By their names, because IDs come again in the next scene; other panels keep hidden nodes in every one.
        """
        there, new = self._before.copy(), []
        for name in _names(*classes):
            if there[name]:
                there[name] -= 1
            else:
                new.append(name)
        return new

    def rows(self, table: Any) -> list[list[str]]:
        """Texts of a table widget."""
        columns = range(table.columnCount())
        return [[table.item(row, c).text() for c in columns] for row in range(table.rowCount())]


def _names(*classes: str) -> list[str]:
    """Names of all nodes of these classes."""
    import slicer

    return [node.GetName() for name in classes for node in slicer.util.getNodesByClass(f"vtkMRML{name}Node")]
