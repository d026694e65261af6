"""The section "3. Organs": what is wanted of all that the model finds."""

from __future__ import annotations

import qt

from SegToolkitGui.autosegment.TableView import fitHeight
from SegToolkitGui.Part import Part

SWATCH = 12  # pixels


class OrganPart(Part):
    """A list to tick. What is left out is kept by name, so that it stays left out with another model."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._shown: tuple | None = None
        ui.organList.connect("itemChanged(QListWidgetItem*)", self.onItem)
        ui.allOrgansButton.connect("clicked(bool)", panel.guarded(self.onAll))
        ui.noOrgansButton.connect("clicked(bool)", panel.guarded(self.onNone))

    def names(self) -> list[str]:
        """Organs that the model finds."""
        model = self.panel.currentModel()
        return [label["name"] for label in model["labels"]] if model else []

    def wanted(self) -> list[str] | None:
        """Organs that are ticked; None if all are."""
        left, names = set(self.panel.parameters.leftOut), self.names()
        wanted = [name for name in names if name not in left]
        return None if len(wanted) == len(names) else wanted

    def refresh(self) -> None:
        """Fill the list, show what is ticked."""
        busy, names = self.panel.runner.busy, self.names()
        left = set(self.panel.parameters.leftOut)
        model = self.panel.currentModel()
        shown = (model["name"] if model else "", *names)
        if shown != self._shown:
            self._shown = shown
            self._fill(model)
        for row, name in enumerate(names):
            state = qt.Qt.Unchecked if name in left else qt.Qt.Checked
            if self.ui.organList.item(row).checkState() != state:
                self.ui.organList.item(row).setCheckState(state)
        for widget in (self.ui.organList, self.ui.allOrgansButton, self.ui.noOrgansButton):
            widget.setEnabled(not busy and bool(names))

    def _fill(self, model: dict | None) -> None:
        widget = self.ui.organList
        widget.clear()
        for label in model["labels"] if model else ():
            item = qt.QListWidgetItem(label["name"])
            item.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled)
            item.setCheckState(qt.Qt.Checked)
            if label["colour"]:
                swatch = qt.QPixmap(SWATCH, SWATCH)
                swatch.fill(qt.QColor(*(round(255 * part) for part in label["colour"])))
                item.setIcon(qt.QIcon(swatch))
            widget.addItem(item)
        fitHeight(widget, widget.count * max(0, widget.sizeHintForRow(0)))

    # What the person does

    def onItem(self, _item) -> None:
        """An organ was ticked or unticked."""
        if self.panel.refreshing or self.panel.parameters is None:
            return
        widget, names = self.ui.organList, self.names()
        rows = range(min(widget.count, len(names)))
        left = [names[row] for row in rows if widget.item(row).checkState() == qt.Qt.Unchecked]
        self._leave(left)

    def onAll(self) -> None:
        """Tick all."""
        self._leave([])

    def onNone(self) -> None:
        """Untick all."""
        self._leave(self.names())

    def _leave(self, left: list[str]) -> None:
        others = [name for name in self.panel.parameters.leftOut if name not in self.names()]
        self.panel.parameters.leftOut = [*others, *left]
