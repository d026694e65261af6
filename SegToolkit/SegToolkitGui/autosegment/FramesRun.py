"""One run over all frames of a sequence: segmentations and maps as sequences, volumes as a curve."""

from __future__ import annotations

import logging

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.autosegment.Run import FATAL, AutoSegmentRun, VolumeResult, appearance
from SegToolkitGui.autosegment.VolumeCurve import VolumeCurve
from SegToolkitGui.Errors import UserError
from SegToolkitGui.run.States import State
from SegToolkitGui.scene import Placement, TableNodes
from SegToolkitGui.scene.FrameEdits import FrameEdits
from SegToolkitGui.scene.FrameSequence import FrameSequence
from SegToolkitGui.scene.ResultImport import OutputChoice, ResultImport
from SegToolkitGui.scene.SequenceFrames import browserOf, dataNodeOfFrame, frameCount

# Failures after which no further frame can be segmented, besides those of every volume.
LOST = ("input-gone", "no-frame", "output-deleted", "volume-deleted")


class FramesRun(AutoSegmentRun):
    """A run under way over all frames of a volume's sequence; ``results`` has one for each finished one.

    What is finished stays when the run is cancelled. The browser stays where the person has it.

    Attributes:
        frames: how many there are; 0 before the run knows.
        curve: volumes by frame; its table is ``tableId``.
        ventricles: what each ventricle does, as the worker's ``ejection`` answers; [] until all is done.
        heartNotes: sentences about how far these hold.
        heartTableId: MRML ID of their table, or "".
    """

    keptText = _("Frames that were finished are kept.")

    def __init__(self, session, settings, undoStack=None) -> None:
        super().__init__(session, settings, undoStack)
        self.frames = 0
        self.curve = VolumeCurve(0)
        self.ventricles: list[dict] = []
        self.heartNotes: list[str] = []
        self.heartTableId = ""
        self._segments = FrameSequence(keepEdits=True)
        self._edits = FrameEdits()
        self._maps: dict[str, FrameSequence] = {}

    def _work(self):
        yield from self._model()
        volumeId = self.settings.volumeIds[0]
        self.frames = frameCount(self._node(volumeId))
        self.curve = VolumeCurve(self.frames)
        with self._oneUndoStep():
            for frame in range(self.frames):
                yield from self._oneFrame(volumeId, frame)
            if self.results:
                yield from self._heart(volumeId)
        if self.failures and not self.results:
            raise self.failures[0][1]

    def _oneFrame(self, volumeId: str, frame: int):
        """One frame; its failure is kept for the end."""
        self._frame = frame
        self._enter(State.PREPARING)
        self.progressed.emit(_("frames"), frame, self.frames)
        name = _("Frame {number}").format(number=frame + 1)
        self.logged.emit(_("Frame {number} of {count}").format(number=frame + 1, count=self.frames))
        try:
            yield from self._segmented(volumeId)
        except UserError as error:
            if self.over or error.code in (*FATAL, *LOST, "cancelled"):
                raise
            self.failures.append((name, error))
            self.logged.emit(f"{name}: {error}")
            logging.warning("SegToolkit: %s: %s", name, error)
        finally:
            self._session.forgetVolumes()  # the files of a long sequence would fill the disk

    def _frameOf(self, volumeId: str) -> int | None:
        return self._frame

    def _progress(self, phase: str, step: int, total: int) -> None:
        """Told is how many frames are done: the parts of each would make the bar jump."""

    def _imported(self, volumeId: str, outputs: dict):
        volume = self._node(volumeId)
        title = _("{name} segmentation").format(name=volume.GetName())
        # Every frame has all segments, some of them empty: what is chosen for one holds in all frames.
        choice = OutputChoice("new", None, title, visible=False)
        work = ResultImport(outputs, volume, choice, appearance(outputs["structures"]))
        extras = self._mapImports(outputs["maps"], volume)
        nodes = yield from self._brought(work, choice, list(extras.values()))
        # From here to the end nothing waits: no half frame is ever shown or kept.
        made = self._filled(volume, work.segmentationNode, dict(zip(extras, nodes, strict=True)))
        self.curve.put(self._frame, outputs)
        made += self.curve.show(volume)
        self.tableId = self.curve.tableId
        found = {one["name"] for one in outputs["structures"] if one["voxels"]}
        self.results.append(
            VolumeResult(
                name=_("Frame {number}").format(number=self._frame + 1),
                volumeId=volumeId,
                segmentationId=self._segments.proxyId,
                segmentIds={name: one for name, one in work.segmentIds.items() if name in found},
                mapIds={name: one.proxyId for name, one in self._maps.items()},
                rows=list(outputs["table"]),
                unit=outputs.get("unit", ""),
                frame=self._frame,
                notes=tuple(outputs.get("notes", ())),
                seconds=dict(outputs["seconds"]),
            )
        )
        self._made(made)

    def _filled(self, volume, segmentation, maps: dict) -> list:
        """Take nodes over into their sequences; returns the nodes that were made."""
        frame = self._frame
        try:
            made = self._segments.put(volume, frame, segmentation)
            value = browserOf(volume).GetMasterSequenceNode().GetNthIndexValue(frame)
            self._edits.note(self._segments.sequenceId, self._segments.proxyId, value)
            for name, node in maps.items():
                made += self._maps.setdefault(name, FrameSequence(keepEdits=False)).put(volume, frame, node)
        except UserError:
            proxies = {one.proxyId for one in self._maps.values()}
            for node in maps.values():
                if node.GetScene() is not None and node.GetID() not in proxies:
                    Placement.removeWithDisplay(slicer.mrmlScene, node)
            raise
        return made

    def _made(self, nodes: list) -> None:
        """These nodes go when the run is undone, unless a person has corrected a frame."""
        if self._undoStack is not None:
            self._undoStack.finish(None, nodes, self._edits)

    # After the last frame

    def _heart(self, volumeId: str):
        """What the ventricles do, if there are any; without it, the frames are no less finished."""
        self._enter(State.RUNNING)
        try:
            # Not of the volume itself, which may show a frame that has no image.
            image = dataNodeOfFrame(self._node(volumeId), self.results[-1].frame).GetImageData()
            body = {
                "curves": self.curve.ml,
                "terminology": self.curve.terminology,
                "slices": min(image.GetDimensions()),
            }
            outputs = yield from self._asked("ejection", body)
            volume = self._node(volumeId)
        except UserError as error:
            if self.over or error.code == "cancelled":
                raise
            self.logged.emit(str(error))
            return
        self.ventricles, self.heartNotes = list(outputs["ventricles"]), list(outputs["notes"])
        for note in self.heartNotes:
            self.logged.emit(note)
        if self.ventricles:
            if self._undoStack is not None:
                self._undoStack.remember(None)
            self._made([self._heartTable(volume)])

    def _heartTable(self, volume):
        rows = self.ventricles
        columns = [
            (_("Ventricle"), [row["name"] for row in rows]),
            (_("EDV ml"), [row["edv_ml"] for row in rows]),
            (_("ESV ml"), [row["esv_ml"] for row in rows]),
            (_("Stroke volume ml"), [row["stroke_ml"] for row in rows]),
            (_("Ejection fraction %"), [100 * row["ejection_fraction"] for row in rows]),
            (_("End-diastolic frame"), [row["end_diastole"] + 1 for row in rows]),
            (_("End-systolic frame"), [row["end_systole"] + 1 for row in rows]),
        ]
        name = _("{name} ejection fraction").format(name=volume.GetName())
        table = TableNodes.makeTable(name, columns, " ".join(self.heartNotes))
        Placement.underSamePatient(table, volume)
        self.heartTableId = table.GetID()
        return table
