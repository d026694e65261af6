"""The section "2. Model": searching, reading a card, accepting terms, adding a model."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.autosegment import ModelCard
from SegToolkitGui.autosegment.TableView import fitHeight
from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part

NAME = qt.Qt.UserRole
CHECKPOINTS = (".pth", ".pt")


class ModelPart(Part):
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
        self._menu = qt.QMenu(ui.addModelButton)
        choices = [
            (_("Model folder..."), self.onAddFolder),
            (_("Zip file of a model..."), self.onAddZip),
            (_("Checkpoints of the authors' code..."), self.onAddCheckpoint),
        ]
        self._actions = []
        for text, slot in choices:
            action = qt.QAction(text, self._menu)
            action.connect("triggered(bool)", panel.guarded(slot))
            self._menu.addAction(action)
            self._actions.append(action)
        ui.addModelButton.setMenu(self._menu)
        panel.session.modelsChanged.connect(panel.changed)

    def tearDown(self) -> None:
        """Let go of the session."""
        self.panel.session.modelsChanged.disconnect(self.panel.changed)

    # Showing

    def refresh(self) -> None:
        """Fill the list, show the card."""
        ui, busy = self.ui, self.panel.runner.busy
        models = self.panel.session.listedModels()
        shown = [(one["name"], one["title"], one["usable"]) for one in models]
        if shown != self._shown:
            self._shown = shown
            self._fill(models)
            self._filter()
        model = self.panel.currentModel()
        names = [one["name"] for one in models]
        ui.modelList.setCurrentRow(names.index(model["name"]) if model else -1)
        ui.modelList.setEnabled(not busy and bool(names))
        ui.addModelButton.setEnabled(not busy and not self.panel.setup.problem())
        title = model["title"] or model["name"] if model else ""
        ui.modelSection.setText(_("2. Model: {title}").format(title=title) if model else _("2. Model"))
        self._showCard(model, busy)

    def _fill(self, models: list[dict]) -> None:
        widget = self.ui.modelList
        widget.clear()
        for one in models:
            text = one["title"] or one["name"]
            item = qt.QListWidgetItem(text if one["usable"] else text + " " + _("(cannot be used)"))
            item.setData(NAME, one["name"])
            item.setToolTip(one["description"] if one["usable"] else one["problem"])
            widget.addItem(item)
        fitHeight(widget, min(5, widget.count) * max(0, widget.sizeHintForRow(0)))

    def _showCard(self, model: dict | None, busy: bool) -> None:
        ui = self.ui
        card = ModelCard.html(model) if model else ""
        if not model:
            known = bool(self.panel.session.models)
            card = _("There is no automatic model yet: add one, or train one.") if known else ""
        if card != self._card:
            self._card = card
            ui.modelCard.setCollapsibleHtml(card)
        ui.modelCard.setVisible(bool(card))
        open_ = model is not None and ModelCard.needsAcceptance(model)
        ui.acceptButton.setVisible(open_)
        ui.acceptButton.setEnabled(open_ and not busy)

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
        chosen = models[row]
        if not chosen["usable"]:
            self.panel.tell(UserError("bad-model", chosen["problem"], _("Choose another model.")))
        else:
            self.take(chosen["name"])
        self.panel.changed()

    def take(self, name: str) -> None:
        """Make a model the scene's, and this machine's."""
        self.panel.parameters.model = name
        self.panel.session.machine.model = name

    def accepted(self, model: dict) -> bool:
        """Show a model's terms and ask; whether they were accepted."""
        licence = model["licence"]
        question = _("The model {title} may be used under these terms ({name}):\n\n{summary}\n\nAccept them?")
        text = question.format(title=model["title"], name=licence["name"], summary=licence["summary"])
        return bool(slicer.util.confirmOkCancelDisplay(text, _("Terms of the model")))

    def onAccept(self) -> None:
        """Read the terms and accept them."""
        model = self.panel.currentModel()
        if model is not None and self.accepted(model):
            self.panel.session.acceptLicence(model["name"], self._onAccepted)

    def _onAccepted(self, _outputs, error) -> None:
        if error is not None:
            self.panel.tell(error)
        self.panel.changed()

    # Adding

    def onAddFolder(self) -> None:
        """Add a model's folder."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of a model"), self._lastFolder())
        if folder:
            self.add(folder)

    def onAddZip(self) -> None:
        """Add a zip of a model."""
        kinds = _("Models (*.zip)")
        path = qt.QFileDialog.getOpenFileName(None, _("Zip file of a model"), self._lastFolder(), kinds)
        if path:
            self.add(str(path))

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
        self.panel.session.machine.lastFolder = str(Path(path).parent)
        body: dict = {"path": str(path), "replace": False}
        if Path(path).suffix.lower() in CHECKPOINTS:
            body.update(automatic=True, options={"coarse": others[0]} if others else {})
        self.panel.session.addModel(body, self._onAdded)

    def _onAdded(self, outputs, error) -> None:
        if error is not None:
            self.panel.tell(error)
        elif self.panel.parameters is not None:
            self.take(outputs["name"])
            self.panel.running.showMessage(_("Added the model {name}.").format(name=outputs["name"]))
        self.panel.changed()

    def _lastFolder(self) -> str:
        return str(self.panel.session.machine.lastFolder or "")
