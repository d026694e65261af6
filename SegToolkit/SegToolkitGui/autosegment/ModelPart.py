"""The section "2. Model": searching, reading a card, accepting terms, adding a model."""

from __future__ import annotations

from pathlib import Path

import qt
from slicer.i18n import tr as _

from SegToolkitGui.autosegment import ModelCard
from SegToolkitGui.autosegment.TableView import fitHeight
from SegToolkitGui.Errors import UserError
from SegToolkitGui.ModelPartBase import ModelPartBase

NAME = qt.Qt.UserRole
CHECKPOINTS = (".pth", ".pt")


class ModelPart(ModelPartBase):
    """The list of models and the card of the chosen one."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._shown: list[tuple] | None = None
        self._card = ""
        ui.modelSearch.connect("textChanged(QString)", self.onSearch)
        ui.modelList.connect("currentRowChanged(int)", self.onChosen)
        ui.acceptButton.connect("clicked(bool)", panel.guarded(self.onAccept))
        ui.modelCard.setOpenExternalLinks(True)
        self._offer(_("Checkpoints of the authors' code..."), self.onAddCheckpoint)

    # Showing

    def refresh(self) -> None:
        """Fill the list, show the card."""
        ui, busy = self.ui, self.panel.runner.busy
        models = self.panel.session.listedModels()
        shown = [(one["name"], self.listed(one)) for one in models]
        if shown != self._shown:
            self._shown = shown
            self._fill(models)
            self._filter()
        model = self.panel.currentModel()
        names = [one["name"] for one in models]
        ui.modelList.setCurrentRow(names.index(model["name"]) if model else -1)
        ui.modelList.setEnabled(not busy and bool(names))
        ui.addModelButton.setEnabled(not busy and not self.panel.setup.problem())
        self._showHeading(_("2. Model"), model)
        self._showCard(model, busy)

    def _fill(self, models: list[dict]) -> None:
        widget = self.ui.modelList
        widget.clear()
        for one in models:
            item = qt.QListWidgetItem(self.listed(one))
            item.setData(NAME, one["name"])
            item.setToolTip(one["description"] if one["usable"] else one["problem"])
            widget.addItem(item)
        fitHeight(widget, min(5, widget.count) * max(0, widget.sizeHintForRow(0)))

    def _showCard(self, model: dict | None, busy: bool) -> None:
        ui = self.ui
        card = ModelCard.html(model) if model else ""
        if not model:
            known = not self.panel.session.noModels
            card = _("There is no automatic model yet: add one, or train one.") if known else ""
        if card != self._card:
            self._card = card
            ui.modelCard.setCollapsibleHtml(card)
        ui.modelCard.setVisible(bool(card))
        self._showTerms(model, busy)

    def _filter(self) -> None:
        words = str(self.ui.modelSearch.text).casefold().split()
        models = self.panel.session.listedModels()
        for row in range(min(self.ui.modelList.count, len(models))):
            texts = ModelCard.searched(models[row])
            self.ui.modelList.setRowHidden(row, not all(word in texts for word in words))

    # What the person does

    def onSearch(self, _text: str) -> None:
        """Show only models that hold all words."""
        if self._shown is not None:
            self._filter()

    def onChosen(self, row: int) -> None:
        """Another model."""
        models = self.panel.session.listedModels()
        if self.panel.refreshing or self.panel.parameters is None or not 0 <= row < len(models):
            return
        self._choose(models[row])

    # Adding

    def onAddCheckpoint(self) -> None:
        """Add the checkpoint of one stage, or of both together."""
        kinds = " ".join(f"*{suffix}" for suffix in CHECKPOINTS)
        title = _("Checkpoints: of one stage, or of both")
        kinds = _("Checkpoints ({kinds})").format(kinds=kinds)
        paths = qt.QFileDialog.getOpenFileNames(None, title, self._lastFolder(), kinds)
        if paths:
            self.add(*(str(path) for path in paths))

    def add(self, path: str, *others: str) -> None:
        """Take a model into the person's collection and choose it.

        Args:
            path: a model's folder, a zip of one, or a checkpoint.
            others: the checkpoint of the other stage, if there is one; which is which is seen in the files.

        Raises:
            UserError: more than two files.
        """
        if len(others) > 1:
            raise UserError(
                "too-many",
                _("{count} files are chosen; a model has at most two stages.").format(count=1 + len(others)),
                _("Choose the files of one model."),
            )
        more: dict = {}
        if Path(path).suffix.lower() in CHECKPOINTS:
            more = {"automatic": True, "options": {"coarse": others[0]} if others else {}}
        self._add(path, **more)
