"""One run: volumes out to the worker, results back into the scene, in small pieces between which Qt turns.

The run holds node IDs, never nodes, and looks them up anew in each piece: while it is busy the person may
delete an input, close the scene or quit.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.RunSettings import RunSettings
from SegToolkitGui.fewshot.SceneWatch import SceneWatch
from SegToolkitGui.fewshot.Session import FewShotSession
from SegToolkitGui.fewshot.States import State
from SegToolkitGui.fewshot.Supports import SupportExample, appearanceOf
from SegToolkitGui.scene import MaskExport
from SegToolkitGui.scene.Confidence import ConfidenceImport
from SegToolkitGui.scene.ResultImport import OutputChoice, ResultImport
from SegToolkitGui.scene.SequenceFrames import currentFrame
from SegToolkitGui.Signal import Signal

# Of one piece of work on the main thread; the event loop turns in between.
PIECE_MS = 15


@dataclass
class QueryResult:
    """What came out for one volume.

    Attributes:
        volumeId, segmentationId: MRML IDs; segmentIds: structure name -> segment ID.
        confidenceId: MRML ID of the confidence volume, or "".
        axis, nextSlice: slice axis, and the slice that is best outlined next (or None).
        nextConfidence: how sure that slice is, 0 to 1.
        notes: sentences the person should know.
        seconds: the worker's time.
    """

    volumeId: str
    segmentationId: str = ""
    segmentIds: dict[str, str] = field(default_factory=dict)
    confidenceId: str = ""
    axis: int = 2
    nextSlice: int | None = None
    nextConfidence: float | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class FewShotRun:
    """A run under way.

    Signals: stateChanged(State), progressed(phase, step, total), logged(line), finished(run).
    ``finished`` comes exactly once; then ``state`` is DONE, CANCELLED or FAILED and ``error`` says why.
    """

    def __init__(
        self, session: FewShotSession, settings: RunSettings, undoStack=None, previewNodeId: str = ""
    ) -> None:
        self.settings = settings
        self.state = State.IDLE
        self.error: UserError | None = None
        self.results: list[QueryResult] = []
        self.seconds = 0.0
        self.stateChanged = Signal()
        self.progressed = Signal()
        self.logged = Signal()
        self.finished = Signal()
        self._session = session
        self._undoStack = undoStack
        self._previewNodeId = previewNodeId
        self._answer = None
        self._outputs: dict = {}
        self._names: dict[str, str] = {}  # of volumes, by the paths of their files
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

    # The work, piece by piece: each yield lets the event loop turn

    def _work(self):
        if not self.settings.model:
            yield from self._chosenModel()
        supports = []
        for number, example in enumerate(self.settings.supports):
            self.progressed.emit(_("preparing"), number, len(self.settings.supports))
            image = yield from self._exported(example.volumeId, example.frame)
            supports.append(self._support(example, image, number))
            yield
        undoStack = self._undoStack if not self.settings.preview else None
        if undoStack is not None:
            undoStack.begin()  # one step for the whole run, however many volumes
        try:
            for number, volumeId in enumerate(self.settings.queryIds):
                yield from self._segmented(supports, volumeId, number)
        finally:
            if undoStack is not None:
                undoStack.end()

    def _segmented(self, supports: list[dict], volumeId: str, number: int):
        """One volume, from its export to its result in the scene."""
        image = yield from self._exported(volumeId, currentFrame(self._node(volumeId)))
        self._enter(State.RUNNING)
        folder = self._session.newResultFolder()
        try:
            yield from self._asked(self._request(supports, volumeId, image, folder), number)
            self._enter(State.IMPORTING)
            yield from self._imported(volumeId)
        finally:
            Paths.removeFolder(folder)

    def _chosenModel(self):
        """Ask which models there are, and take this machine's."""
        if not self._session.models:
            yield from self._wait(self._session.askModels)
        self.settings.model = self._session.defaultModel()
        if not self.settings.model:
            raise UserError("no-model", _("There is no few-shot model."), _("Add one under Model."))

    def _exported(self, volumeId: str, frame):
        """Path of the volume's file, written first if it is not there as it is now."""
        node = self._node(volumeId)
        for attempt in range(3):
            path, export = self._session.exports.pathFor(node, frame)
            self._names[str(path)] = node.GetName()
            try:
                while export is not None and not export.step(PIECE_MS):
                    self.progressed.emit(_("preparing"), int(100 * export.fraction), 100)
                    yield
                return path
            except UserError as error:
                # Somebody changed the volume meanwhile: what counts is how it is now.
                if error.code != "changed" or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _support(self, example: SupportExample, image: Path, number: int) -> dict:
        path = self._session.folder / "masks" / f"{number}.nrrd"
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = MaskExport.exportMask(
            self._node(example.segmentationId),
            example.presentSegmentIds(),
            self._node(example.volumeId),
            example.axis,
            example.index,
            path,
            example.frame,
        )
        if mask.overlaps:
            self.logged.emit(
                _("Outlines overlap on slice {index} of {name}: the later segment counts there.").format(
                    index=example.index, name=example.volume.GetName()
                )
            )
        return {
            "image": str(image),
            "mask": str(mask.path),
            "offset": list(mask.offset),
            "axis": example.axis,
            "slices": [example.index],
            "structures": {str(value): {"name": one["name"]} for value, one in mask.structures.items()},
        }

    def _request(self, supports: list[dict], volumeId: str, image: Path, folder: Path) -> dict:
        settings = self.settings
        return {
            "model": settings.model,
            "device": settings.device,
            "precision": "auto",
            "plane": settings.plane(),
            "axis": settings.axisOf(self._node(volumeId)),
            "supports": supports,
            "query": {"image": str(image), "axis": settings.axisOf(self._node(volumeId))},
            "slices": list(settings.slices) if settings.slices is not None else None,
            "preview": settings.previewSlice,
            "structures": settings.structures,
            "options": {"keep_largest": settings.keepLargest, "as_published": settings.asPublished},
            "out": str(folder),
            "confidence": settings.confidence,
            "accept_licence": settings.acceptLicence,
        }

    def _asked(self, request: dict, number: int):
        """Ask the worker for one volume."""
        ask = self._session.client.request
        try:
            outputs = yield from self._wait(lambda answered: ask("segment", request, self._onEvent, answered))
        except UserError as error:
            raise self._named(error) from None
        self._outputs = outputs
        for note in outputs.get("notes", ()):
            self.logged.emit(note)
        logging.info("SegToolkit: volume %d answered in %.2f s", number + 1, outputs["seconds"])

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

    def _imported(self, volumeId: str):
        outputs, settings = self._outputs, self.settings
        volume = self._node(volumeId)
        covered = None
        if settings.slices is not None and not settings.preview:
            covered = (outputs["axis"], *settings.slices)
        choice = self._choice(volume)
        undoable = self._undoStack is not None and not settings.preview
        if undoable:
            self._undoStack.remember(choice.segmentationNode if choice.mode != "new" else None)
        work = ResultImport(outputs, volume, choice, appearanceOf(settings.supports), covered=covered)
        made = []
        try:
            yield from self._pieces(work)
            if settings.confidence and outputs.get("confidence"):
                name = _("{name} confidence").format(name=volume.GetName())
                extra = ConfidenceImport(Path(outputs["confidence"]), volume, name)
                yield from self._pieces(extra)
                made.append(extra.volumeNode)
        except BaseException:  # cancelled as well: what is in the scene by now is taken out again
            if undoable:
                self._undoStack.abandon(work.segmentationNode)
            raise
        node = work.segmentationNode
        if undoable:
            self._undoStack.finish(node, made)
        result = QueryResult(
            volumeId=volumeId,
            segmentationId=node.GetID(),
            segmentIds=dict(work.segmentIds),
            confidenceId=made[0].GetID() if made else "",
            axis=outputs["axis"],
            nextSlice=outputs["next_slice"],
            notes=tuple(outputs.get("notes", ())),
            seconds=outputs["seconds"],
        )
        if result.nextSlice is not None:
            result.nextConfidence = outputs["slice_confidence"].get(str(result.nextSlice))
        self.results.append(result)

    def _pieces(self, work):
        """Do work in steps; given up cleanly if the run ends in the middle of it."""
        try:
            while not work.step(PIECE_MS):
                self.progressed.emit(_("importing"), int(100 * work.fraction), 100)
                yield
        finally:
            work.close()

    def _choice(self, volume) -> OutputChoice:
        settings = self.settings
        if settings.preview:
            node = self._node(self._previewNodeId)
            return OutputChoice("replace", node, node.GetName())
        if settings.mode == "new" or settings.segmentation is None:
            name = settings.outputName or _("{name} segmentation").format(name=volume.GetName())
            return OutputChoice("new", None, name)
        return OutputChoice(settings.mode, settings.segmentation, settings.segmentation.GetName())

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
            self.progressed.emit(event["phase"], event["step"], event["total"])
        elif event["t"] in ("warning", "log"):
            self.logged.emit(f"{event['text']} {event.get('hint', '')}".strip())

    def _onAnswer(self, outputs, error) -> None:
        self._answer = (outputs, error)
        if not self.over:
            self._timer.start()

    def _onInputGone(self, text: str) -> None:
        hint = _("Nothing of this run was kept for that volume.")
        self._stop(State.FAILED, UserError("input-gone", text, hint))

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

    def _enter(self, state: State) -> None:
        """Go over to another state, unless somebody who was told of something has ended the run."""
        if not self.over:
            self._setState(state)
        if self.over:
            raise UserError("cancelled", _("Cancelled."))

    def _setState(self, state: State) -> None:
        if self.state != state:
            self.state = state
            self.stateChanged.emit(state)

    def _named(self, error: UserError) -> UserError:
        """The worker's error with the names of volumes in place of our files'."""
        text, hint = error.text, error.hint
        for path, name in self._names.items():
            text, hint = text.replace(path, name), hint.replace(path, name)
        return UserError(error.code, text, hint, error.details)

    @staticmethod
    def _node(nodeId: str):
        node = slicer.mrmlScene.GetNodeByID(nodeId) if nodeId else None
        if node is None:
            raise UserError(
                "input-gone", _("An input of the run is no longer in the scene."), _("Start again.")
            )
        return node
