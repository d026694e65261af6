"""Choosing a model, reading its card, adding one."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.Part import Part


class ModelPart(Part):
    """The section "Model"."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self._shownNames: list[str] = []
        self.ui.modelCombo.connect("currentIndexChanged(int)", self.onChosen)
        self.ui.asPublishedCheck.connect("toggled(bool)", self.onAsPublished)
        self._menu = qt.QMenu(self.ui.addModelButton)
        self._folderAction = qt.QAction(_("Model folder..."), self._menu)
        self._fileAction = qt.QAction(_("Zip file, or checkpoint of the authors' code..."), self._menu)
        self._folderAction.connect("triggered(bool)", panel.guarded(self.onAddFolder))
        self._fileAction.connect("triggered(bool)", panel.guarded(self.onAddFile))
        self._menu.addAction(self._folderAction)
        self._menu.addAction(self._fileAction)
        self.ui.addModelButton.setMenu(self._menu)
        panel.session.modelsChanged.connect(panel.changed)

    def tearDown(self) -> None:
        """Let go of the session."""
        self.panel.session.modelsChanged.disconnect(self.panel.changed)

    def refresh(self) -> None:
        """Fill the list, show the card."""
        models = self.panel.session.models
        names = [one["name"] for one in models]
        combo = self.ui.modelCombo
        if names != self._shownNames:
            self._shownNames = names
            combo.clear()
            for one in models:
                suffix = "" if one["usable"] else " " + _("(cannot be used)")
                combo.addItem((one["title"] or one["name"]) + suffix, one["name"])
        current = self.panel.modelName()
        combo.setCurrentIndex(names.index(current) if current in names else -1)
        model = self.panel.session.model(current)
        busy = self.panel.runner.busy
        combo.setEnabled(not busy and bool(names))
        self.ui.addModelButton.setEnabled(not busy and not self.panel.setup.problem())
        self.ui.asPublishedCheck.setChecked(self.panel.parameters.asPublished)
        self.ui.asPublishedCheck.setEnabled(not busy)
        if model is None:
            self.ui.modelSection.setText(_("Model"))
            self.ui.modelLabel.setText(_("No model is known yet."))
            self.ui.modelCard.setPlainText("")
            return
        self.ui.modelSection.setText(_("Model: {title}").format(title=model["title"] or model["name"]))
        self.ui.modelLabel.setText(
            _("{modality}, {size:.0f} MB, {licence}").format(
                modality=model["modality"], size=model["size_mb"], licence=model["licence"]["name"]
            )
        )
        if self.ui.modelCard.plainText != model["text"].strip():
            self.ui.modelCard.setPlainText(model["text"].strip())

    def onChosen(self, index: int) -> None:
        """The person chose another model."""
        if self.panel.refreshing or not 0 <= index < len(self._shownNames):
            return
        name = self._shownNames[index]
        chosen = next(one for one in self.panel.session.models if one["name"] == name)
        if not chosen["usable"]:
            self.panel.tell(UserError("bad-model", chosen["problem"], _("Choose another model.")))
            self.panel.changed()
            return
        self.panel.parameters.model = name
        self.panel.session.machine.model = name
        self.panel.changed()

    def onAsPublished(self, checked: bool) -> None:
        """The person chose the published method or ours."""
        if not self.panel.refreshing:
            self.panel.parameters.asPublished = bool(checked)

    # Adding

    def onAddFolder(self) -> None:
        """Add a model's folder."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of a model"), self._lastFolder())
        if folder:
            self.add(folder)

    def onAddFile(self) -> None:
        """Add a zip of a model, or an authors' checkpoint."""
        path = qt.QFileDialog.getOpenFileName(
            None, _("Model or checkpoint"), self._lastFolder(), _("Models (*.zip *.pth *.pt)")
        )
        if path:
            self.add(path)

    def add(self, path: str, modality: str = "", mean: float | None = None, std: float | None = None) -> None:
        """Take a model into the person's collection and choose it.

        Args:
            path: a model's folder, a zip of one, or an authors' checkpoint (.pth).
            modality: for a checkpoint: "MR" or "CT"; "" asks.
            mean, std: for a CT checkpoint: of its training scans.
        """
        self.panel.session.machine.lastFolder = str(Path(path).parent)
        body: dict = {"path": str(path), "replace": False}
        if Path(path).suffix.lower() in (".pth", ".pt"):
            body["modality"] = modality or self._askModality()
            if not body["modality"]:
                return
            if mean is not None:
                body.update(mean=mean, std=std)
        self.panel.session.addModel(body, self._onAdded)

    def _askModality(self) -> str:
        mr = slicer.util.confirmYesNoDisplay(
            _("Was this checkpoint trained on MR? (Yes: MR, No: CT)"), _("Imported checkpoint")
        )
        return "MR" if mr else "CT"

    def _onAdded(self, outputs, error) -> None:
        if error is not None:
            self.panel.tell(error)
        elif self.panel.parameters is not None:
            self.panel.parameters.model = outputs["name"]
            self.panel.session.machine.model = outputs["name"]
        self.panel.changed()

    def _lastFolder(self) -> str:
        return str(self.panel.session.machine.lastFolder or "")
