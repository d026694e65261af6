"""How long a training would take and how much memory it needs, tried out before it begins."""

from __future__ import annotations

import json

import qt
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part
from SegToolkitGui.training.Texts import duration, memory, progressText

SETTLE_MS = 1500  # after the last change, before a few steps are tried


class EstimatePart(Part):
    """The line with the button "Estimate"."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self.result: dict | None = None
        self.error: UserError | None = None
        self._key = ""  # what result or error are about
        self._refused = ""  # cancelled by the person: not to be asked by itself again
        self._progress: dict = {}
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.connect("timeout()", self._onSettled)
        self.ui.estimateButton.connect("clicked(bool)", panel.guarded(self.onEstimate))
        self.ui.cancelEstimateButton.connect("clicked(bool)", panel.guarded(self.onCancel))

    def exit(self) -> None:
        """Nobody looks: nothing is tried."""
        self._timer.stop()
        self._drop()

    def tearDown(self) -> None:
        """The panel ends."""
        self._timer.stop()

    @property
    def busy(self) -> bool:
        """Whether steps are being tried, or wait for their turn."""
        return self.panel.session.slow.has("estimate")

    @property
    def memoryMb(self) -> float | None:
        """What the training with the present settings needs, None while unknown."""
        if self.result is None or self._key != self._presentKey():
            return None
        return self.result.get("memory_mb")

    # Showing

    def refresh(self) -> None:
        """Bring the line in line, and try the steps soon if nothing else is under way."""
        reason = self.problem()
        key = self._presentKey()
        if key != self._key and not self.busy:
            self.result = self.error = None
        busy = self.busy
        if not reason and key not in (self._key, self._refused) and self._mayBegin():
            if busy:
                self._drop()
                busy = False
            if not self._timer.active:
                self._timer.start()
        elif reason:
            self._timer.stop()
        ui = self.ui
        ui.estimateButton.setEnabled(not reason and not busy)
        ui.estimateButton.setToolTip(
            reason or _("Try a few steps, to tell how long the training takes and how much memory it needs.")
        )
        ui.cancelEstimateButton.setVisible(busy)
        text, isBad = self._text(busy)
        ui.estimateLabel.setText(text)
        ui.estimateLabel.setStyleSheet("color: #c0392b;" if isBad else "")

    def problem(self) -> str:
        """Why nothing can be estimated, "" if it can."""
        panel = self.panel
        if panel.parameters.volumesFolder:  # the worker's verb takes no such folder
            return _("Volumes that lie elsewhere than the data set says cannot be tried beforehand.")
        return panel.setup.problem() or panel.data.problem() or panel.plan.problem()

    def _mayBegin(self) -> bool:
        """By itself it begins only while nothing trains here: both would be slower for it."""
        jobs = self.panel.session.jobs
        return self.panel.canAsk() and jobs.known and not jobs.live and not self.panel.collect.busy

    def _text(self, busy: bool) -> tuple[str, bool]:
        if busy:
            return _("Trying a few steps... {progress}").format(progress=progressText(self._progress)), False
        if self.error is not None:
            return _("No estimate: {error}").format(error=self.error), self.error.code != "cancelled"
        if self.result is None:
            return "", False
        return estimateText(self.result), isTooLarge(self.result)

    # Asking

    def _presentKey(self) -> str:
        try:
            return json.dumps(self._body(), sort_keys=True, default=str)
        except UserError:
            return ""

    def _body(self) -> dict:
        plan = self.panel.plan
        if plan.method is None or self.panel.parameters is None:
            return {}
        return {
            "method": plan.method["name"],
            "dataset": self.panel.parameters.dataset or None,
            "settings": plan.values(),
            "device": plan.device,
        }

    def _onSettled(self) -> None:
        if self.panel.parameters is not None and not self.problem() and self._mayBegin():
            self._begin()

    def onEstimate(self) -> None:
        """Try now, whatever else is under way."""
        reason = self.problem()
        if reason:
            raise UserError("cannot-estimate", reason)
        self._begin()

    def _begin(self) -> None:
        self._timer.stop()
        body, key = self._body(), self._presentKey()
        self._key, self._refused = key, ""
        self.result = self.error = None
        self._progress = {}

        def finished(outputs, error):
            if key == self._key:
                self.result, self.error = outputs, error
            self.panel.changed()

        self.panel.session.slow.ask("estimate", "estimate", body, self._onProgress, finished)

    def _onProgress(self, event: dict) -> None:
        if event["t"] == "progress":
            self._progress = event
            self.panel.changed()

    def onCancel(self) -> None:
        """Try no further; the same is not tried again by itself."""
        key = self._key
        self._drop()
        self._key = self._refused = key
        self.error = UserError("cancelled", _("it was cancelled."))

    def _drop(self) -> None:
        """Something changed or begins: what is being tried is of no use any more."""
        if self.busy:
            self.panel.session.slow.cancel("estimate")
        if self.result is None:
            self._key = ""
            self.error = None

    def giveWay(self) -> None:
        """A training begins: it gets the machine for itself."""
        self._timer.stop()
        self._drop()


def isTooLarge(result: dict) -> bool:
    """Whether the training needs more memory than the device has."""
    needed, there = result.get("memory_mb"), result.get("device_memory_mb")
    return bool(needed and there and needed > there)


def estimateText(result: dict) -> str:
    """ "About 12 min (0.71 s a step), 2.1 GB of the device's 8 GB." """
    seconds, step = result.get("total_seconds"), result.get("seconds_per_step")
    parts = []
    if seconds is not None:
        time = _("About {time}").format(time=duration(seconds))
        parts.append(time + (_(" ({step:.2g} s a step)").format(step=step) if step else ""))
    needed, there = result.get("memory_mb"), result.get("device_memory_mb")
    if needed and there:
        parts.append(_("{needed} of the device's {there}").format(needed=memory(needed), there=memory(there)))
    elif needed:
        parts.append(_("{needed} of memory").format(needed=memory(needed)))
    text = ", ".join(parts) + "."
    if isTooLarge(result):
        text += " " + _("That is more than there is: choose smaller settings or another device.")
    return text
