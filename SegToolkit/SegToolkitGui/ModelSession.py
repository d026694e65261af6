"""A session that uses models: which there are, their terms, and the volumes that cross over to the worker."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene.VolumeExport import ExportCache
from SegToolkitGui.SessionBase import SessionBase, problemOf
from SegToolkitGui.Signal import Signal
from SegToolkitGui.WorkerClient import OnFinished, WorkerClient


class ModelSession(SessionBase):
    """One worker, the models it knows, and the files it is given.

    Attributes:
        modelsBody: body of the request "models"; chooses the models that count.
        models: as the worker's verb "models" tells them, the usable and the others.
        modelsKnown: whether it has told them, be it that there are none, and nothing has been lost since.
        modelFolder: folder of the person's own models.
        modelsProblem: why they are not known, "" if they are or are still being asked.
        modelsChanged: Signal().
    """

    modelsBody: ClassVar[dict] = {}

    def __init__(self, command: list[str] | None = None) -> None:
        super().__init__(command)
        self.models: list[dict] = []
        self.modelFolder = ""
        self.modelsProblem = ""
        self.modelsChanged = Signal()
        self._exports: ExportCache | None = None
        self._results = 0

    @property
    def client(self) -> WorkerClient:
        """The worker's client; its process starts with the first request."""
        return self.worker()

    @property
    def workerState(self) -> str:
        """State of the client, "off" while there is none."""
        return self._clients["worker"].state if "worker" in self._clients else "off"

    # Files

    @property
    def exports(self) -> ExportCache:
        """Volumes that were written for the worker and have not changed since."""
        folder = self.folder / "volumes"
        if self._exports is None:
            self._exports = ExportCache(folder)
        return self._exports

    def forgetVolumes(self) -> None:
        """Remove the volumes that were written; the scene they came from is closed."""
        if self._exports is not None:
            self._exports.clear()

    def newResultFolder(self) -> Path:
        """A folder for one result; the run removes it when the result is in the scene."""
        self._results += 1
        path = self.folder / "results" / f"{self._results:05d}"
        path.mkdir(parents=True)
        return path

    def shutDown(self) -> None:
        """End the worker for good and remove its files; safe to call twice."""
        super().shutDown()
        self._exports = None

    # Models

    @property
    def problem(self) -> str:
        """Why nothing can be computed here, in a sentence; "" if nothing is known against it."""
        return self.environmentProblem or self.modelsProblem

    @property
    def modelsKnown(self) -> bool:
        return self.knows("models")

    @property
    def noModels(self) -> str:
        """Why there is no model to choose from yet, in a sentence; "" once they are known."""
        if self.models or self.modelsKnown:  # those that were told before go on being offered
            return ""
        if "models" in self._failed:
            return _("No model could be looked up: see the log.")
        return _("Models are being looked up...")

    def wake(self) -> None:
        """Ask what is not known yet, unless the question is under way or has failed."""
        if not self.modelsKnown and self.mayAsk("models"):
            self.askModels()
        super().wake()

    def forgetFailures(self) -> None:
        """Something was installed or mended: what failed may be asked again."""
        super().forgetFailures()
        self.modelsProblem = ""

    def askModels(self, onFinished: OnFinished | None = None) -> None:
        """Ask which models there are; modelsChanged follows."""

        def finished(outputs, error):
            if error is None:
                self.models = list(outputs["models"])
                self.modelFolder = outputs.get("folder", "")
            self.modelsProblem = problemOf(error)
            self.modelsChanged.emit()
            if onFinished is not None:
                onFinished(outputs, error)

        self.askFact("models", self.modelsBody, finished)

    def model(self, name: str) -> dict | None:
        """What is known of a usable model."""
        return next((one for one in self.usableModels() if one["name"] == name), None)

    def listedModels(self) -> list[dict]:
        """Models to show; a session may leave out those that it has no use for."""
        return self.models

    def usableModels(self) -> list[dict]:
        """Models that can be chosen."""
        return [one for one in self.listedModels() if one["usable"]]

    def defaultModel(self) -> str:
        """The usable model used last on this machine, or else the first one; "" if there is none."""
        names = [one["name"] for one in self.usableModels()]
        recent = [name for name in self.machine.recentModels if name in names]
        return next(iter([*recent, *names]), "")

    def requireModel(self, name: str) -> dict:
        """The model of that name.

        Raises:
            UserError: there is none, or it cannot be used.
        """
        found = next((one for one in self.models if one["name"] == name), None)
        if found is not None and found["usable"]:
            return found
        if found is not None:
            raise UserError("bad-model", found["problem"], _("Choose another model."))
        names = ", ".join(one["name"] for one in self.usableModels()) or _("none")
        raise UserError(
            "unknown-model",
            _("There is no model {name!r}.").format(name=name),
            _("Models: {names}.").format(names=names),
        )

    def addModel(self, body: dict, onFinished: OnFinished) -> None:
        """Take a model folder, a zip of one, or an authors' checkpoint into the person's collection."""

        def finished(outputs, error):
            if error is None:
                refreshModels(self)
            onFinished(outputs, error)

        self.ask("add_model", body, finished)

    def acceptLicence(self, name: str, onFinished: OnFinished) -> None:
        """Remember that the terms of a model were accepted."""

        def finished(outputs, error):
            if error is None:
                for one in self.models:
                    if one["name"] == name:
                        one["licence"]["accepted"] = True
                self.modelsChanged.emit()
            onFinished(outputs, error)

        self.ask("accept_licence", {"model": name}, finished)


def refreshModels(*sessions: ModelSession) -> None:
    """A model came or went: these sessions ask anew, and every open one that has asked before."""
    known = [one for one in ModelSession.allShared() if one.models or one.modelsKnown]
    for session in dict.fromkeys([*sessions, *known]):
        session.askModels()
