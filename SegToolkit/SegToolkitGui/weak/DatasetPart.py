"""The data set that this patient is collected into: its folder, its name, and what is known of it."""

from __future__ import annotations

from pathlib import Path

import qt
from slicer.i18n import tr as _

from SegToolkitGui.DatasetFolder import isDataset
from SegToolkitGui.Part import Part
from SegToolkitGui.Paths import absolute
from SegToolkitGui.weak.CollectRun import MODALITIES, CollectSettings
from SegToolkitGui.weak.SliceTags import asDict


class DatasetPart(Part):
    """The rows of the section "Train on your own patients" about data.

    Attributes:
        facts: as the worker's verb "dataset_check" tells them, of ``checked``; empty while unknown.
        checked: the folder that was looked at last.
    """

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.facts: dict = {}
        self.checked = ""
        self._asking = False
        ui.datasetModalityCombo.addItems(list(MODALITIES))
        ui.datasetEdit.connect("editingFinished()", self.onFolder)
        ui.datasetButton.connect("clicked(bool)", panel.guarded(self.onBrowse))
        ui.datasetNameEdit.connect("editingFinished()", self.onName)
        ui.datasetModalityCombo.connect("currentIndexChanged(int)", self.onModality)
        ui.keepNamesCheck.connect("toggled(bool)", self.onKeepNames)
        ui.collectButton.connect("clicked(bool)", panel.guarded(self.onCollect))

    @property
    def folder(self) -> str:
        """The scene's folder, or the one used last on this computer; "" for none."""
        return absolute(self.panel.parameters.dataset or self.panel.session.machine.dataset)

    def settings(self) -> CollectSettings:
        """What "Collect this patient" writes: images and tags."""
        parameters = self.panel.parameters
        return CollectSettings(
            images=self.panel.images.images(),
            folder=self.folder,
            name=parameters.datasetName,
            modality=parameters.datasetModality,
            tags=asDict(self.panel.tags.tags()),
            resample=parameters.resample,
            keepNames=parameters.keepNames,
        )

    def refresh(self) -> None:
        """Bring the rows in line, and look at the folder if it is another one."""
        ui, parameters, busy = self.ui, self.panel.parameters, self.panel.running.busy
        for edit, text in ((ui.datasetEdit, self.folder), (ui.datasetNameEdit, parameters.datasetName)):
            if edit.text != text and not edit.hasFocus():
                edit.setText(text)
        appending = isDataset(self.folder)
        ui.datasetNameEdit.setPlaceholderText(Path(self.folder).name if self.folder else "")
        known = parameters.datasetModality in MODALITIES
        ui.datasetModalityCombo.setCurrentIndex(MODALITIES.index(parameters.datasetModality) if known else 0)
        for widget in (ui.datasetNameLabel, ui.datasetNameEdit, ui.datasetModalityCombo):
            widget.setVisible(not appending)
        ui.keepNamesCheck.setChecked(parameters.keepNames)
        for widget in (ui.datasetEdit, ui.datasetButton, ui.datasetNameEdit, ui.keepNamesCheck):
            widget.setEnabled(not busy)
        reason = self.panel.setup.problem() or self.settings().problem()
        self.panel.running.showStart(
            ui.collectButton, reason, _("Write the images and their tags into the folder.")
        )
        if self.folder != self.checked and not self.panel.setup.problem() and self.panel.shown:
            self.look()
        ui.datasetLabel.setText(self._text(appending, reason))

    def _text(self, appending: bool, reason: str) -> str:
        if self.facts and appending:
            images, tagged = self.facts.get("images", 0), self.facts.get("tagged", 0)
            text = _("Patients in the data set: {images}; with tags: {tagged}.")
            wrong = [one for one in self.facts.get("problems", []) if one["severity"] == "error"]
            told = text.format(images=images, tagged=tagged)
            return f"{told} {wrong[0]['text']}" if wrong else told
        if not self.folder:
            return _("Choose a folder: a new one, or that of a data set.")
        if appending:
            return _("The data set is being looked at...") if self._asking else ""
        return reason or _("A new data set will be made in this folder.")

    def look(self) -> None:
        """Ask what the folder holds."""
        folder = self.folder
        self.checked, self.facts = folder, {}
        if not isDataset(folder):
            return

        def told(outputs, error):
            self._asking = False
            if self.panel.parameters is not None and folder == self.checked:
                self.facts = outputs if error is None else {}
                if error is not None and error.code != "cancelled":
                    self.panel.tell(error)
                self.panel.changed()

        self._asking = True
        # Not the worker that computes: the answer is wanted meanwhile.
        self.panel.session.ask("dataset_check", {"path": folder}, told, worker="data")

    # What the person does

    def onFolder(self) -> None:
        """Another folder was typed."""
        if self._free() and str(self.ui.datasetEdit.text) != self.folder:
            self.choose(str(self.ui.datasetEdit.text))

    def choose(self, folder: str) -> None:
        """Take a folder."""
        self.panel.parameters.dataset = absolute(folder)
        self.panel.session.machine.dataset = absolute(folder)

    def onBrowse(self) -> None:
        """Ask for a folder."""
        start = self.folder or self.panel.session.machine.lastFolder
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of the data set"), start)
        if folder:
            self.choose(str(folder))

    def onName(self) -> None:
        """Another name."""
        if self._free():
            self.panel.parameters.datasetName = str(self.ui.datasetNameEdit.text).strip()

    def onModality(self, index: int) -> None:
        """The images are of another kind."""
        if self._free() and 0 <= index < len(MODALITIES):
            self.panel.parameters.datasetModality = MODALITIES[index]

    def onKeepNames(self, checked: bool) -> None:
        """Names of patients go along, or not."""
        if self._free():
            self.panel.parameters.keepNames = bool(checked)

    def onCollect(self) -> None:
        """Write this patient's images and tags."""
        if not self.panel.running.busy:
            self.panel.running.message = ""
            self.choose(self.folder)
            self.panel.runner.collect(self.settings())
