"""What the runs are doing: asked again and again while somebody looks, rarely while nobody does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import qt

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Signal import Signal
from SegToolkitGui.training.Texts import isLive, isWorking

SHOWN_MS = 1000
HIDDEN_MS = 10_000
# A runs folder that takes long to read is read less often: for so many times as long as it took, not at all.
REST = 3
# After a failure, seconds: a worker that cannot live would otherwise be started again every second.
FAILURE_REST = 10.0
# Events that are handed on at a time: thousands of them come at once when a run is looked at again.
CHUNK = 500


class JobWatch:
    """The list of runs, and the events of the one that is followed.

    Args:
        ask: asks the worker that answers at once: (verb, body, onFinished).
        root: returns the runs folder; "" is the library's own choice.

    Attributes:
        jobs: statuses as the worker's verb "jobs" gives them.
        root: folder in which the runs lie, "" while unknown.
        known: whether the list has arrived.
        problem: why the list could not be had the last time, or None.
        followed: folder of the run that is followed, "" for none.
        jobsChanged: Signal(), list or problem changed.
        answered: Signal(), the list has come, changed or not.
        followedChanged: Signal(), another run is followed.
        eventsArrived: Signal(list), further events of the followed run, in their order.
    """

    def __init__(self, ask: Callable[..., Any], root: Callable[[], str]) -> None:
        self.jobs: list[dict] = []
        self.root = ""
        self.known = False
        self.problem: UserError | None = None
        self.followed = ""
        self.jobsChanged = Signal()
        self.answered = Signal()
        self.followedChanged = Signal()
        self.eventsArrived = Signal()
        self._ask = ask
        self._chosenRoot = root
        self._lookers: set[object] = set()
        self._asking = False
        self._again = False
        self._rest = 0.0
        self._events: list[dict] = []
        self._handed = 0  # of the events, to eventsArrived
        self._offset: Any = 0
        self._readAt: tuple = ()
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self.poll)
        self._chunkTimer = qt.QTimer()
        self._chunkTimer.setSingleShot(True)
        self._chunkTimer.setInterval(0)
        self._chunkTimer.connect("timeout()", self._handOn)

    @property
    def live(self) -> list[dict]:
        """Runs that have a process of their own now, those that wait for their turn included."""
        return [job for job in self.jobs if isLive(job)]

    @property
    def busy(self) -> bool:
        """Whether a run computes on this computer now."""
        return any(isWorking(job) for job in self.jobs)

    def status(self, folder: str) -> dict | None:
        """What is known of a run."""
        return next((job for job in self.jobs if job["folder"] == folder), None)

    def names(self) -> set[str]:
        """Names that are taken."""
        return {job["name"] for job in self.jobs}

    # When to ask

    def look(self, looker: object) -> None:
        """Somebody looks at the runs: a panel that is shown, or a script that waits. Once is enough."""
        if looker not in self._lookers:
            self._lookers.add(looker)
            self.poll()

    def lookAway(self, looker: object) -> None:
        """Somebody looks no longer."""
        if looker in self._lookers:
            self._lookers.discard(looker)
            self._plan()

    def forgetFailure(self) -> None:
        """Something was mended: the list is asked for again without the rest after a failure."""
        self._rest = 0.0
        if not self._asking:
            self._plan()

    def end(self) -> None:
        """Ask no more, until somebody looks again."""
        self._lookers.clear()
        self._again = False
        self.jobs = []
        self._timer.stop()
        self._chunkTimer.stop()

    def _plan(self) -> None:
        self._timer.stop()
        if self._lookers:
            self._timer.start(max(SHOWN_MS, round(self._rest * 1000)))
        elif self.live:
            self._timer.start(HIDDEN_MS)

    # Asking

    def poll(self) -> None:
        """Ask now; the next time follows by itself."""
        self._timer.stop()
        if self._asking:
            self._again = True
            return
        self._asking, self._again = True, False
        began = time.monotonic()
        root = self._chosenRoot()

        def finished(outputs, error):
            self._asking = False
            self._rest = REST * (time.monotonic() - began)
            if error is None:
                self._take(outputs)
                self._readEvents()
                self.answered.emit()
            elif error.code != "cancelled":
                self.problem = error
                self._rest = max(self._rest, FAILURE_REST)
                self.jobsChanged.emit()
            if self._again:
                self.poll()
            else:
                self._plan()

        self._ask("jobs", {"root": root} if root else {}, finished)

    def _take(self, outputs: dict) -> None:
        before = (self.jobs, self.root, self.known, self.problem)
        self.jobs = list(outputs["jobs"])
        self.root = outputs.get("root", "")
        self.known, self.problem = True, None
        if before != (self.jobs, self.root, self.known, self.problem):
            self.jobsChanged.emit()

    def update(self, status: dict) -> None:
        """Take the status of one run that an action returned; the list follows soon."""
        if status.get("folder"):
            others = [job for job in self.jobs if job["folder"] != status["folder"]]
            self.jobs = [status, *others]
            self.jobsChanged.emit()
        self.poll()

    # The events of one run

    def follow(self, folder: str) -> None:
        """Follow this run from its first event on; "" follows none."""
        if folder == self.followed:
            return
        self.followed = folder
        self._forgetEvents()
        self.followedChanged.emit()
        self._readEvents()

    @property
    def events(self) -> list[dict]:
        """All events of the followed run that are known."""
        return list(self._events)

    def _forgetEvents(self) -> None:
        self._events, self._handed, self._offset, self._readAt = [], 0, 0, ()
        self._chunkTimer.stop()

    def _readEvents(self) -> None:
        """Ask for further events if there can be any."""
        status = self.status(self.followed)
        if status is None:
            return
        now = (status["state"], status.get("step"), status.get("updated"))
        if now == self._readAt and not isLive(status):
            return
        folder, offset = self.followed, self._offset

        def finished(outputs, error):
            if error is not None or folder != self.followed or offset != self._offset:
                return
            self._readAt = now
            self._offset = outputs["offset"]
            self._events.extend(outputs["events"])
            if outputs["events"]:
                self._chunkTimer.start()

        self._ask("job_events", {"folder": folder, "offset": offset}, finished)

    def _handOn(self) -> None:
        chunk = self._events[self._handed : self._handed + CHUNK]
        self._handed += len(chunk)
        if chunk:
            self.eventsArrived.emit(chunk)
        if self._handed < len(self._events):
            self._chunkTimer.start()
