"""What every run is: work on the scene and in the worker, in small pieces between which Qt turns.

A run holds node IDs, never nodes, and looks them up anew in each piece: while it is busy the person may
delete an input, close the scene or quit.
"""

from __future__ import annotations

import time

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.ModelSession import ModelSession
from SegToolkitGui.run.SceneWatch import SceneWatch
from SegToolkitGui.run.States import State
from SegToolkitGui.Signal import Signal
from SegToolkitGui.TimedTask import TimedTask

# Of one piece of work on the main thread; the event loop turns in between.
PIECE_MS = 15


class SceneRun:
    """A run under way; a run of a kind says in ``_work`` what it does, and ``goneHint``.

    Signals: stateChanged(State), progressed(phase, step, total), logged(line), finished(run).
    ``finished`` comes exactly once; then ``state`` is DONE, CANCELLED or FAILED and ``error`` says why.

    Args:
        session: its worker computes.
        settings: tell ``problem()`` and ``nodeIds()``, the nodes without which the run makes no sense.

    Attributes:
        goneHint: said when such a node was deleted: what became of the run's results.
    """

    goneHint = ""

    def __init__(self, session: ModelSession, settings) -> None:
        self.settings = settings
        self.state = State.IDLE
        self.error: UserError | None = None
        self.seconds = 0.0
        self.stateChanged = Signal()
        self.progressed = Signal()
        self.logged = Signal()
        self.finished = Signal()
        self._session = session
        self._task: TimedTask | None = None
        self._began = 0.0
        self._watch = None

    # Public

    def start(self) -> None:
        """Check the settings and begin; returns at once.

        Raises:
            UserError: the settings cannot be run.
        """
        problem = self.settings.problem()
        if problem:
            raise UserError("cannot-run", problem)
        self._began = time.monotonic()
        self._watch = SceneWatch(self.settings.nodeIds(), self._onInputGone)
        failed = _("The run failed unexpectedly ({kind}: {error}).")
        self._task = TimedTask(self._work(), self._onWorkEnded, failed)
        self._setState(State.PREPARING)
        self._task.start()

    def cancel(self) -> None:
        """Stop; what finished volumes brought stays in the scene."""
        self._stop(State.CANCELLED, None)

    @property
    def over(self) -> bool:
        """Whether the run has finished, in whatever way."""
        return self.state in (State.DONE, State.CANCELLED, State.FAILED)

    def _progress(self, phase: str, step: int, total: int) -> None:
        """How far a part of the work is; a run of many parts may tell of the whole instead."""
        self.progressed.emit(phase, step, total)

    # The work, piece by piece: each yield lets the event loop turn

    def _work(self):
        raise NotImplementedError

    def _asked(self, verb: str, body: dict):
        """Ask the worker, pass on what it tells meanwhile, and return its answer."""
        ask = self._session.client.request
        return (yield from self._wait(lambda answered: ask(verb, body, self._onEvent, answered)))

    def _wait(self, ask):
        """Call ``ask(onFinished)`` and sleep until its answer wakes the task up."""
        return (yield from self._task.ask(ask))

    def _pieces(self, work):
        """Do work in steps; given up cleanly if the run ends in the middle of it."""
        try:
            while not work.step(PIECE_MS):
                self._progress(_("importing"), int(100 * work.fraction), 100)
                yield
        finally:
            work.close()

    def _enter(self, state: State) -> None:
        """Go over to another state, unless somebody who was told of something has ended the run."""
        if not self.over:
            self._setState(state)
        if self.over:
            raise UserError("cancelled", _("Cancelled."))

    @staticmethod
    def _node(nodeId: str):
        node = slicer.mrmlScene.GetNodeByID(nodeId) if nodeId else None
        if node is None:
            raise UserError(
                "input-gone", _("An input of the run is no longer in the scene."), _("Start again.")
            )
        return node

    # What drives it

    def _onWorkEnded(self, error: UserError | None) -> None:
        if error is None:
            self._finish(State.DONE, None)
        elif error.code == "cancelled":
            self._finish(State.CANCELLED, None)
        else:
            self._finish(State.FAILED, error)

    def _onEvent(self, event: dict) -> None:
        if self.over:
            return
        if event["t"] == "progress":
            self._progress(event["phase"], event["step"], event["total"])
        elif event["t"] in ("warning", "log"):
            self.logged.emit(f"{event['text']} {event.get('hint', '')}".strip())

    def _onInputGone(self, text: str) -> None:
        self._stop(State.FAILED, UserError("input-gone", text, self.goneHint))

    def _stop(self, state: State, error: UserError | None) -> None:
        if self.over or self.state == State.IDLE:
            return
        self._setState(State.CANCELLING)
        self._session.cancel()  # before anybody hears of the end, and asks the worker something new
        self._finish(state, error)

    def _finish(self, state: State, error: UserError | None) -> None:
        if self.over:
            return
        if self._task is not None:
            self._task.stop()  # removes the result's folder
        if self._watch is not None:
            self._watch.end()
        self.seconds = time.monotonic() - self._began
        self.error = error
        self._setState(state)
        self.finished.emit(self)

    def _setState(self, state: State) -> None:
        if self.state != state:
            self.state = state
            self.stateChanged.emit(state)
