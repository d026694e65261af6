"""The table of runs; rows keep their place and their selection while the figures in them change."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from SegToolkitGui.training.Texts import bestText, isLive, moment, stateLine, stateName

ROWS_AT_ONCE = 10
COLUMNS = (_("Run"), _("Method"), _("State"), _("Step"), _("Best"), _("Updated"))


class RunsTable:
    """Shows statuses as rows.

    Args:
        widget: a QTableWidget.
    """

    def __init__(self, widget) -> None:
        self._widget = widget
        self._jobs: list[dict] = []
        self._rows: list[dict] = []  # what each row shows
        self._folders: list[str] = []
        self._followed = ""
        self._next = 0  # row to be brought up to date
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._fill)
        widget.setColumnCount(len(COLUMNS))
        widget.setHorizontalHeaderLabels(list(COLUMNS))
        widget.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        header = widget.horizontalHeader()
        for column in range(len(COLUMNS)):
            fits = qt.QHeaderView.Stretch if column == 0 else qt.QHeaderView.Interactive
            header.setSectionResizeMode(column, fits)
        for column, width in ((1, 56), (2, 84), (3, 72), (4, 82), (5, 58)):
            widget.setColumnWidth(column, width)
        widget.verticalHeader().setVisible(False)
        widget.setWordWrap(False)

    @property
    def folders(self) -> list[str]:
        """Folders of the runs, in the order of the rows."""
        return list(self._folders)

    def show(self, jobs: list[dict], followed: str) -> None:
        """Fill the table; only rows that changed are touched, and of many rows the first ones at once."""
        jobs = sorted(jobs, key=orderOf)
        if jobs == self._jobs and followed == self._followed:
            return
        chosen = self.selected()
        self._jobs, self._followed = jobs, followed
        folders = [job["folder"] for job in jobs]
        if len(folders) != len(self._folders):
            self._widget.setRowCount(len(folders))
            self._rows = (self._rows + [{}] * len(folders))[: len(folders)]
        moved, self._folders = folders != self._folders, folders
        self._next = 0
        self._fill()
        if moved:
            self._select(chosen)

    def end(self) -> None:
        """The panel ends."""
        self._timer.stop()

    def _fill(self) -> None:
        """Bring some rows up to date, the others in the next turns of the event loop."""
        changed = 0
        while self._next < len(self._jobs) and changed < ROWS_AT_ONCE:
            job = self._jobs[self._next]
            row = {"job": job, "bold": job["folder"] == self._followed}
            if row != self._rows[self._next]:
                self._rows[self._next] = row
                tip = stateLine(job)
                for column, text in enumerate(_texts(job)):
                    self._put(self._next, column, text, tip, row["bold"])
                changed += 1
            self._next += 1
        if self._next < len(self._jobs):
            self._timer.start()

    def selected(self) -> str:
        """Folder of the selected run, "" if none is selected."""
        rows = {item.row() for item in self._widget.selectedItems()}
        row = min(rows, default=-1)
        return self._folders[row] if 0 <= row < len(self._folders) else ""

    def select(self, folder: str) -> None:
        """Select a run, if it is there."""
        self._select(folder)

    def _select(self, folder: str) -> None:
        blocked = self._widget.blockSignals(True)
        if folder in self._folders:
            self._widget.selectRow(self._folders.index(folder))
        else:
            self._widget.clearSelection()
        self._widget.blockSignals(blocked)

    def _put(self, row: int, column: int, text: str, tip: str, bold: bool) -> None:
        item = self._widget.item(row, column)
        if item is None:
            item = qt.QTableWidgetItem(text)
            self._widget.setItem(row, column, item)
        elif item.text() != text:
            item.setText(text)
        item.setToolTip(f"{text}\n{tip}" if column == 0 else tip)
        font = item.font()
        if font.bold() != bold:
            font.setBold(bold)
            item.setFont(font)


def orderOf(job: dict) -> tuple:
    """Running ones first, then those that wait in the order of their queue, then the others, latest first."""
    if job["state"] == "waiting":
        return 1, job.get("position") or 0, job["name"]
    return (0 if isLive(job) else 2), -_seconds(job.get("updated")), job["name"]


def _steps(job: dict) -> str:
    step, total = job.get("step"), job.get("total")
    if step is None:
        return ""
    return f"{step}/{total}" if total else str(step)


def _seconds(value) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _texts(job: dict) -> tuple[str, ...]:
    return (
        job["name"],
        job.get("method") or "",
        stateName(job),
        _steps(job),
        bestText(job),
        moment(job.get("updated")),
    )
