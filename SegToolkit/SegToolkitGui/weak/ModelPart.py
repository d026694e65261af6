"""The section "3. Model": choosing, reading a card, accepting terms, adding a model."""

from __future__ import annotations

from html import escape

from slicer.i18n import tr as _

from SegToolkitGui.ModelPartBase import ModelPartBase


class ModelPart(ModelPartBase):
    """The list of models that make maps, and the card of the chosen one."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._shown: list[tuple] = []
        self._card = ""
        ui.modelCombo.connect("currentIndexChanged(int)", self.onChosen)
        ui.acceptButton.connect("clicked(bool)", panel.guarded(self.onAccept))

    def refresh(self) -> None:
        """Fill the list, show the card."""
        ui, busy, session = self.ui, self.panel.runner.busy, self.panel.session
        models = session.listedModels()
        shown = [(one["name"], self.listed(one)) for one in models]
        if shown != self._shown:
            self._shown = shown
            self._fillCombo(ui.modelCombo, models)
        names = [one["name"] for one in models]
        model = self.panel.currentModel()
        ui.modelCombo.setCurrentIndex(names.index(model["name"]) if model else -1)
        ui.modelCombo.setEnabled(not busy and bool(names))
        ui.addModelButton.setEnabled(not busy and not self.panel.setup.problem())
        self._showHeading(_("3. Model"), model)
        ui.modelLabel.setText(self._summary(model))
        card = self._cardText(model) if model else ""
        if card != self._card:
            self._card = card
            # "Show details..." opens the rest.
            ui.modelCard.setCollapsibleHtml(escape(card).replace("\n", "<br>"))
        ui.modelCard.setVisible(bool(card))
        self._showTerms(model, busy)

    def _summary(self, model: dict | None) -> str:
        if model is None:
            none = _("There is no model that makes maps yet: add one, or train one below.")
            return self.panel.session.noModels or none
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
