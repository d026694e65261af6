"""The workers behind the training module, and what they told about methods, devices and runs.

Runs belong to nobody: each is a process of its own, and neither the session's end nor Slicer's ends one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar

from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.MachineSettings import MachineSettings
from SegToolkitGui.SessionBase import SessionBase, problemOf
from SegToolkitGui.Signal import Signal
from SegToolkitGui.training.JobWatch import JobWatch
from SegToolkitGui.training.Machine import TrainingMachine
from SegToolkitGui.training.SlowWork import SlowWork
from SegToolkitGui.WorkerClient import OnEvent, OnFinished


class TrainingSession(SessionBase):
    """Three workers: "quick" tells at once about runs, "orders" changes them, and "slow" takes its time.

    An order may wait for a process to begin or to end, or for a slow disk; what is known of the other runs
    is not to wait with it.

    Attributes:
        methods: what can be trained, as the worker's verb "methods" tells it.
        methodsProblem: why that is not known, "" if it is or is still being asked.
        jobs: the runs (JobWatch).
        slow: checks, estimates, files to be written (SlowWork).
        methodsChanged: Signal().
    """

    machineClass: ClassVar[type[MachineSettings]] = TrainingMachine

    def __init__(self, command: list[str] | None = None) -> None:
        super().__init__(command)
        self.methods: list[dict] = []
        self.methodsProblem = ""
        self.methodsChanged = Signal()
        self._orders: set[tuple[str, str]] = set()  # under way
        self.jobs = JobWatch(self.quick, lambda: self.machine.runsFolder)
        self.slow = SlowWork(
            lambda verb, body, onEvent, onFinished: self.ask(verb, body, onFinished, onEvent, "slow"),
            lambda: self.cancel("slow"),
        )

    def quick(self, verb: str, body: dict, onFinished: OnFinished, onEvent: OnEvent | None = None) -> None:
        """Ask the worker that answers at once."""
        self.ask(verb, body, onFinished, onEvent, "quick")

    def order(self, verb: str, body: dict, onFinished: OnFinished) -> None:
        """Ask the worker that does things with runs."""
        self.ask(verb, body, onFinished, worker="orders")

    def act(
        self, verb: str, body: dict, onDone: Callable[[dict], Any], onError: Callable[[Any], Any]
    ) -> None:
        """Do something with a run; the list of runs follows by itself.

        The same once more while it is being done (a second click) is not heard.
        """
        key = (verb, body["folder"])
        if key in self._orders:
            return
        self._orders.add(key)

        def finished(outputs, error):
            self._orders.discard(key)
            if error is None:
                onDone(outputs)
            else:
                onError(error)
            self.jobs.poll()

        self.order(verb, body, finished)

    # What the panel wants to know

    @property
    def problem(self) -> str:
        """Why nothing can be trained here, in a sentence; "" if nothing is known against it."""
        return self.environmentProblem or self.methodsProblem

    def wake(self) -> None:
        """Ask what is not known yet, unless the question is under way or has failed."""
        if not self.knows("methods") and self.mayAsk("methods"):
            self.askMethods()
        super().wake()

    def forgetFailures(self) -> None:
        """Something was installed or mended: what failed may be asked again."""
        super().forgetFailures()
        self.methodsProblem = ""
        self.jobs.forgetFailure()

    def requestFact(self, verb: str, body: dict, onFinished: OnFinished) -> None:
        """Devices are the slow worker's to find: it loads torch."""
        if verb == "environment":
            self.slow.ask("environment", verb, body, None, onFinished)
        else:
            self.quick(verb, body, onFinished)

    def askMethods(self, onFinished: OnFinished | None = None) -> None:
        """Ask what can be trained; methodsChanged follows."""

        def finished(outputs, error):
            if error is None:
                self.methods = list(outputs["methods"])
            self.methodsProblem = problemOf(error)
            self.methodsChanged.emit()
            if onFinished is not None:
                onFinished(outputs, error)

        self.askFact("methods", {}, finished)

    def method(self, name: str) -> dict | None:
        """What is known of a method."""
        return next((one for one in self.methods if one["name"] == name), None)

    def requireMethod(self, name: str) -> dict:
        """The method of that name.

        Raises:
            UserError: there is none.
        """
        found = self.method(name)
        if found is None:
            names = ", ".join(one["name"] for one in self.methods) or _("none")
            raise UserError(
                "unknown-method",
                _("There is no method {name!r} in this SegToolkit.").format(name=name),
                _("Methods: {names}.").format(names=names),
            )
        return found

    # The end

    def onQuit(self) -> None:
        """Slicer ends; runs do not."""
        names = [job["name"] for job in self.jobs.live]
        if names:
            logging.info("SegToolkit: these trainings go on without Slicer: %s", ", ".join(names))
        super().onQuit()

    def shutDown(self) -> None:
        """End the workers for good and remove their files; safe to call twice. Runs go on."""
        self.jobs.end()
        super().shutDown()

    def stopWorkers(self) -> None:
        """End the workers at once; they start again with the next question. Runs go on."""
        self.slow.clear()
        super().stopWorkers()
