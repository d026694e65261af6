"""A training as a script holds it: begun with or without the panel, going on without either."""

from __future__ import annotations

import os

import qt
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Paths import absolute
from SegToolkitGui.Signal import Signal
from SegToolkitGui.training.RunPlan import RunPlan, freeName, madePlaces, proposedName
from SegToolkitGui.training.Schema import merged, unfolded
from SegToolkitGui.training.Session import TrainingSession
from SegToolkitGui.training.Texts import errorText, isLive


class TrainingRun:
    """One run. The object may be dropped at any time: the run does not notice.

    Attributes:
        name: of the run; "" until it is known.
        folder: of the run; "" until it has begun.
        status: what is known of it, as the worker's verb "jobs" tells it.
        error: why it could not begin, or why it failed; None otherwise.
        stateChanged: Signal(run).
        finished: Signal(run), it ended: finished, stopped, failed, interrupted or deleted.
    """

    def __init__(self, session: TrainingSession) -> None:
        self.name = ""
        self.folder = ""
        self.status: dict = {}
        self.error: UserError | None = None
        self.stateChanged = Signal()
        self.finished = Signal()
        self._session = session
        self._state = "starting"
        self._asking = False
        self._whenBegun: tuple[str, dict] | None = None  # an order that came before the run had a folder

    @property
    def state(self) -> str:
        """ "waiting", "starting", "running", "stopping", "stopped", "finished", "failed", "interrupted" or
        "deleted"."""
        return self._state

    @property
    def over(self) -> bool:
        """Whether it ended. A stopped or interrupted run can be resumed."""
        return self._state not in ("new", "waiting", "starting", "running", "stopping")

    @property
    def model(self) -> str:
        """Folder of the trained model, "" while there is none."""
        return str(self.status.get("model") or "")

    # Beginning

    def begin(self, plan: RunPlan) -> None:
        """Start a run with complete settings; returns at once."""
        self.name = plan.name
        if plan.dataset:
            self._session.machine.rememberDataset(plan.dataset)
        self._session.order("job_start", plan.body(), self._onStarted)

    def prepare(self, dataset, method, preset, settings, name, device, places, data=None) -> None:
        """Put settings together from a preset and changes, then begin; returns at once."""

        def known(_outputs=None, error=None):
            if error is not None:
                self._end("failed", error)
                return
            try:
                plan = self._plan(dataset, method, preset, settings, name, device, places, data)
            except UserError as mistake:
                self._end("failed", mistake)
                return
            self.begin(plan)

        # A free name can be told only when the names there are have been told.
        self._session.jobs.poll()
        self._session.askMethods(known)

    def _plan(self, dataset, method, preset, settings, name, device, places, data) -> RunPlan:
        for argument, value, kind, wanted in (
            ("dataset", dataset, str | os.PathLike | None, _("the path of a folder")),
            ("data", data, str | os.PathLike | None, _("the path of a folder")),
            ("preset", preset, str, _("a text")),
            ("name", name, str | None, _("a text")),
            ("device", device, str | None, _("a text")),
            ("settings", settings, dict | None, _("a dictionary")),
            ("places", places, dict | None, _("a dictionary")),
        ):
            names = value if isinstance(value, dict) else {}
            if not isinstance(value, kind) or not all(isinstance(one, str) for one in names):
                raise UserError(
                    "bad-argument",
                    _("{argument} must be {wanted}; it is {value!r}.").format(
                        argument=argument, wanted=wanted, value=value
                    ),
                    _("See help(logic.startTraining)."),
                )
        found = self._session.requireMethod(method)
        presets = {one["name"]: one for one in found["presets"]}
        if preset not in presets:
            raise UserError(
                "unknown-preset",
                _("{method} has no preset {preset!r}.").format(method=method, preset=preset),
                _("Presets: {names}.").format(names=", ".join(presets)),
            )
        taken = self._session.jobs.names()
        plan = RunPlan(
            name=freeName(name, taken) if name else proposedName(method, preset, taken),
            method=method,
            dataset=absolute(str(dataset or "")),
            settings=merged(presets[preset]["values"], unfolded(settings or {})),
            places={one: absolute(str(path)) for one, path in (places or {}).items()},
            device=device or self._session.machine.device,
            root=self._session.machine.runsFolder,
            needsDataset=bool(found.get("needs_dataset", True)),
            made=madePlaces(found),
            data=absolute(str(data or "")),
        )
        problem = plan.problem(set())
        if problem:
            raise UserError("cannot-start", problem)
        return plan

    def _onStarted(self, outputs, error) -> None:
        if error is not None:
            self._end("failed", error)
            return
        self.attach(outputs)
        self._session.jobs.update(outputs)
        if self._whenBegun is not None:
            self._act(*self._whenBegun)

    def attach(self, status: dict) -> None:
        """Take over a run that is there."""
        self.folder, self.name = status["folder"], status["name"]
        self._session.jobs.answered.connect(self._onJobs)
        self._state = ""  # that it has begun is worth telling whatever it does now
        self._take(status)

    # Ending

    def stop(self, keep: bool = False) -> None:
        """Finish the step, save and end; returns at once.

        Args:
            keep: also write the model, from the best weights so far. Such a run is finished; otherwise it
                can be resumed.
        """
        self._act("job_stop", {"keep": bool(keep)})

    def kill(self) -> None:
        """End its process at once; what came after the last checkpoint is lost."""
        self._act("job_kill", {})

    def resume(self) -> None:
        """Go on where it ended."""
        self._act("job_resume", {})

    def wait(self, seconds: float | None = None) -> TrainingRun:
        """Wait until it ended, while the application goes on handling events.

        Args:
            seconds: wait no longer than this; None waits as long as it takes.

        Returns:
            The run itself; ``over`` tells whether the time was enough.

        Raises:
            UserError: it could not begin, or it failed.
        """
        if not self.over:
            self._session.jobs.look(self)
            loop = qt.QEventLoop()
            timer = qt.QTimer()
            timer.setSingleShot(True)
            timer.connect("timeout()", loop.quit)
            if seconds is not None:
                timer.start(round(seconds * 1000))

            def leave(_run):
                loop.quit()

            self.finished.connect(leave)
            try:
                loop.exec()
            finally:
                timer.stop()
                self.finished.disconnect(leave)
                self._session.jobs.lookAway(self)
        if self.error is not None:
            raise self.error
        return self

    # What the list of runs tells

    def _act(self, verb: str, body: dict) -> None:
        if not self.folder:
            self._whenBegun = (verb, body)
            return

        def failed(error):
            self.error = error
            self.stateChanged.emit(self)

        self._session.act(verb, {"folder": self.folder, **body}, lambda _outputs: None, failed)

    def _onJobs(self) -> None:
        jobs = self._session.jobs
        status = jobs.status(self.folder)
        if status is not None:
            self._take(status)
            return
        if self._asking:
            return

        def told(outputs, error):
            self._asking = False
            if error is None:
                self._take(outputs)
            elif error.code == "no-run":
                self._end("deleted", None)

        # It is not in the list: it is gone, or the list is that of another folder of runs.
        self._asking = True
        self._session.quick("job_show", {"folder": self.folder}, told)

    def _take(self, status: dict) -> None:
        self.status = status
        state, before = status["state"], self._state
        if state == "failed":
            self.error = UserError(_codeOf(status), errorText(status) or _("The training failed."))
        elif isLive(status):
            self.error = None
        self._state = state
        if state != before:
            self.stateChanged.emit(self)
            if self.over:
                self.finished.emit(self)

    def _end(self, state: str, error: UserError | None) -> None:
        self._session.jobs.answered.disconnect(self._onJobs)
        self._state, self.error = state, error
        self.stateChanged.emit(self)
        self.finished.emit(self)


def _codeOf(status: dict) -> str:
    error = status.get("error")
    return str(error.get("code") or "failed") if isinstance(error, dict) else "failed"
