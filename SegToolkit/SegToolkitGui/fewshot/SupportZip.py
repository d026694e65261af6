"""Support examples as one zip file: to keep them, or to give them to a colleague.

The worker packs and unpacks, so that the file is the one that the command line reads as well.
"""

from __future__ import annotations

import logging
from pathlib import Path

import qt
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.Session import FewShotSession
from SegToolkitGui.fewshot.Supports import SupportExample, SupportList
from SegToolkitGui.run.SceneRun import PIECE_MS
from SegToolkitGui.scene import MaskExport
from SegToolkitGui.scene.SupportScene import SupportLoad
from SegToolkitGui.Signal import Signal


class SupportZip:
    """Writing or reading a zip, in pieces between which the event loop turns.

    Signal: finished(error or None); ``message`` is a sentence on what was done.
    """

    def __init__(self, session: FewShotSession) -> None:
        self.finished = Signal()
        self.message = ""
        self._session = session
        self._task = None
        self._answer = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(1)
        self._timer.connect("timeout()", self._turn)

    def export(self, examples: list[SupportExample], path: Path) -> None:
        """Write examples to a zip; whole volumes, because intensities are judged over the whole volume."""
        self._begin(self._exporting(examples, Path(path)))

    def load(self, path: Path, supports: SupportList) -> None:
        """Load the volumes and outlines of a zip into the scene, and add its examples to the list."""
        self._begin(self._loading(Path(path), supports))

    def cancel(self) -> None:
        """Give up; nothing half-written stays."""
        if self._task is not None:
            self._end(UserError("cancelled", _("Cancelled.")))
            self._session.client.cancel()

    def _begin(self, task) -> None:
        self._task = task
        self._timer.start()

    def _exporting(self, examples, path: Path):
        if not examples:
            raise UserError("no-support", _("There is no example to export."), _("Add one first."))
        folder = self._session.newResultFolder()
        try:
            items = []
            for number, example in enumerate(examples):
                problem = example.problem()
                if problem:
                    raise UserError("bad-support", problem)
                image, export = self._session.exports.pathFor(example.volume, example.frame)
                while export is not None and not export.step(PIECE_MS):
                    yield
                mask = MaskExport.exportMask(
                    example.segmentation,
                    example.presentSegmentIds(),
                    example.volume,
                    example.axis,
                    example.index,
                    folder / f"{number}.nrrd",
                    example.frame,
                )
                items.append(
                    {
                        "image": str(image),
                        "mask": str(mask.path),
                        "offset": list(mask.offset),
                        "axis": example.axis,
                        "plane": example.plane(),
                        "slices": [example.index],
                        "name": example.volume.GetName(),
                        "structures": {str(value): dict(one) for value, one in mask.structures.items()},
                    }
                )
                yield
            outputs = yield from self._asked("pack_support", {"path": str(path), "items": items})
            self.message = _("{count} examples are in {path} ({size:.1f} MB).").format(
                count=len(items), path=path, size=outputs["size_mb"]
            )
        finally:
            Paths.removeFolder(folder)

    def _loading(self, path: Path, supports: SupportList):
        folder = self._session.newResultFolder()
        try:
            outputs = yield from self._asked("unpack_support", {"path": str(path), "folder": str(folder)})
            work = SupportLoad(outputs["items"])
            try:
                while not work.step(PIECE_MS):
                    yield
            finally:
                work.close()
            for one in work.loaded:
                supports.add(one.volumeNode, one.segmentationNode, one.segmentIds, one.axis, one.index)
            count = len(work.loaded)
            self.message = _("{count} examples were taken from {path}.").format(count=count, path=path)
        finally:
            Paths.removeFolder(folder)

    def _asked(self, verb: str, body: dict):
        self._answer = None
        self._session.client.request(verb, body, None, self._onAnswer)
        while self._answer is None:
            yield "wait"
        outputs, error = self._answer
        if error is not None:
            raise error
        return outputs

    def _onAnswer(self, outputs, error) -> None:
        self._answer = (outputs, error)
        if self._task is not None:
            self._timer.start()

    def _turn(self) -> None:
        if self._task is None:
            return
        try:
            word = next(self._task)
        except StopIteration:
            self._end(None)
        except UserError as error:
            self._end(error)
        except OSError as error:
            self._end(Paths.diskError(error))
        except Exception as error:  # ours: told, and the buttons do not stay locked
            logging.exception("SegToolkit: the zip of examples failed")
            text = _("That failed unexpectedly ({kind}: {error}).").format(
                kind=type(error).__name__, error=error
            )
            self._end(UserError("internal", text, _("Please report it with the log (Copy report).")))
        else:
            if word != "wait":
                self._timer.start()

    def _end(self, error) -> None:
        self._timer.stop()
        task, self._task = self._task, None
        if task is not None:
            task.close()
            self.finished.emit(error)
