"""Choosing a model, reading its card, adding one."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part


def statistics(text: str) -> tuple[float, float]:
    """Mean and standard deviation from what a person typed.

    Raises:
        UserError: it is not two numbers.
    """
    try:
        mean, std = (float(one) for one in text.replace(";", " ").split())
    except ValueError as error:
        raise UserError(
            "ct-statistics",
            _("{text!r} is not a mean and a standard deviation.").format(text=text),
            _("Type two numbers with a blank between them, such as 72.3 48.9."),
        ) from error
    return mean, std


class ModelPart(Part):
    """The section "Model"."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self._shownNames: list[str] = []
        self.ui.modelCombo.connect("currentIndexChanged(int)", self.onChosen)
        self.ui.asPublishedCheck.connect("toggled(bool)", self.onAsPublished)
        self._menu = qt.QMenu(self.ui.addModelButton)
        choices = [
            (_("Model folder..."), self.onAddFolder),
            (_("Zip file of a model..."), self.onAddZip),
            (_("Checkpoint of the authors' code, trained on MR..."), self.onAddMr),
            (_("Checkpoint of the authors' code, trained on CT..."), self.onAddCt),
        ]
        self._actions = []
        for text, slot in choices:
            action = qt.QAction(text, self._menu)
            action.connect("triggered(bool)", panel.guarded(slot))
            self._menu.addAction(action)
            self._actions.append(action)
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

    def onAddZip(self) -> None:
        """Add a zip of a model."""
        path = self._askFile(_("Models (*.zip)"))
        if path:
            self.add(path)

    def onAddMr(self) -> None:
        """Add an authors' checkpoint for MR."""
        path = self._askFile(_("Checkpoints (*.pth *.pt)"))
        if path:
            self.add(path, "MR")

    def onAddCt(self) -> None:
        """Add an authors' checkpoint for CT, which is of use only with its training scans' statistics."""
        path = self._askFile(_("Checkpoints (*.pth *.pt)"))
        if not path:
            return
        answer = qt.QInputDialog.getText(
            slicer.util.mainWindow(),
            _("Imported checkpoint"),
            _(
                "Mean and standard deviation of its prepared training scans (scale 0 to 255), such as"
                " 72.3 48.9:"
            ),
        )
        # PythonQt returns the text alone, other bindings whether OK was pressed as well.
        text = str(answer[0] if isinstance(answer, tuple) else answer or "").strip()
        if text:
            self.add(path, "CT", *statistics(text))

    def _askFile(self, kinds: str) -> str:
        return qt.QFileDialog.getOpenFileName(None, _("Model or checkpoint"), self._lastFolder(), kinds)

    def add(
        self, path: str, modality: str = "MR", mean: float | None = None, std: float | None = None
    ) -> None:
        """Take a model into the person's collection and choose it.

        Args:
            path: a model's folder, a zip of one, or an authors' checkpoint (.pth).
            modality: of a checkpoint: "MR" or "CT".
            mean, std: of a CT checkpoint's prepared training scans.
        """
        self.panel.session.machine.lastFolder = str(Path(path).parent)
        body: dict = {"path": str(path), "replace": False}
        if Path(path).suffix.lower() in (".pth", ".pt"):
            body["modality"] = modality
            if mean is not None:
                body.update(mean=mean, std=std)
        self.panel.session.addModel(body, self._onAdded)

    def _onAdded(self, outputs, error) -> None:
        if error is not None:
            self.panel.tell(error)
        elif self.panel.parameters is not None:
            self.panel.parameters.model = outputs["name"]
            self.panel.session.machine.model = outputs["name"]
        self.panel.changed()

    def _lastFolder(self) -> str:
        return str(self.panel.session.machine.lastFolder or "")
