"""Following runs and questions from a script, while the application goes on handling events."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError


def follow(run, waitForCompletion: bool, eventCallback=None):
    """Tell a script what a run tells, and wait for its end if that is wanted.

    Args:
        run: a run that has begun.
        waitForCompletion: see ``waitFor``; False returns at once.
        eventCallback: called with {"t": "progress", "phase", "step", "total"} and {"t": "log", "text"}.

    Returns:
        The run.
    """
    if eventCallback is not None:
        run.progressed.connect(
            lambda phase, step, total: eventCallback(
                {"t": "progress", "phase": phase, "step": step, "total": total}
            )
        )
        run.logged.connect(lambda text: eventCallback({"t": "log", "text": text}))
    if waitForCompletion:
        waitFor(run)
    return run


def waitFor(run) -> None:
    """Wait until a run is over.

    Raises:
        UserError: it failed or was cancelled.
    """
    loop = qt.QEventLoop()
    run.finished.connect(lambda _run: loop.quit())
    if not run.over:
        loop.exec()
    if run.error is not None:
        raise run.error
    if run.state.value != "done":
        raise UserError("cancelled", _("The run was cancelled."))


def answer(ask):
    """Call ``ask(onFinished)``, a question to the worker, and wait for its answer.

    Raises:
        UserError: it could not be answered.
    """
    loop, answers = qt.QEventLoop(), []

    def finished(outputs, error):
        answers.append((outputs, error))
        loop.quit()

    ask(finished)
    if not answers:
        loop.exec()
    outputs, error = answers[0]
    if error is not None:
        raise error
    return outputs
