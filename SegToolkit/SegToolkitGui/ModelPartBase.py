"""Choosing a model, accepting its terms, adding one: what every panel's section "Model" does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part
from SegToolkitGui.run import Terms

HEADING = 60  # characters; a longer heading would make the whole panel wider


class ModelPartBase(Part):
    """The section "Model" of a panel whose session is a ModelSession; the .ui file has addModelButton."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self._actions: list = []
        self._menu = qt.QMenu(self.ui.addModelButton)
        self.ui.addModelButton.setMenu(self._menu)
        self._offer(_("Model folder..."), self.onAddFolder)
        self._offer(_("Zip file of a model..."), self.onAddZip)
        panel.session.modelsChanged.connect(panel.changed)

    def _offer(self, text: str, slot: Callable[[], None]) -> None:
        """One more way to add a model."""
        action = qt.QAction(text, self._menu)
        action.connect("triggered(bool)", self.panel.guarded(slot))
        self._menu.addAction(action)
        self._actions.append(action)

    def tearDown(self) -> None:
        """Let go of the session."""
        self.panel.session.modelsChanged.disconnect(self.panel.changed)

    # Showing

    @staticmethod
    def title(model: dict) -> str:
        """What a model is called on its card."""
        return model["title"] or model["name"]

    def named(self, model: dict) -> str:
        """The name, "" where the title is enough; those of trainings on one data set are alike."""
        title = self.title(model)
        alike = [one for one in self.panel.session.listedModels() if self.title(one) == title]
        own = model["origin"] == "user"
        return model["name"] if model["name"] != title and (own or len(alike) > 1) else ""

    def called(self, model: dict, longest: int = 0) -> str:
        """Title and, where it is needed, name.

        Args:
            longest: characters there is room for; the title's end gives way, never the name. 0: any number.
        """
        title, name = self.title(model), self.named(model)
        added = " " + _("({name})").format(name=name) if name else ""
        room = max(12, longest - len(added))
        if longest and len(title) > room:
            title = title[: room - 3].rstrip(" ,;:") + "..."
        return title + added

    def listed(self, model: dict) -> str:
        """A model in the list of models."""
        return self.called(model) + ("" if model["usable"] else " " + _("(cannot be used)"))

    def _showHeading(self, text: str, model: dict | None) -> None:
        """The section's heading, with the chosen model, which can be read while the section is folded."""
        titled = _("{section}: {model}")
        shown = titled.format(section=text, model=self.called(model, HEADING)) if model else text
        self.ui.modelSection.setText(shown)

    def _cardText(self, model: dict) -> str:
        """The card's text with the model's name below the title."""
        title, _line, rest = model["text"].strip().partition("\n")
        return "\n".join([title, _("Name: {name}").format(name=model["name"]), rest]).strip()

    def _fillCombo(self, combo, models: list[dict]) -> None:
        """List models in a box that may be narrower than their titles."""
        combo.clear()
        for one in models:
            combo.addItem(self.listed(one), one["name"])
            combo.setItemData(combo.count - 1, self.listed(one), qt.Qt.ToolTipRole)

    def _showTerms(self, model: dict | None, busy: bool) -> None:
        """Offer terms that are not accepted yet, where the .ui file has acceptButton."""
        needed = model is not None and Terms.needed(model)
        self.ui.acceptButton.setVisible(needed)
        self.ui.acceptButton.setEnabled(needed and not busy)

    # Terms

    def onAccept(self) -> None:
        """Read the terms and accept them."""
        model = self.panel.currentModel()
        if model is not None and Terms.accepted(model):
            self.panel.session.acceptLicence(model["name"], self._onAccepted)

    def _onAccepted(self, _outputs, error) -> None:
        if error is not None:
            self.panel.tell(error)
        self.panel.changed()

    # Choosing

    def take(self, name: str) -> None:
        """Make a model the scene's, and this machine's."""
        self.panel.parameters.model = name
        self.panel.session.machine.model = name

    def _choose(self, model: dict) -> None:
        """The person points at a model: take it, or say why it cannot be used."""
        if model["usable"]:
            self.take(model["name"])
        else:
            self.panel.tell(UserError("bad-model", model["problem"], _("Choose another model.")))
        self.panel.changed()

    # Adding

    def add(self, path: str) -> None:
        """Take a model's folder, or a zip of one, into the person's collection and choose it."""
        self._add(path)

    def onAddFolder(self) -> None:
        """Add a model's folder."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of a model"), self._lastFolder())
        if folder:
            self.add(str(folder))

    def onAddZip(self) -> None:
        """Add a zip of a model."""
        kinds = _("Models (*.zip)")
        path = qt.QFileDialog.getOpenFileName(None, _("Zip file of a model"), self._lastFolder(), kinds)
        if path:
            self.add(str(path))

    def _add(self, path: str, **more) -> None:
        """Hand a model to the worker; ``more`` is what it asks besides (see its verb "add_model")."""
        self.panel.session.machine.lastFolder = str(Path(path).parent)
        self.panel.session.addModel({"path": str(path), "replace": False, **more}, self.added)

    def added(self, outputs, error) -> None:
        """A model was added, or could not be: the one that was is the one to use."""
        if error is not None:
            self.panel.tell(error)
        elif self.panel.parameters is not None:
            self.take(outputs["name"])
            self.panel.running.showMessage(_("Added the model {name}.").format(name=outputs["name"]))
        self.panel.changed()

    def _lastFolder(self) -> str:
        return str(self.panel.session.machine.lastFolder or "")
