"""A table node in the panel, with buttons to copy and to save it."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.scene import TableNodes

LOWEST, HIGHEST = 44, 230  # pixels


class TableView:
    """Shows one table node, or nothing.

    Args:
        panel: its ``guarded`` and ``session.machine`` are used.
        widget: a QTableWidget.
        copyButton, saveButton: QPushButtons.
    """

    def __init__(self, panel, widget, copyButton, saveButton) -> None:
        self._panel = panel
        self._widget = widget
        self._buttons = (copyButton, saveButton)
        self._nodeId = ""
        self._shown: tuple | None = None
        widget.verticalHeader().setVisible(False)
        widget.setWordWrap(False)
        copyButton.connect("clicked(bool)", panel.guarded(self.onCopy))
        saveButton.connect("clicked(bool)", panel.guarded(self.onSave))

    @property
    def node(self):
        """The table node that is shown, or None."""
        return slicer.mrmlScene.GetNodeByID(self._nodeId) if self._nodeId else None

    def show(self, nodeId: str) -> None:
        """Show this node; "" shows nothing."""
        self._nodeId = nodeId
        node = self.node
        shown = (nodeId, node.GetTable().GetMTime(), node.GetMTime()) if node is not None else None
        for button in self._buttons:
            button.setEnabled(node is not None)
        if shown == self._shown:
            return
        self._shown = shown
        self._fill(*(TableNodes.cells(node) if node is not None else ([], [])))

    def _fill(self, titles: list[str], rows: list[list[str]]) -> None:
        widget = self._widget
        widget.clear()
        widget.setColumnCount(len(titles))
        widget.setRowCount(len(rows))
        widget.setHorizontalHeaderLabels(titles)
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                if _isNumber(text):
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                widget.setItem(number, column, item)
        widget.resizeRowsToContents()
        header = widget.horizontalHeader()
        for column in range(len(titles)):
            named = column == 0 and not all(_isNumber(row[0]) for row in rows)
            wide = qt.QHeaderView.Stretch if named else qt.QHeaderView.ResizeToContents
            header.setSectionResizeMode(column, wide)
        fitHeight(widget, header.height + sum(widget.rowHeight(row) for row in range(len(rows))))

    def onCopy(self) -> None:
        """Put the table on the clipboard."""
        if self.node is not None:
            slicer.app.clipboard().setText(TableNodes.asCsv(self.node))

    def onSave(self) -> None:
        """Ask for a file and write the table."""
        node = self.node
        if node is None:
            return
        machine = self._panel.session.machine
        suggested = str(Path(machine.lastFolder or Path.home()) / f"{_fileName(node.GetName())}.csv")
        path = qt.QFileDialog.getSaveFileName(
            self._widget, _("Save table"), suggested, _("Tables") + " (*.csv *.tsv)"
        )
        if path:
            path = str(path) if Path(str(path)).suffix else f"{path}.csv"
            TableNodes.save(node, path)
            machine.lastFolder = str(Path(path).parent)


def fitHeight(widget, contents: int) -> None:
    """Make a list or table as high as its contents, up to HIGHEST: no empty field, no endless panel."""
    widget.setFixedHeight(min(max(contents, LOWEST) + 2 * widget.frameWidth, HIGHEST))


def _isNumber(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text
    return True


def _fileName(name: str) -> str:
    return (
        "".join(letter if letter.isalnum() or letter in " -_." else "_" for letter in name).strip() or "table"
    )
