"""The table of what is wrong with a data set."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

COLUMNS = ("", _("Case"), _("Problem"))
SEVERITIES = {"error": _("Error"), "warning": _("Warning")}
COLOURS = {"error": (192, 57, 43), "warning": (176, 112, 0)}
# A data set in which everything is wrong tells no more in ten thousand rows than in these.
MOST_ROWS = 300


class ProblemTable:
    """Errors first; a row's tool tip has the whole sentence.

    Args:
        widget: a QTableWidget.
    """

    def __init__(self, widget) -> None:
        self._widget = widget
        self._shown: list[dict] = []
        widget.setColumnCount(len(COLUMNS))
        widget.setHorizontalHeaderLabels(list(COLUMNS))
        header = widget.horizontalHeader()
        header.setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(1, qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(2, qt.QHeaderView.Stretch)
        widget.verticalHeader().setVisible(False)

    def show(self, problems: list[dict]) -> None:
        """Fill the table with {"severity", "case", "text"}; nothing is touched where nothing changed."""
        if problems == self._shown:
            return
        self._shown = list(problems)
        rows = sorted(problems, key=lambda one: one["severity"] != "error")[:MOST_ROWS]
        self._widget.setRowCount(len(rows))
        for number, problem in enumerate(rows):
            severity = problem["severity"]
            texts = (SEVERITIES.get(severity, severity), str(problem.get("case") or ""), problem["text"])
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(problem["text"])
                if column == 0:
                    item.setForeground(qt.QBrush(qt.QColor(*COLOURS.get(severity, (0, 0, 0)))))
                self._widget.setItem(number, column, item)
