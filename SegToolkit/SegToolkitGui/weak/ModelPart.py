"""The section "3. Model": choosing, reading a card, accepting terms, adding a model."""

from __future__ import annotations

from html import escape

from slicer.i18n import tr as _

from SegToolkitGui.ModelPartBase import ModelPartBase
from SegToolkitGui.run import Terms


class ModelPart(ModelPartBase):
    """The list of models that make maps, and the card of the chosen one."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._shown: list[tuple] = []
        self._card = ""
        ui.modelCombo.connect("currentIndexChanged(int)", self.onChosen)
        ui.acceptButton.connect("clicked(bool)", panel.guarded(self.onAccept))
        self._offer(_("Model folder..."), self.onAddFolder)
        self._offer(_("Zip file of a model..."), self.onAddZip)

    def refresh(self) -> None:
        """Fill the list, show the card."""
        ui, busy, session = self.ui, self.panel.runner.busy, self.panel.session
        models = session.listedModels()
        shown = [(one["name"], one["title"], one["usable"]) for one in models]
        if shown != self._shown:
            self._shown = shown
            ui.modelCombo.clear()
            for name, title, usable in shown:
                ui.modelCombo.addItem((title or name) + ("" if usable else " " + _("(cannot be used)")), name)
        names = [one["name"] for one in models]
        model = self.panel.currentModel()
        ui.modelCombo.setCurrentIndex(names.index(model["name"]) if model else -1)
        ui.modelCombo.setEnabled(not busy and bool(names))
        ui.addModelButton.setEnabled(not busy and not self.panel.setup.problem())
        title = model["title"] or model["name"] if model else ""
        ui.modelSection.setText(_("3. Model: {title}").format(title=title) if model else _("3. Model"))
        ui.modelLabel.setText(self._summary(model))
        card = model["text"].strip() if model else ""
        if card != self._card:
            self._card = card
            # "Show details..." opens the rest.
            ui.modelCard.setCollapsibleHtml(escape(card).replace("\n", "<br>"))
        ui.modelCard.setVisible(bool(card))
        needed = model is not None and Terms.needed(model)
        ui.acceptButton.setVisible(needed)
        ui.acceptButton.setEnabled(needed and not busy)

    def _summary(self, model: dict | None) -> str:
        if model is None:
            if self.panel.session.models or self.panel.session.workerState == "idle":
                return _("There is no model that makes maps yet: add one, or train one below.")
            return self.panel.session.noModels
        seeds = int(model.get("seeds") or 1)
        parts = [_("For {names}").format(names=", ".join(model["modalities"]))]
        parts.append(_("{count} seeds").format(count=seeds) if seeds > 1 else _("one seed"))
        licence = model["licence"]
        terms = licence["name"]
        if not licence["permissive"]:
            terms += " " + (_("(accepted)") if licence["accepted"] else _("(to be accepted first)"))
        return "; ".join([*parts, terms]) + "."

    # What the person does

    def onChosen(self, index: int) -> None:
        """Another model."""
        models = self.panel.session.listedModels()
        if self._free() and 0 <= index < len(models):
            self._choose(models[index])

    def onAccept(self) -> None:
        """Read the terms and accept them."""
        model = self.panel.currentModel()
        if model is not None and Terms.accepted(model):
            self.panel.session.acceptLicence(model["name"], self._onAccepted)

    def _onAccepted(self, _outputs, error) -> None:
        if error is not None:
            self.panel.tell(error)
        self.panel.changed()

    def taken(self, outputs, error) -> None:
        """A model was added, from here or from a training: it is the one to use."""
        self._onAdded(outputs, error)

    def _onAdded(self, outputs, error) -> None:
        super()._onAdded(outputs, error)
        if error is None and self.panel.parameters is not None:
            self.panel.running.showMessage(_("Added the model {name}.").format(name=outputs["name"]))
