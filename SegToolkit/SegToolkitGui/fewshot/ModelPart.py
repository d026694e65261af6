"""Choosing a model, reading its card, adding one."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.ModelPartBase import ModelPartBase


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


class ModelPart(ModelPartBase):
    """The section "Model"."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self._shownNames: list[str] = []
        self._shown: list[tuple[str, str]] = []
        self.ui.modelCombo.connect("currentIndexChanged(int)", self.onChosen)
        self.ui.asPublishedCheck.connect("toggled(bool)", self.onAsPublished)
        self._offer(_("Checkpoint of the authors' code, trained on MR..."), self.onAddMr)
        self._offer(_("Checkpoint of the authors' code, trained on CT..."), self.onAddCt)

    def refresh(self) -> None:
        """Fill the list, show the card."""
        models = self.panel.session.listedModels()
        names = [one["name"] for one in models]
        combo = self.ui.modelCombo
        shown = [(one["name"], self.listed(one)) for one in models]
        if shown != self._shown:
            self._shown, self._shownNames = shown, names
            self._fillCombo(combo, models)
        current = self.panel.modelName()
        combo.setCurrentIndex(names.index(current) if current in names else -1)
        model = self.panel.session.model(current)
        busy = self.panel.runner.busy
        combo.setEnabled(not busy and bool(names))
        self.ui.addModelButton.setEnabled(not busy and not self.panel.setup.problem())
        self.ui.asPublishedCheck.setChecked(self.panel.parameters.asPublished)
        self.ui.asPublishedCheck.setEnabled(not busy)
        self._showHeading(_("Model"), model)
        if model is None:
            none = _("There is no few-shot model yet: add one.")
            self.ui.modelLabel.setText(self.panel.session.noModels or none)
            self.ui.modelCard.setPlainText("")
            return
        self.ui.modelLabel.setText(
            _("{modality}, {size:.0f} MB, {licence}").format(
                modality=model["modality"], size=model["size_mb"], licence=model["licence"]["name"]
            )
        )
        if self.ui.modelCard.plainText != self._cardText(model):
            self.ui.modelCard.setPlainText(self._cardText(model))

    def onChosen(self, index: int) -> None:
        """The person chose another model."""
        if self.panel.refreshing or not 0 <= index < len(self._shownNames):
            return
        name = self._shownNames[index]
        self._choose(next(one for one in self.panel.session.listedModels() if one["name"] == name))

    def onAsPublished(self, checked: bool) -> None:
        """The person chose the published method or ours."""
        if not self.panel.refreshing:
            self.panel.parameters.asPublished = bool(checked)

    # Adding

    def onAddMr(self) -> None:
        """Add an authors' checkpoint for MR."""
        path = self._askCheckpoint()
        if path:
            self.add(path, "MR")

    def onAddCt(self) -> None:
        """Add an authors' checkpoint for CT, which is of use only with its training scans' statistics."""
        path = self._askCheckpoint()
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

    def _askCheckpoint(self) -> str:
        kinds = _("Checkpoints (*.pth *.pt)")
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
        more: dict = {}
        if Path(path).suffix.lower() in (".pth", ".pt"):
            more["modality"] = modality
            if mean is not None:
                more.update(mean=mean, std=std)
        self._add(path, **more)
