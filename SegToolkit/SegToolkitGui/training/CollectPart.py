"""Volumes and segmentations of the scene become a data set, or join one."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

import qt
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.DatasetFolder import isDataset, namesIn
from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part
from SegToolkitGui.Paths import absolute
from SegToolkitGui.TimedTask import TimedTask
from SegToolkitGui.training import SceneCollect
from SegToolkitGui.training.Texts import progressText

MODALITIES = ("MR", "CT")


class CollectPart(Part):
    """The section "Collect from the scene..." within "1. Data"."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.busy = False
        self.message = ""
        self._task: TimedTask | None = None
        self._files: Path | None = None
        self._number = 0
        self._notes: list[str] = []
        self._progress: dict = {}
        ui.collectModalityCombo.addItems(list(MODALITIES))
        ui.collectVolumesSelector.connect("checkedNodesChanged()", self.onVolumes)
        ui.collectSegmentationsSelector.connect("checkedNodesChanged()", self.onSegmentations)
        ui.collectFolderEdit.connect("textEdited(QString)", self.onText)
        ui.collectNameEdit.connect("textEdited(QString)", self.onText)
        ui.collectModalityCombo.connect("currentIndexChanged(int)", self.onModality)
        ui.keepNamesCheck.connect("toggled(bool)", self.onKeepNames)
        ui.collectFolderButton.connect("clicked(bool)", panel.guarded(self.onBrowse))
        ui.collectButton.connect("clicked(bool)", panel.guarded(self.onCollect))
        ui.cancelCollectButton.connect("clicked(bool)", panel.guarded(self.onCancel))

    # Showing

    def refresh(self) -> None:
        """Bring the section in line."""
        ui, parameters = self.ui, self.panel.parameters
        self._showChecked(ui.collectVolumesSelector, parameters.volumes)
        self._showChecked(ui.collectSegmentationsSelector, parameters.segmentations)
        for edit, text in (
            (ui.collectFolderEdit, parameters.collectFolder),
            (ui.collectNameEdit, parameters.collectName),
        ):
            if edit.text != text:
                edit.setText(text)
        appending = isDataset(self.folder)
        ui.collectModalityCombo.setCurrentIndex(
            MODALITIES.index(parameters.collectModality) if parameters.collectModality in MODALITIES else 0
        )
        ui.keepNamesCheck.setChecked(parameters.keepNames)
        reason = self.problem()
        for widget in (ui.collectNameEdit, ui.collectModalityCombo):
            widget.setEnabled(not self.busy and not appending)
        for widget in (
            ui.collectVolumesSelector,
            ui.collectSegmentationsSelector,
            ui.collectFolderEdit,
            ui.collectFolderButton,
            ui.keepNamesCheck,
        ):
            widget.setEnabled(not self.busy)
        ui.collectButton.setText(_("Add to the data set") if appending else _("Collect"))
        ui.collectButton.setEnabled(not reason and not self.busy)
        ui.collectButton.setToolTip(reason or _("Write the volumes and labels into the folder."))
        ui.cancelCollectButton.setEnabled(self.busy)
        ui.collectProgressBar.setVisible(self.busy)
        if self.busy:
            ui.collectProgressBar.setRange(0, int(self._progress.get("total", 0)))
            ui.collectProgressBar.setValue(int(self._progress.get("step", 0)))
            ui.collectProgressBar.setFormat(progressText(self._progress) or " ")
        ui.collectLabel.setText(self.message or reason or self._summary())

    def _showChecked(self, selector, wanted) -> None:
        wanted = [node for node in wanted if node is not None]
        checked = list(selector.checkedNodes())
        for node in checked:
            if node not in wanted:
                selector.setCheckState(node, qt.Qt.Unchecked)
        for node in wanted:
            if node not in checked:
                selector.setCheckState(node, qt.Qt.Checked)

    def _chosen(self) -> tuple[list, list]:
        parameters = self.panel.parameters
        volumes = [node for node in parameters.volumes if node is not None]
        return volumes, [node for node in parameters.segmentations if node is not None]

    def _pairs(self) -> list[tuple]:
        return SceneCollect.pairs(*self._chosen())

    @property
    def folder(self) -> str:
        """Folder of the data set, "" while none is named."""
        return absolute(self.panel.parameters.collectFolder)

    def writes(self, folder: str) -> bool:
        """Whether cases are being added to the data set in this folder."""
        return self.busy and self.folder == folder

    def problem(self) -> str:
        """Why nothing can be collected, "" if it can."""
        parameters = self.panel.parameters
        volumes, segmentations = self._chosen()
        if not volumes and not segmentations:
            return _("Tick the volumes to be collected.")
        try:
            self._pairs()
        except UserError as error:
            return str(error)
        if not self.folder:
            return _("Choose a folder: a new one, or that of a data set.")
        if not isDataset(self.folder) and not parameters.collectName.strip():
            return _("Give the data set a name.")
        return self.panel.setup.problem()

    def _summary(self) -> str:
        labelled = [segmentation for _volume, segmentation in self._pairs() if segmentation is not None]
        text = _("{cases} cases, {labelled} of them labelled.").format(
            cases=len(self._pairs()), labelled=len(labelled)
        )
        if isDataset(self.folder):
            text += " " + _("They are added to the data set in this folder.")
        return text

    # What the person does

    def onVolumes(self) -> None:
        """Other volumes."""
        if self._free():
            self.message = ""
            self.panel.parameters.volumes = list(self.ui.collectVolumesSelector.checkedNodes())

    def onSegmentations(self) -> None:
        """Other segmentations."""
        if self._free():
            self.message = ""
            nodes = list(self.ui.collectSegmentationsSelector.checkedNodes())
            self.panel.parameters.segmentations = nodes

    def onText(self, *_arguments) -> None:
        """Another folder or name."""
        if self._free():
            self.message = ""
            # As it was typed: a blank at the end may be followed by another word.
            self.panel.parameters.collectFolder = self.ui.collectFolderEdit.text
            self.panel.parameters.collectName = self.ui.collectNameEdit.text

    def onModality(self, index: int) -> None:
        """The images are of another kind."""
        if self._free() and 0 <= index < len(MODALITIES):
            self.panel.parameters.collectModality = MODALITIES[index]

    def onKeepNames(self, checked: bool) -> None:
        """Names of patients go along, or not."""
        if self._free():
            self.panel.parameters.keepNames = bool(checked)

    def onBrowse(self) -> None:
        """Ask for a folder."""
        start = self.panel.parameters.collectFolder or self.panel.session.machine.lastFolder
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of the data set"), start)
        if folder:
            self.message = ""
            self.panel.parameters.collectFolder = folder
            if not self.panel.parameters.collectName:
                self.panel.parameters.collectName = Path(folder).name

    # Collecting

    def onCollect(self) -> None:
        """Write volumes and labels for the worker, then let it make the data set."""
        reason = self.problem()
        if reason:
            raise UserError("cannot-collect", reason)
        parameters, session = self.panel.parameters, self.panel.session
        self._number += 1
        self._files = session.folder / "collect" / f"{self._number:03d}"
        self._notes, self._progress, self.message, self.busy = [], {}, "", True
        body: dict = {"folder": self.folder, "append": isDataset(self.folder)}
        if not body["append"]:
            body.update(name=parameters.collectName.strip(), modality=parameters.collectModality)
        generator = SceneCollect.collect(
            *self._chosen(),
            self._files,
            keepNames=parameters.keepNames,
            onNote=self._notes.append,
            taken=namesIn(self.folder),
        )
        failed = _("Collecting failed unexpectedly ({kind}: {error}).")
        self._task = TimedTask(self._collect(generator, body), self._onWritten, failed)
        self._task.start()
        self.panel.changed()

    def _collect(self, generator: Generator, body: dict) -> Generator:
        items = yield from self._told(generator)
        self.panel.session.slow.ask(
            "collect", "dataset_add", {**body, "items": items}, self._onEvent, self._onAdded
        )

    def _told(self, generator: Generator) -> Generator:
        """The same work, and what it returns; the bar shows each piece."""
        with contextlib.closing(generator):
            while True:
                try:
                    phase, step, total = next(generator)
                except StopIteration as end:
                    return end.value
                self._progress = {"phase": phase, "step": step, "total": total}
                self.panel.changed()
                yield

    def _onWritten(self, error: UserError | None) -> None:
        self._task = None  # without an error the worker goes on
        if error is not None:
            self._end(error)

    def _onEvent(self, event: dict) -> None:
        if event["t"] == "progress":
            self._progress = event
        elif event["t"] == "warning":
            self._notes.append(f"{event['text']} {event.get('hint', '')}".strip())
        self.panel.changed()

    def _onAdded(self, outputs, error) -> None:
        if not self.busy:
            return
        self._end(error)
        if error is not None or self.panel.parameters is None:
            return
        count = outputs.get("cases")
        count = len(count) if isinstance(count, (list, tuple)) else count
        done = _("The data set in {folder} has {count} cases now.").format(
            folder=outputs["folder"], count=count
        )
        self.message = " ".join([done, *self._notes])
        self.panel.data.checked = ""  # what was known of this folder is out of date
        self.panel.data.choose(outputs["folder"])

    def _end(self, error: UserError | None) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.stop()
        if self._files is not None:
            Paths.removeFolder(self._files)
            self._files = None
        self.busy = False
        if error is not None and error.code != "cancelled":
            self.message = str(error)
            self.panel.tell(error)
        elif error is not None:
            self.message = _("Cancelled. Cases that were written already stay.")
        self.panel.changed()

    def onCancel(self) -> None:
        """Stop collecting."""
        if self._task is not None:
            self._end(UserError("cancelled", ""))
        elif self.busy:
            self.panel.session.slow.cancel("collect")

    def sceneClosing(self) -> None:
        """The nodes go; files that are written already are not lost."""
        if self._task is not None:
            self._end(
                UserError("scene-closed", _("The scene was closed while volumes were being collected."))
            )
        self.message = ""

    def tearDown(self) -> None:
        """The panel ends."""
        if self._task is not None:
            self.onCancel()
