"""Work as a generator that a timer drives: between its pieces Qt's event loop turns."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator
from typing import Any

import qt
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError

WAIT = "wait"


class TimedTask:
    """Takes a piece of the work each turn of the event loop; ends itself for whatever the work raises.

    Args:
        work: each of its yields ends a piece; after a yielded WAIT the next one comes only when ``wake`` is
            called.
        onEnd: called once with None or the UserError that ended the work, and never after ``stop``.
        failed: what is said of errors that are ours, with {kind} and {error}.

    Attributes:
        asking: whether the work waits for an answer.
    """

    def __init__(
        self, work: Generator[Any, None, Any], onEnd: Callable[[UserError | None], Any], failed: str
    ) -> None:
        self.asking = False
        self._work: Generator[Any, None, Any] | None = work
        self._onEnd = onEnd
        self._failed = failed
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(1)
        self._timer.connect("timeout()", self._turn)

    def start(self) -> None:
        """Begin; returns at once."""
        self._timer.start()

    def wake(self) -> None:
        """Go on, unless it is over."""
        if self._work is not None:
            self._timer.start()

    def ask(self, ask: Callable[[Callable[[Any, UserError | None], None]], Any]):
        """Within the work: call ``ask(onFinished)``, sleep until it is answered, and return the answer.

        Raises:
            UserError: the answer is an error.
        """
        answers: list[tuple[Any, UserError | None]] = []

        def answered(outputs: Any, error: UserError | None) -> None:
            answers.append((outputs, error))
            self.asking = False
            self.wake()

        self.asking = True
        ask(answered)
        while not answers:
            yield WAIT
        outputs, error = answers[0]
        if error is not None:
            raise error
        return outputs

    def stop(self) -> None:
        """Give up: what the work cleans up at its end is cleaned up; safe to call twice and from the work."""
        self._timer.stop()
        work, self._work = self._work, None
        if work is not None:
            # ValueError: it is the work that stops itself; see _turn.
            with contextlib.suppress(ValueError):
                work.close()

    def _turn(self) -> None:
        """Take the next piece."""
        work = self._work
        if work is None:
            return
        try:
            word = next(work)
        except StopIteration:
            self._end(None)
        except UserError as error:
            self._end(error)
        except OSError as error:
            self._end(Paths.diskError(error))
        except Exception as error:  # ours: told, and nothing stays locked
            logging.exception("SegToolkit: a task failed")
            text = self._failed.format(kind=type(error).__name__, error=error)
            self._end(UserError("internal", text, _("Please report it with the log (Copy report).")))
        else:
            if self._work is None:
                work.close()  # it was stopped by somebody whom it told something
            elif word != WAIT:
                self._timer.start()

    def _end(self, error: UserError | None) -> None:
        if self._work is None:
            return  # stopped meanwhile
        self._timer.stop()
        self._work = None
        self._onEnd(error)
