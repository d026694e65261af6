"""Apply, undo, what came out, and the table of volumes."""

from __future__ import annotations

from slicer.i18n import tr as _

from SegToolkitGui.autosegment import FramesText
from SegToolkitGui.autosegment.DicomSegPart import DicomSegPart
from SegToolkitGui.autosegment.FramesRun import FramesRun
from SegToolkitGui.autosegment.TableView import TableView
from SegToolkitGui.Errors import UserError
from SegToolkitGui.run.Durations import duration
from SegToolkitGui.run.RunPartBase import RunPartBase
from SegToolkitGui.run.States import State


class RunPart(RunPartBase):
    """Runs, and what became of them."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.table = TableView(panel, ui.volumesTable, ui.copyVolumesButton, ui.saveVolumesButton)
        self.dicomSeg = DicomSegPart(panel, self)

    def tearDown(self) -> None:
        """Let go of runner and session; a run goes on without the panel."""
        self.dicomSeg.tearDown()
        super().tearDown()

    # Showing

    def _showButtons(self, reason: str) -> None:
        ui, count = self.ui, self.panel.count()
        several = _("Apply to {count} volumes").format(count=count)
        ui.applyButton.setText(several if count > 1 else _("Apply"))
        ready = _("Segment all that is chosen.") if count > 1 else _("Segment the volume.")
        self.showStart(ui.applyButton, reason, ready)
        self.dicomSeg.refresh()
        run = self.panel.runner.withResults
        self.table.show(run.tableId if run is not None else "")
        ui.tableSection.setVisible(self.table.node is not None)

    @property
    def busy(self) -> bool:
        """Whether a run or an export is under way."""
        return super().busy or self.dicomSeg.busy

    # What the person does

    def onCancel(self) -> None:
        """Stop what is under way."""
        self.dicomSeg.cancel()
        super().onCancel()

    def startAllFrames(self) -> None:
        """Segment all frames of the volume's sequence."""
        if not self.busy:
            self._start(self.panel.settings(allFrames=True))

    # What the run tells

    def _changesModels(self, run) -> bool:
        """A card also tells how long the last run took."""
        done = run is self.panel.runner.segmented and run.state == State.DONE
        return done or super()._changesModels(run)

    def _tell(self, run) -> None:
        """What a segmentation found, and which volumes failed; a comparison is told by its own part."""
        if run is not self.panel.runner.segmented:
            return
        if run.tableId:
            self.ui.tableSection.collapsed = False
        if isinstance(run, FramesRun):
            self._say(run, FramesText.summary(run))
            return
        empty = [result for result in run.results if not result.segmentIds]
        texts = [self._summary(run)]
        if len(run.results) > 1 and empty:
            names = ", ".join(result.name for result in empty)
            texts.append(_("None of the organs was found in {names}.").format(names=names))
        # Of many volumes only what explains why nothing was found; the log has the rest.
        noted = run.results if len(run.results) == 1 else empty
        texts += dict.fromkeys(note for result in noted for note in result.notes)
        self._say(run, texts)

    def _say(self, run, texts: list[str]) -> None:
        """These sentences, and what failed."""
        for name, error in run.failures:
            texts.append(_("{name} failed: {error}").format(name=name, error=error))
        # Nothing sets a volume aside unseen: one failure among many is told in red.
        if run.failures:
            self.showError(UserError("partly-failed", " ".join(texts)))
        else:
            self.showMessage(" ".join(texts))

    def _summary(self, run) -> str:
        took = duration(run.seconds)
        if len(run.results) > 1:
            return _("{count} volumes segmented ({time}).").format(count=len(run.results), time=took)
        result = run.results[0]
        asked, found = len(result.rows), len(result.segmentIds)
        if not found:
            return _("None of the organs was found in {name} ({time}).").format(name=result.name, time=took)
        if found == asked:
            return _("Organs found: {count} ({time}).").format(count=found, time=took)
        missing = ", ".join(row["name"] for row in result.rows if row["name"] not in result.segmentIds)
        return _("Organs found: {count} ({time}). Not found: {names}.").format(
            count=found, time=took, names=missing
        )
