"""A segmentation of a DICOM volume as one DICOM SEG file, which the DICOM browser gets too."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import DicomDatabase
from SegToolkitGui.scene.LabelMapExport import LabelMapExport
from SegToolkitGui.Signal import Signal
from SegToolkitGui.TimedTask import TimedTask

# Of one piece of work on the main thread; the event loop turns in between.
PIECE_MS = 15
# Where Slicer's DICOM plugins write down which instances a volume was loaded from.
INSTANCES = "DICOM.instanceUIDs"


def problem(segmentationNode, volumeNode) -> str:
    """Why a segmentation cannot be exported as DICOM SEG, in a sentence; "" if it can.

    Cheap enough to be asked whenever a selection changes: no file is looked at.
    """
    if segmentationNode is None or segmentationNode.GetSegmentation().GetNumberOfSegments() == 0:
        return _("Choose a segmentation with at least one segment.")
    if volumeNode is None:
        return _("Choose the volume that was segmented.")
    if not (volumeNode.GetAttribute(INSTANCES) or "").strip():
        return _(
            "{name} was not loaded by the DICOM browser, so there is no series that a DICOM SEG can refer to."
        ).format(name=volumeNode.GetName())
    return ""


class DicomSegExport:
    """One export, in pieces between which the event loop turns.

    Signals: finished(export), exactly once after ``start``; progressed(phase, step, total).

    Args:
        client: WorkerClient of the session.
        folder: the session's exchange folder; what is put there is removed again.
        segmentationNode, volumeNode: what is exported, and the volume whose DICOM files it refers to.
        path: the file to write; None: into the DICOM database only.
        algorithm, version: what made the segmentation, such as a model's title; "" for outlines by hand.
        description: of the new series; "" takes the segmentation's name.
        addToDatabase: put a copy into the application's DICOM database, if there is one.

    Attributes:
        error: why it failed (UserError; code "cancelled" after cancel); None while it runs or if it worked.
        path: the file, None if only the database has it.
        inDatabase: whether the DICOM database has it.
        notes: sentences the person should know (overlaps, segments without voxels).
        seriesUid: Series Instance UID of the new series.
        over: whether it has finished, in whatever way.
    """

    def __init__(
        self,
        client,
        folder: Path,
        segmentationNode,
        volumeNode,
        path: Path | None = None,
        *,
        algorithm: str = "",
        version: str = "",
        description: str = "",
        addToDatabase: bool = True,
    ) -> None:
        self.finished = Signal()
        self.progressed = Signal()
        self.error: UserError | None = None
        self.path = Path(path) if path is not None else None
        self.inDatabase = False
        self.notes: list[str] = []
        self.seriesUid = ""
        self.over = False
        self._client = client
        self._root = Path(folder)
        self._segmentation = segmentationNode
        self._volume = volumeNode
        self._about = {"algorithm": algorithm, "version": version, "description": description}
        self._addToDatabase = addToDatabase
        self._task: TimedTask | None = None

    def start(self) -> None:
        """Check and begin; returns at once.

        Raises:
            UserError: "cannot-export", "no-database".
        """
        text = problem(self._segmentation, self._volume)
        if text:
            raise UserError("cannot-export", text)
        if self.path is None and not (self._addToDatabase and DicomDatabase.database() is not None):
            raise UserError(
                "no-database", _("There is no DICOM database to export to."), _("Choose a file instead.")
            )
        self._task = TimedTask(
            self._work(), self._end, _("The export failed unexpectedly ({kind}: {error}).")
        )
        self._task.start()

    def cancel(self) -> None:
        """Give up; no half-written file stays."""
        if self._task is not None:
            asked = self._task.asking
            self._end(UserError("cancelled", _("Cancelled.")))
            if asked:
                self._client.cancel()

    def _work(self):
        files = sourceFiles(self._volume)
        folder = Path(tempfile.mkdtemp(prefix="dicom-seg-", dir=str(self._root)))
        try:
            labels = LabelMapExport([self._segmentation], self._volume, folder / "labels.nrrd")
            try:
                while not labels.step(PIECE_MS):
                    self.progressed.emit(_("preparing"), int(100 * labels.fraction), 100)
                    yield
            finally:
                labels.close()
            if labels.overlaps:
                self.notes.append(
                    _("Segments overlap; there, the later one counts: {names} lost voxels.").format(
                        names=", ".join(labels.overlaps)
                    )
                )
            if labels.empty:
                self.notes.append(
                    _("Left out, because they have no voxel in {name}: {names}.").format(
                        name=self._volume.GetName(), names=", ".join(labels.empty)
                    )
                )
            # A folder of its own: the database takes whole folders.
            written = folder / "seg" / (self.path.name if self.path else "segmentation.dcm")
            written.parent.mkdir()
            request = {
                "labels": str(labels.path),
                "files": files,
                "out": str(written),
                "segments": [
                    {"value": value, **one, "colour": list(one["colour"])}
                    for value, one in labels.structures.items()
                ],
                **self._about,
                "description": self._about["description"] or self._segmentation.GetName(),
            }
            outputs = yield from self._asked(request)
            self.notes += outputs.get("notes", [])
            self.seriesUid = outputs["series_uid"]
            if self.path is not None:
                copied(written, self.path)
            if self._addToDatabase and DicomDatabase.database() is not None:
                self.progressed.emit(_("adding to the DICOM database"), 0, 1)
                yield
                self.inDatabase = intoDatabase(written.parent, outputs["instance_uid"])
                if not self.inDatabase:
                    text = _("The DICOM database did not take the file.")
                    if self.path is None:
                        raise UserError("database", text, _("Export to a file instead."))
                    self.notes.append(text)
        finally:
            Paths.removeFolder(folder)

    def _asked(self, body: dict):
        request = self._client.request
        ask = self._task.ask(lambda answered: request("export_dicom_seg", body, self._onEvent, answered))
        return (yield from ask)

    def _onEvent(self, event: dict) -> None:
        if event["t"] == "progress" and not self.over:
            self.progressed.emit(event["phase"], event["step"], event["total"])

    def _end(self, error: UserError | None) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        task.stop()
        self.error = error
        self.over = True
        self.finished.emit(self)


def sourceFiles(volumeNode) -> list[str]:
    """The DICOM files that a volume was loaded from.

    Raises:
        UserError: "no-database", "dicom-gone".
    """
    uids = (volumeNode.GetAttribute(INSTANCES) or "").split()
    database = DicomDatabase.database()
    if database is None:
        raise UserError(
            "no-database",
            _("The DICOM database that {name} came from is not open.").format(name=volumeNode.GetName()),
            _("Open the module DICOM once, or choose the database in the application settings."),
        )
    # An enhanced (multi-frame) file is one instance, whatever the number of slices.
    paths = [database.fileForInstance(uid) for uid in dict.fromkeys(uids)]
    gone = sum(not path or not Path(path).is_file() for path in paths)
    if gone or not paths:
        raise UserError(
            "dicom-gone",
            _("{gone} of {count} DICOM files of {name} are no longer there.").format(
                gone=gone, count=len(paths), name=volumeNode.GetName()
            ),
            _("Import the study into the DICOM database again."),
        )
    return [str(path) for path in paths]


def copied(source: Path, target: Path) -> None:
    """Copy a file; under its name there is the old content or the whole new one."""
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def intoDatabase(folder: Path, instanceUid: str) -> bool:
    """Copy the DICOM files of a folder into the application's database; whether it has the instance then."""
    from DICOMLib import DICOMUtils

    DICOMUtils.importDicom(str(folder), None, True)
    return bool(DicomDatabase.database().fileForInstance(instanceUid))
