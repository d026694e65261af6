"""Section 1: the folder of a data set, what is in it, what is wrong with it, and what is left out."""

from __future__ import annotations

from pathlib import Path

import qt
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part
from SegToolkitGui.Paths import absolute, exists, isFolder
from SegToolkitGui.training.ProblemTable import ProblemTable
from SegToolkitGui.training.Texts import progressText

ALL = "all"  # no fold is left out
MOST_NAMES = 12  # of structures, in the line under the folder


class DataPart(Part):
    """The section "1. Data"."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.facts: dict | None = None  # of the data set: the answer of dataset_check
        self.error: UserError | None = None
        self.checked = ""  # the folder that facts or error are about
        self._checkedVolumes = ""  # and where its volumes lie, if elsewhere
        self._check = 0  # number of the last check: what an earlier one ends with is of no use any more
        self.progress: dict = {}
        self._recent: list[str] | None = None
        self._folds: tuple | None = None
        self._table = ProblemTable(ui.problemTable)
        ui.datasetCombo.setInsertPolicy(qt.QComboBox.NoInsert)
        ui.datasetCombo.lineEdit().setPlaceholderText(_("Folder of a data set"))
        ui.datasetCombo.connect("activated(int)", self.onTyped)
        ui.datasetCombo.lineEdit().connect("editingFinished()", self.onTyped)
        ui.browseDatasetButton.connect("clicked(bool)", panel.guarded(self.onBrowse))
        ui.volumesFolderEdit.connect("editingFinished()", self.onVolumes)
        ui.volumesFolderButton.connect("clicked(bool)", panel.guarded(self.onBrowseVolumes))
        ui.recheckButton.connect("clicked(bool)", panel.guarded(self.onRecheck))
        ui.cancelCheckButton.connect("clicked(bool)", panel.guarded(self.onCancel))
        ui.foldCombo.connect("currentIndexChanged(int)", self.onFold)

    # Checking

    @property
    def checking(self) -> bool:
        """Whether the data set is being looked through."""
        return self.panel.session.slow.has("check")

    def choose(self, folder: str, volumes: str | None = None) -> None:
        """Take this folder and look through it.

        Args:
            folder: of the data set, or its description file.
            volumes: folder of its volumes, "" where the description says; None keeps what was chosen, unless
                it was chosen for another data set.
        """
        folder, parameters = absolute(folder), self.panel.parameters
        if volumes is not None:
            parameters.volumesFolder = absolute(volumes)
        elif parameters.dataset not in ("", folder):
            parameters.volumesFolder = ""
        parameters.dataset = folder
        if folder:
            self.panel.session.machine.lastFolder = str(Path(folder).parent)
        self.panel.changed()

    def check(self) -> None:
        """Look through the folder, again if need be."""
        folder, volumes = self.panel.parameters.dataset, self.panel.parameters.volumesFolder
        self.checked, self.facts, self.error, self.progress = folder, None, None, {}
        self._checkedVolumes = volumes
        self._check += 1
        check = self._check
        if not folder:
            self.panel.session.slow.cancel("check")
            return
        missing = "" if exists(folder) else folder
        if not missing and volumes and not isFolder(volumes):
            missing = volumes
        if missing:
            self.error = UserError(
                "no-dataset",
                _("There is no folder {folder}.").format(folder=missing),
                _("Choose another one."),
            )
        # The worker looks only where the description says, which would be at the wrong volumes.
        if missing or volumes:
            self.panel.session.slow.cancel("check")
            return

        def finished(outputs, error):
            if check != self._check:
                return
            if error is None:
                self.facts, self.error = withoutFolder(outputs, folder), None
                if not self._errors():
                    self.panel.session.machine.rememberDataset(folder)
            elif error.code == "cancelled":
                self.error = UserError("cancelled", _("The check was cancelled."), _("Press Check again."))
            else:
                self.error = error
            self.panel.changed()

        self.panel.session.slow.ask("check", "dataset_check", {"path": folder}, self._onProgress, finished)

    def _onProgress(self, event: dict) -> None:
        if event["t"] == "progress":
            self.progress = event
            self.panel.changed()

    def _errors(self) -> list[dict]:
        return [one for one in (self.facts or {}).get("problems", []) if one["severity"] == "error"]

    def problem(self) -> str:
        """Why no training can begin with these data; "" if one can."""
        if not self.panel.parameters.dataset:
            if not self.panel.plan.needsDataset:
                return ""
            return _("Choose the folder of a data set, or collect one from the scene.")
        if self.panel.collect.writes(self.panel.parameters.dataset):
            return _("Cases are being added to the data set.")
        if self.error is not None:
            return str(self.error)
        if self.panel.parameters.volumesFolder:
            return ""
        if self.facts is None:
            return _("The data set is being checked...")
        errors = self._errors()
        if errors:
            first = errors[0]
            where = f"{first['case']}: " if first.get("case") else ""
            more = _(" ({n} errors in all)").format(n=len(errors)) if len(errors) > 1 else ""
            return _("The data set has errors: {where}{text}{more}").format(
                where=where, text=first["text"], more=more
            )
        return ""

    # Showing

    def refresh(self) -> None:
        """Bring the section in line."""
        ui, folder = self.ui, self.panel.parameters.dataset
        volumes = self.panel.parameters.volumesFolder
        if (folder, volumes) != (self.checked, self._checkedVolumes) and self.panel.canAsk():
            self.check()
        if ui.volumesFolderEdit.text != volumes and not ui.volumesFolderEdit.hasFocus():
            ui.volumesFolderEdit.setText(volumes)
        self._showFolder(folder)
        busy = self.checking and bool(folder)
        ui.checkFrame.setVisible(busy)
        if busy:
            ui.checkProgressBar.setRange(0, int(self.progress.get("total", 0)))
            ui.checkProgressBar.setValue(int(self.progress.get("step", 0)))
            ui.checkProgressBar.setFormat(progressText(self.progress) or " ")
        ui.datasetLabel.setText(self._summary())
        ui.datasetLabel.setStyleSheet("color: #c0392b;" if self.error is not None else "")
        ui.datasetLabel.setVisible(bool(self._summary()))
        problems = (self.facts or {}).get("problems", [])
        self._table.show(problems)
        ui.problemTable.setVisible(bool(problems))
        ui.recheckButton.setEnabled(bool(folder) and not busy)
        self._showFolds()

    def _showFolder(self, folder: str) -> None:
        combo, recent = self.ui.datasetCombo, self.panel.session.machine.recentDatasets
        text = combo.currentText if combo.lineEdit().hasFocus() else folder  # what is being typed stays
        if recent != self._recent:
            self._recent = recent
            combo.clear()
            combo.addItems(recent)
        if combo.currentText != text:
            combo.setEditText(text)
        combo.setToolTip(folder or _("Folder of a data set in nnU-Net's raw layout."))

    def _summary(self) -> str:
        if self.error is not None:
            return str(self.error)
        if self.panel.parameters.dataset and self.panel.parameters.volumesFolder:
            return _("Volumes that lie elsewhere are looked through when the training begins.")
        if self.facts is None:
            return _("Checking...") if self.panel.parameters.dataset and self.checking else ""
        facts = self.facts
        line = _("{name}: {modality}, {images} images, {labelled} labelled, {unlabelled} unlabelled.").format(
            **{key: facts.get(key, "?") for key in ("name", "modality", "images", "labelled", "unlabelled")}
        )
        names = [name for name, value in (facts.get("labels") or {}).items() if value]
        if names:
            more = ", ..." if len(names) > MOST_NAMES else ""
            line += " " + _("Structures: {names}.").format(names=", ".join(names[:MOST_NAMES]) + more)
        return line if facts.get("problems") else line + " " + _("No problem was found.")

    def _showFolds(self) -> None:
        combo, known = self.ui.foldCombo, self.panel.plan.folds()
        count = foldCount(self.facts)
        for widget in (combo, self.ui.foldComboLabel):
            widget.setVisible(known is not None)
        state = (count, known)
        if state != self._folds:
            self._folds = state
            combo.clear()
            if known is not None and known["optional"]:
                combo.addItem(_("nothing: train on every case"), ALL)
            for number in range(count):
                combo.addItem(_("fold {n} of {count}").format(n=number + 1, count=count), str(number))
            value = known["value"] if known is not None else ALL
            if value.isdigit() and int(value) >= count:
                combo.addItem(_("fold {n}").format(n=int(value) + 1), value)
        if known is not None:
            combo.setCurrentIndex(combo.findData(known["value"]))

    # What the person does

    def onTyped(self, *_arguments) -> None:
        """Another folder was typed or picked from the list."""
        text = self.ui.datasetCombo.currentText.strip()
        if self.panel.refreshing or self.panel.parameters is None:
            return
        if absolute(text) != self.panel.parameters.dataset:
            self.choose(text)

    def onBrowse(self) -> None:
        """Ask for a folder."""
        start = self.panel.parameters.dataset or self.panel.session.machine.lastFolder
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of a data set"), start)
        if folder:
            self.choose(folder)

    def onVolumes(self) -> None:
        """The volumes' folder was typed, or emptied."""
        if self._free():
            self.panel.parameters.volumesFolder = absolute(self.ui.volumesFolderEdit.text)
            self.panel.changed()

    def onBrowseVolumes(self) -> None:
        """Ask for the volumes' folder."""
        start = self.panel.parameters.volumesFolder or self.panel.session.machine.lastFolder
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of the volumes"), start)
        if folder:
            self.panel.parameters.volumesFolder = absolute(folder)

    def onRecheck(self) -> None:
        """Look once more; somebody has mended something."""
        self.check()

    def onCancel(self) -> None:
        """Look no further."""
        self.panel.session.slow.cancel("check")

    def onFold(self, _index: int) -> None:
        """Other cases are left out."""
        if not self.panel.refreshing and self.panel.parameters is not None:
            self.panel.parameters.fold = str(self.ui.foldCombo.currentData or "")
            self.panel.plan.takeFold()


def withoutFolder(facts: dict, folder: str) -> dict:
    """The same facts with paths below the data set's folder cut short: the folder is known."""
    problems = [
        {**one, "text": one["text"].replace(f"{folder}/", "").replace(f"{folder}\\", "")}
        for one in facts.get("problems", [])
    ]
    return {**facts, "problems": problems}


def foldCount(facts: dict | None) -> int:
    """How many folds a data set is cut into."""
    folds = (facts or {}).get("folds") or 0
    return folds if isinstance(folds, int) else len(folds)
