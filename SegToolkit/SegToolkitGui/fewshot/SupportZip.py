"""Support examples as one zip file: to keep them, or to give them to a colleague.

The worker packs and unpacks, so that the file is the one that the command line reads as well.
"""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.Session import FewShotSession
from SegToolkitGui.fewshot.Supports import SupportExample, SupportList
from SegToolkitGui.run.SceneRun import PIECE_MS
from SegToolkitGui.scene import MaskExport
from SegToolkitGui.scene.SupportScene import SupportLoad
from SegToolkitGui.Signal import Signal
from SegToolkitGui.TimedTask import TimedTask


class SupportZip:
    """Writing or reading a zip, in pieces between which the event loop turns.

    Signal: finished(error or None); ``message`` is a sentence on what was done.
    """

    def __init__(self, session: FewShotSession) -> None:
        self.finished = Signal()
        self.message = ""
        self._session = session
        self._task: TimedTask | None = None

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
            self._session.cancel()

    def _begin(self, work) -> None:
        self._task = TimedTask(work, self._end, _("That failed unexpectedly ({kind}: {error})."))
        self._task.start()

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
        request = self._session.client.request
        return (yield from self._task.ask(lambda answered: request(verb, body, None, answered)))

    def _end(self, error: UserError | None) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.stop()
            self.finished.emit(error)
