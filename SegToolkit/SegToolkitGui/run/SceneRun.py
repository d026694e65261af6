"""What every run is: work on the scene and in the worker, in small pieces between which Qt turns.

A run holds node IDs, never nodes, and looks them up anew in each piece: while it is busy the person may
delete an input, close the scene or quit.
"""

from __future__ import annotations

import contextlib
import logging
import time

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.ModelSession import ModelSession
from SegToolkitGui.run.SceneWatch import SceneWatch
from SegToolkitGui.run.States import State
from SegToolkitGui.Signal import Signal

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
        self._answer = None
        self._task = None
        self._began = 0.0
        self._watch = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(1)
        self._timer.connect("timeout()", self._turn)

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
        self._task = self._work()
        self._setState(State.PREPARING)
        self._timer.start()

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
        self._answer = None
        ask(self._onAnswer)
        while self._answer is None:
            yield "wait"
        outputs, error = self._answer
        if error is not None:
            raise error
        return outputs

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

    def _turn(self) -> None:
        """Run the next piece."""
        task = self._task
        if self.over or task is None:
            return
        try:
            word = next(task)
        except StopIteration:
            self._finish(State.DONE, None)
        except UserError as error:
            cancelled = error.code == "cancelled"
            self._finish(State.CANCELLED if cancelled else State.FAILED, None if cancelled else error)
        except OSError as error:
            self._finish(State.FAILED, Paths.diskError(error))
        except Exception as error:  # ours: told, not lost
            logging.exception("SegToolkit: the run failed")
            hint = _("Please report it with the log (Copy report).")
            text = _("The run failed unexpectedly ({kind}: {error}).").format(
                kind=type(error).__name__, error=error
            )
            self._finish(State.FAILED, UserError("internal", text, hint))
        else:
            if self.over:
                task.close()  # it was ended by somebody whom it told something
            elif word != "wait":
                self._timer.start()

    def _onEvent(self, event: dict) -> None:
        if self.over:
            return
        if event["t"] == "progress":
            self._progress(event["phase"], event["step"], event["total"])
        elif event["t"] in ("warning", "log"):
            self.logged.emit(f"{event['text']} {event.get('hint', '')}".strip())

    def _onAnswer(self, outputs, error) -> None:
        self._answer = (outputs, error)
        if not self.over:
            self._timer.start()

    def _onInputGone(self, text: str) -> None:
        self._stop(State.FAILED, UserError("input-gone", text, self.goneHint))

    def _stop(self, state: State, error: UserError | None) -> None:
        if self.over or self.state == State.IDLE:
            return
        self._setState(State.CANCELLING)
        self._session.client.cancel()  # before anybody hears of the end, and asks the worker something new
        self._finish(state, error)

    def _finish(self, state: State, error: UserError | None) -> None:
        if self.over:
            return
        self._timer.stop()
        task, self._task = self._task, None
        if task is not None and state != State.DONE:
            # Removes the result's folder. ValueError: it is this very task that stops itself; see _turn.
            with contextlib.suppress(ValueError):
                task.close()
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
