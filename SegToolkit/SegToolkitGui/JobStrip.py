"""The strip at the bottom of each panel: device, state, progress with remaining time, Cancel, and the log."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Phases import phaseText
from SegToolkitGui.Signal import Signal

LOG_LINES = 2000
LOG_MILLISECONDS = 150
LOG_HEIGHT = 160
STATE_ICON_SIZE = 16
ETA_SECONDS = 1.0  # a phase must have run so long before its remaining time is worth showing


class JobStrip:
    """Builds the widgets into a layout and shows what it is told; it decides nothing.

    Args:
        parentLayout: The QVBoxLayout of a panel; the strip is added at its end.
        reportProvider: Returns the text of "Copy report"; None copies the log.

    Attributes:
        cancelRequested: Signal(), Cancel was pressed.
        deviceChanged: Signal(str), the person chose the device of this id.
    """

    # state: (icon of QStyle or "", work is under way, work can be cancelled)
    STATES: ClassVar[dict[str, tuple[str, bool, bool]]] = {
        "idle": ("", False, False),
        "installing": ("SP_ArrowDown", True, False),
        "preparing": ("SP_BrowserReload", True, True),
        "running": ("SP_MediaPlay", True, True),
        "importing": ("SP_BrowserReload", True, True),
        "cancelling": ("SP_BrowserStop", True, False),
        "cancelled": ("SP_MessageBoxInformation", False, False),
        "failed": ("SP_MessageBoxCritical", False, False),
        "done": ("SP_DialogApplyButton", False, False),
    }

    def __init__(self, parentLayout: Any, reportProvider: Callable[[], str] | None = None) -> None:
        self.cancelRequested = Signal()
        self.deviceChanged = Signal()
        self.reportProvider = reportProvider
        self.saveFolder = ""  # where the Save dialog starts
        self._state = "idle"
        self._remaining = RemainingTime()
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._newLines: deque[str] = deque(maxlen=LOG_LINES)
        self._connections: list[tuple[Any, str, Callable]] = []
        self._build(parentLayout)
        self.setDevices([])
        self.setState("idle", _("Ready."))

    def cleanup(self) -> None:
        """Disconnect from the widgets, which would otherwise keep this object for ever."""
        self._logTimer.stop()
        for sender, signature, slot in self._connections:
            sender.disconnect(signature, slot)
        self._connections = []

    @property
    def state(self) -> str:
        """Name of the state shown, one of STATES."""
        return self._state

    @property
    def device(self) -> str:
        """Id of the device chosen, "auto" while none is known."""
        return str(self.deviceComboBox.currentData or "auto")

    @device.setter
    def device(self, value: str) -> None:
        index = self.deviceComboBox.findData(value)
        if index >= 0:
            blocked = self.deviceComboBox.blockSignals(True)
            self.deviceComboBox.setCurrentIndex(index)
            self.deviceComboBox.blockSignals(blocked)
            self._showDeviceTip()

    @property
    def logText(self) -> str:
        """The whole log, also the lines that are not on the screen yet."""
        return "\n".join(self._lines)

    def setDevices(self, devices: list[dict]) -> None:
        """Offer these devices ({"id", "name", "memory_gb"}); a choice that is still among them is kept.

        Sends no signal.
        """
        chosen = self.device
        combo = self.deviceComboBox
        blocked = combo.blockSignals(True)
        combo.clear()
        for device in devices or [{"id": "auto", "name": _("Automatic")}]:
            memory = device.get("memory_gb")
            name = str(device.get("name") or device["id"])
            combo.addItem(f"{name}, {memory:.0f} GB" if memory else name, str(device["id"]))
        combo.setCurrentIndex(max(0, combo.findData(chosen)))
        combo.blockSignals(blocked)
        self._showDeviceTip()

    def setState(self, name: str, text: str) -> None:
        """Show a state, one of STATES, with a sentence.

        Raises:
            KeyError: there is no such state.
        """
        icon, isBusy, canCancel = self.STATES[name]
        isNewRun = isBusy and not self.STATES[self._state][1]
        self._state = name
        self.stateLabel.setText(text)
        self.iconLabel.setVisible(bool(icon))
        if icon:
            standard = self.iconLabel.style().standardIcon(getattr(qt.QStyle, icon))
            self.iconLabel.setPixmap(standard.pixmap(STATE_ICON_SIZE, STATE_ICON_SIZE))
        self.deviceComboBox.setEnabled(not isBusy)
        self.cancelButton.setEnabled(canCancel)
        self.progressBar.setEnabled(isBusy or name == "done")
        if name == "done":
            self._showBar(1, 1, "")
        elif isNewRun or name == "cancelling":
            self._remaining.reset()
            self._showBar(0, 0, "")
        elif not isBusy:
            self._showBar(0, 1, "")

    def setProgress(self, phase: str, step: int, total: int) -> None:
        """Show how far a phase is; total 0 stands for unknown. Ignored unless work is under way."""
        if not self.STATES[self._state][1] or self._state == "cancelling":
            return
        name = phaseText(phase)
        if total <= 0 or (total == 1 and step < 1):  # of one single step nobody knows how far it is
            self._remaining.reset()
            self._showBar(0, 0, name)
            return
        step = min(max(int(step), 0), int(total))
        text = f"{name} {step}/{int(total)}"
        remaining = self._remaining.after(phase, step, int(total))
        if remaining is not None:
            text += ", " + _("{time} left").format(time=asClock(remaining))
        self._showBar(step, int(total), text)

    def appendLog(self, line: str) -> None:
        """Add a line to the log. It appears together with the next ones: many lines cost as much as one."""
        self._lines.append(line)
        self._newLines.append(line)
        if not self._logTimer.active:
            self._logTimer.start(LOG_MILLISECONDS)

    def showLog(self) -> None:
        """Unfold the log, for an error whose cause stands there."""
        self.logButton.collapsed = False

    def copyReport(self) -> None:
        """Put the report on the clipboard."""
        slicer.app.clipboard().setText(self._report())
        self.copiedLabel.setText(_("Copied."))

    def saveReport(self) -> None:
        """Ask for a file and write the report into it."""
        suggested = str(Path(self.saveFolder or Path.home()) / "SegToolkit-report.txt")
        path = qt.QFileDialog.getSaveFileName(
            self.logButton, _("Save report"), suggested, _("Text") + " (*.txt)"
        )
        if not path:
            return
        try:
            Path(path).write_text(self._report(), encoding="utf-8")
            self.copiedLabel.setText(_("Saved."))
            self.saveFolder = str(Path(path).parent)
        except OSError as error:
            self.copiedLabel.setText(_("Not saved: {reason}.").format(reason=error.strerror or error))

    def _report(self) -> str:
        if self.reportProvider:
            try:
                return self.reportProvider()
            except Exception:  # the report is wanted most when something is wrong: give at least the log
                logging.exception("SegToolkit: the report could not be put together")
        return self.logText + "\n"

    def _build(self, parentLayout: Any) -> None:
        self.deviceComboBox = qt.QComboBox()
        self.deviceComboBox.objectName = "jobStripDeviceComboBox"
        # A long name of a graphics card is not to widen the panel.
        self.deviceComboBox.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.deviceComboBox.setMinimumContentsLength(12)
        deviceLabel = qt.QLabel(_("Device:"))
        deviceLabel.setBuddy(self.deviceComboBox)
        deviceRow = qt.QHBoxLayout()
        deviceRow.addWidget(deviceLabel)
        deviceRow.addWidget(self.deviceComboBox, 1)

        self.iconLabel = qt.QLabel()
        self.iconLabel.objectName = "jobStripIconLabel"
        self.stateLabel = qt.QLabel()
        self.stateLabel.objectName = "jobStripStateLabel"
        self.stateLabel.setWordWrap(True)
        # File names and messages of other programs may look like HTML.
        self.stateLabel.setTextFormat(qt.Qt.PlainText)
        self.stateLabel.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
        stateRow = qt.QHBoxLayout()
        stateRow.addWidget(self.iconLabel)
        stateRow.addWidget(self.stateLabel, 1)

        self.progressBar = qt.QProgressBar()
        self.progressBar.objectName = "jobStripProgressBar"
        self.cancelButton = qt.QPushButton(_("Cancel"))
        self.cancelButton.objectName = "jobStripCancelButton"
        self.cancelButton.setToolTip(_("Stop what is under way. Results that are finished stay."))
        progressRow = qt.QHBoxLayout()
        progressRow.addWidget(self.progressBar, 1)
        progressRow.addWidget(self.cancelButton)

        for row in (deviceRow, stateRow, progressRow):
            parentLayout.addLayout(row)
        parentLayout.addWidget(self._buildLog())

        self._logTimer = qt.QTimer()
        self._logTimer.setSingleShot(True)
        self._connect(self._logTimer, "timeout()", self._flushLog)
        self._connect(self.deviceComboBox, "currentIndexChanged(int)", self._onDeviceChanged)
        self._connect(self.cancelButton, "clicked()", self.cancelRequested.emit)
        self._connect(self.copyButton, "clicked()", self.copyReport)
        self._connect(self.saveButton, "clicked()", self.saveReport)

    def _buildLog(self) -> Any:
        self.logButton = ctk.ctkCollapsibleButton()
        self.logButton.objectName = "jobStripLogButton"
        self.logButton.text = _("Log")
        self.logView = qt.QPlainTextEdit()
        self.logView.objectName = "jobStripLogView"
        self.logView.setReadOnly(True)
        self.logView.setMaximumBlockCount(LOG_LINES)
        self.logView.setFixedHeight(LOG_HEIGHT)
        self.copyButton = qt.QPushButton(_("Copy report"))
        self.copyButton.objectName = "jobStripCopyButton"
        self.copyButton.setToolTip(_("Copy versions, devices, the last error and the end of the log."))
        self.saveButton = qt.QPushButton(_("Save..."))
        self.saveButton.objectName = "jobStripSaveButton"
        self.copiedLabel = qt.QLabel()
        self.copiedLabel.objectName = "jobStripCopiedLabel"
        buttons = qt.QHBoxLayout()
        buttons.addWidget(self.copyButton)
        buttons.addWidget(self.saveButton)
        buttons.addWidget(self.copiedLabel, 1)
        content = qt.QVBoxLayout(self.logButton)
        content.addWidget(self.logView)
        content.addLayout(buttons)
        self.logButton.collapsed = True
        return self.logButton

    def _connect(self, sender: Any, signature: str, slot: Callable) -> None:
        sender.connect(signature, slot)
        self._connections.append((sender, signature, slot))

    def _showBar(self, step: int, total: int, text: str) -> None:
        self.progressBar.setRange(0, total)
        self.progressBar.setValue(step)
        # An empty format stands for the default, "%p%".
        self.progressBar.setFormat(text or " ")

    def _showDeviceTip(self) -> None:
        self.deviceComboBox.setToolTip(self.deviceComboBox.currentText)

    def _onDeviceChanged(self, _index: int = 0) -> None:
        self._showDeviceTip()
        self.deviceChanged.emit(self.device)

    def _flushLog(self) -> None:
        lines = list(self._newLines)
        self._newLines.clear()
        self.copiedLabel.setText("")
        if lines:
            self.logView.appendPlainText("\n".join(lines))


class RemainingTime:
    """Estimates the rest of a phase from the steps it has made since it was first seen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start: tuple[str, int, int, float] | None = None

    def reset(self) -> None:
        """Forget the phase."""
        self._start = None

    def after(self, phase: str, step: int, total: int) -> float | None:
        """Return the seconds that are left, or None while too little is known."""
        now = self._clock()
        if self._start is None or self._start[:2] != (phase, total) or step < self._start[2]:
            self._start = (phase, total, step, now)
        _phase, _total, firstStep, started = self._start
        if step == firstStep or now - started < ETA_SECONDS:
            return None
        return (now - started) / (step - firstStep) * (total - step)


def asClock(seconds: float) -> str:
    """Return a duration as mm:ss, or h:mm:ss from an hour on."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60:02d}:{rest % 60:02d}"
