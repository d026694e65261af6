"""What every run has that segments volumes: volumes out to the worker, results back into the scene, undo."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import qt
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.ModelSession import ModelSession
from SegToolkitGui.run.SceneRun import PIECE_MS, SceneRun
from SegToolkitGui.run.States import State
from SegToolkitGui.scene import Placement
from SegToolkitGui.scene.ResultImport import OutputChoice, ResultImport
from SegToolkitGui.scene.SequenceFrames import currentFrame
from SegToolkitGui.scene.ValueMap import ValueMapImport

# After a result, its folder is looked for once more.
LATER_MS = 1000


class SegmentRun(SceneRun):
    """A run over one volume or many; the signals and ``state``, ``error``, ``seconds`` are SceneRun's.

    A module's run begins in ``_work``, asks with ``_request`` and takes the answer in ``_imported``.

    Args:
        session, settings: as of SceneRun.
        undoStack: remembers what the run changes; None where nothing is to be undone.

    Attributes:
        verb: what the worker is asked for each volume.
        pictures: whether volumes may be pictures in colour.
        undoneAttributes: of the segmentation, said of its voxels: undo takes them back as well.
        results: one for each finished volume.
        keptText: said when a run was cancelled that had results.
    """

    verb: ClassVar[str]
    pictures: ClassVar[bool] = False
    undoneAttributes: ClassVar[tuple[str, ...]] = ()
    goneHint = _("Nothing of this run was kept for that volume.")
    keptText = _("Volumes that were finished are kept.")

    def __init__(self, session: ModelSession, settings, undoStack=None) -> None:
        super().__init__(session, settings)
        self.results: list = []
        self._undoStack = undoStack
        self._names: dict[str, str] = {}  # of volumes, by the paths of their files

    def _request(self, volumeId: str, image: Path, folder: Path) -> dict:
        """What the worker is asked for a volume, whose file is ``image``; it answers into the folder."""
        raise NotImplementedError

    def _imported(self, volumeId: str, outputs: dict):
        """The worker's answer into the scene, and into ``results``."""
        raise NotImplementedError

    # Before the worker

    def _chosenModel(self, none: str):
        """Ask which models there are, and take this machine's where none is named.

        Args:
            none: said where there is none.
        """
        session, settings = self._session, self.settings
        if not session.models:
            yield from self._wait(session.askModels)
        settings.model = settings.model or session.defaultModel()
        if not settings.model:
            raise UserError("no-model", none, _("Add one under Model."))

    def _segmented(self, volumeId: str):
        """One volume, from its export to its result in the scene."""
        image = yield from self._exported(volumeId, self._frameOf(volumeId))
        self._enter(State.RUNNING)
        folder = self._session.newResultFolder()
        try:
            outputs = yield from self._answered(self._request(volumeId, image, folder))
            self._enter(State.IMPORTING)
            yield from self._imported(volumeId, outputs)
        finally:
            Paths.removeFolder(folder)
            # A worker that is being killed may make the folder once more, for a file that it was writing.
            qt.QTimer.singleShot(LATER_MS, lambda: Paths.removeFolder(folder, patience=0))

    def _frameOf(self, volumeId: str) -> int | None:
        """The frame to segment, from 0: the one that is shown; None for a volume of no sequence."""
        return currentFrame(self._node(volumeId))

    def _exported(self, volumeId: str, frame, matrix=None):
        """Path of the volume's file, written first if it is not there as it is now.

        Args:
            matrix: the place that the file states, as of VolumeExport.
        """
        node = self._node(volumeId)
        for attempt in range(3):
            path, export = self._session.exports.pathFor(node, frame, matrix, self.pictures)
            self._names[str(path)] = node.GetName()
            try:
                while export is not None and not export.step(PIECE_MS):
                    self._progress(_("preparing"), int(100 * export.fraction), 100)
                    yield
                return path
            except UserError as error:
                # Somebody changed the volume meanwhile: what counts is how it is now.
                if error.code != "changed" or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _answered(self, request: dict):
        """The worker's answer for one volume; what it notes is logged."""
        try:
            outputs = yield from self._asked(self.verb, request)
        except UserError as error:
            raise self._named(error) from None
        for note in outputs.get("notes", ()):
            self.logged.emit(note)
        logging.info("SegToolkit: the worker answered (seconds: %s)", outputs["seconds"])
        return outputs

    def _named(self, error: UserError) -> UserError:
        """The worker's error with the names of volumes in place of our files'."""
        text, hint = error.text, error.hint
        for path, name in self._names.items():
            text, hint = text.replace(path, name), hint.replace(path, name)
        return UserError(error.code, text, hint, error.details)

    # After the worker

    def _output(self, mode: str, volume, name: str = "") -> OutputChoice:
        """Where a volume's result goes: the settings' segmentation, or a new one of that name."""
        node = self.settings.segmentation
        if mode == "new" or node is None:
            return OutputChoice("new", None, name or _("{name} segmentation").format(name=volume.GetName()))
        return OutputChoice(mode, node, node.GetName())

    def _brought(self, work: ResultImport, choice: OutputChoice, extras: Sequence[ValueMapImport] = ()):
        """Bring a result and the maps that go with it into the scene; ``_keep`` follows.

        Returns:
            The nodes that were made besides the segmentation.
        """
        undo = self._undoStack
        if undo is not None:
            old = choice.segmentationNode if choice.mode != "new" else None
            undo.remember(old, self.undoneAttributes)
        try:
            yield from self._pieces(work)
            for extra in extras:
                yield from self._pieces(extra)
        except BaseException:  # cancelled as well: what is in the scene by now is taken out again
            for node in (one.volumeNode for one in extras):
                if node is not None and node.GetScene() is not None:
                    Placement.removeWithDisplay(node.GetScene(), node)
            if undo is not None:
                undo.abandon(work.segmentationNode)
            raise
        return [extra.volumeNode for extra in extras]

    def _keep(self, work: ResultImport, made: list) -> None:
        """The result is complete, ``made`` besides the segmentation: now it can be undone."""
        if self._undoStack is not None:
            self._undoStack.finish(work.segmentationNode, made)

    @contextlib.contextmanager
    def _oneUndoStep(self) -> Iterator[None]:
        """What is brought in meanwhile is taken back in one step, however many volumes."""
        if self._undoStack is not None:
            self._undoStack.begin()
        try:
            yield
        finally:
            if self._undoStack is not None:
                self._undoStack.end()
