"""The button that writes the result as a DICOM segmentation object."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.autosegment.Compare import referenceVolume
from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import DicomSegExport


class DicomSegPart:
    """One export at a time; the strip shows its progress.

    Args:
        panel: the panel.
        running: its RunPart, which shows what becomes of it.
    """

    def __init__(self, panel, running) -> None:
        self._panel, self._running = panel, running
        self.export: DicomSegExport.DicomSegExport | None = None
        panel.ui.dicomSegButton.connect("clicked(bool)", panel.guarded(self.onExport))

    @property
    def busy(self) -> bool:
        """Whether an export is under way."""
        return self.export is not None and not self.export.over

    def tearDown(self) -> None:
        """The panel ends, and the export with it."""
        self.cancel()

    def cancel(self) -> None:
        """Give up the export, if there is one."""
        if self.busy:
            self.export.cancel()

    def refresh(self) -> None:
        """Say why nothing can be exported, in the tool tip."""
        button = self._panel.ui.dicomSegButton
        problem = self._problem()
        button.setEnabled(not problem and not self._running.busy)
        button.setToolTip(problem or _("Write the result as a DICOM segmentation object (DICOM SEG)."))

    def _nodes(self):
        node = self._running.resultNode()
        return node, referenceVolume(node) if node is not None else None

    def _problem(self) -> str:
        return DicomSegExport.problem(*self._nodes())

    def onExport(self) -> None:
        """Ask for a file and export."""
        problem = self._problem()
        if problem:
            raise UserError("cannot-export", problem)
        machine = self._panel.session.machine
        suggested = str(Path(machine.lastFolder or Path.home()) / "segmentation.dcm")
        path = str(
            qt.QFileDialog.getSaveFileName(
                slicer.util.mainWindow(), _("DICOM SEG file"), suggested, _("DICOM files") + " (*.dcm)"
            )
            or ""
        )
        if not path:
            return
        machine.lastFolder = str(Path(path).parent)
        self.start(Path(path))

    def start(self, path: Path | None) -> None:
        """Export to a file (None: to the DICOM database only); returns at once."""
        session, run = self._panel.session, self._panel.runner.withResults
        node, volume = self._nodes()
        # The button falls back on the chosen output, which a person may have outlined.
        ids = [one.segmentationId for one in run.results] if run is not None else []
        made = node is not None and node.GetID() in ids
        model = session.find(run.settings.model) if made else None
        export = DicomSegExport.DicomSegExport(
            session.client, session.folder, node, volume, path, algorithm=model["title"] if model else ""
        )
        export.progressed.connect(self._running.strip.setProgress)
        export.finished.connect(self._onFinished)
        export.start()
        self.export = export
        self._running.strip.setState("running", _("Writing the DICOM SEG"))
        self._panel.changed()

    def _onFinished(self, export) -> None:
        running = self._running
        if export.error is None:
            where = str(export.path) if export.path else _("the DICOM database")
            both = _(" and added to the DICOM database") if export.path and export.inDatabase else ""
            running.showMessage(
                " ".join(
                    [_("DICOM SEG written to {path}{both}.").format(path=where, both=both), *export.notes]
                )
            )
            running.strip.setState("done", _("Done"))
        elif export.error.code == "cancelled":
            running.showMessage(_("Cancelled; no file was written."))
            running.strip.setState("cancelled", _("Cancelled"))
        else:
            running.showError(export.error)
            running.strip.setState("failed", _("Failed"))
        self._panel.changed()
