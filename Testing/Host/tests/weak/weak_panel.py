"""What the tests of the weak-supervision panel share: the panel by its widgets."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]
MODULES = [ROOT / "SegToolkit" / f"{name}.py" for name in ("SegToolkitTraining", "SegToolkitWeakSupervision")]
for part in ("SegToolkit", "Testing/Slicer"):
    if str(ROOT / part) not in sys.path:
        sys.path.append(str(ROOT / part))


class Panel:
    """What a test does with the panel, by its widgets."""

    def __init__(self, application: Any) -> None:
        import slicer

        self.application = application
        self.widget = slicer.util.getModuleWidget("SegToolkitWeakSupervision")
        self.panel = self.widget.panel
        self.logic = self.widget.logic
        self.runner = self.logic.runner
        self.session = self.logic.session

    def __getattr__(self, name: str) -> Any:
        """A widget by its name in the .ui file."""
        return getattr(self.widget.ui, name)

    @property
    def parameters(self) -> Any:
        return self.panel.parameters

    def wait(self, condition: Callable[[], Any], seconds: float = 60, what: str = "") -> None:
        """Let events happen until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s for {what or condition}; {self.told()}"
            self.application.processEvents(0.005)

    def settle(self) -> None:
        """Let pending refreshes happen."""
        self.application.processEvents(0.06)
        self.panel.refresh()

    def told(self) -> str:
        """What the panel says."""
        return f"reason: {self.reasonLabel.text()!r}, result: {self.resultLabel.text()!r}"

    def choose(self, **volumes: Any) -> None:
        """Choose images by the widgets of their rows."""
        self.settle()
        while len(self.panel.images.rows) < len(volumes):
            self.addImageButton.click()
            self.settle()
        for row, (name, volume) in zip(self.panel.images.rows, volumes.items(), strict=False):
            row.name.setText(name)
            row.name.editingFinished.emit()
            row.volume.setCurrentNode(volume)
        self.settle()

    def chooseModel(self, name: str) -> None:
        """Choose a model by its widget."""
        names = [one["name"] for one in self.session.listedModels()]
        self.modelCombo.setCurrentIndex(names.index(name))
        self.settle()

    def press(self, button: Any, seconds: float = 120) -> Any:
        """Press a button that begins a run, and wait for the run's end."""
        return self.over(self.begin(button), seconds)

    def begin(self, button: Any) -> Any:
        """Press a button that begins a run."""
        self.settle()
        assert button.isEnabled(), f"{self.told()}; {button.toolTip()!r}"
        before = self.runner.run
        button.click()
        assert self.runner.run is not before, self.told()
        return self.runner.run

    def over(self, run: Any, seconds: float = 120) -> Any:
        """Wait for the end of a run."""
        self.wait(lambda: run.over, seconds, "the end of the run")
        self.settle()
        return run

    def select(self, table: Any, *rows: int) -> None:
        """Select rows of a table as with the mouse and the control key."""
        from PySide6.QtCore import QItemSelectionModel

        flags = QItemSelectionModel.SelectionFlag
        table.selectionModel().clearSelection()
        for row in rows:
            index = table.model().index(row, 0)
            table.selectionModel().setCurrentIndex(index, flags.Select | flags.Rows)

    def column(self, table: Any, column: int) -> list[str]:
        """Texts of a column."""
        items = [table.item(row, column) for row in range(table.rowCount())]
        return [item.text() if item is not None else "" for item in items]
