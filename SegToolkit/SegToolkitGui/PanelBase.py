"""What every panel is: parts, a refresh that brings them in line, and the choices of the present scene."""

from __future__ import annotations

import logging

import qt
import slicer

from SegToolkitGui.Errors import UserError

# Several changes in a row lead to one refresh.
REFRESH_MS = 40


class PanelBase:
    """Joins widgets, parameters of the scene and a session; a panel adds its parts.

    A panel fills ``parts`` (``setup`` and ``running`` among them), sets ``runner`` (whose ``busy`` tells
    whether packages are in use), and may override ``attachParts``, ``detachParts`` and ``sceneCloses``.

    Args:
        ui: the named widgets of the module's .ui file.
        logic: the module's logic.
    """

    def __init__(self, ui, logic) -> None:
        self.ui = ui
        self.logic = logic
        self.session = logic.session
        self.parameters = None
        self.parts: list = []
        self.shown = False
        self.refreshing = False
        self._tag = None
        self._node = None
        self._sceneTags: list[int] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.connect("timeout()", self.refresh)

    # Life

    def attach(self) -> None:
        """Take the choices of the present scene."""
        self._node = self.logic.parameterNodeOfScene()
        self.parameters = self.logic.getParameterNode()
        self._tag = self._node.AddObserver("ModifiedEvent", self._onModified)
        scene = slicer.mrmlScene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent)
        self._sceneTags = [scene.AddObserver(event, self._onModified) for event in events]
        self.attachParts()
        self.refresh()

    def detach(self) -> None:
        """Let go of the scene's choices; runs go on."""
        self._timer.stop()
        self.detachParts()
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        for tag in self._sceneTags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._sceneTags = []
        self._node = self.parameters = None

    def attachParts(self) -> None:
        """The choices of another scene are there."""

    def detachParts(self) -> None:
        """The scene's choices are about to go."""

    def sceneCloses(self) -> None:
        """The scene is being closed; the panel is detached already. What is under way for it ends here."""

    def enter(self) -> None:
        """The panel comes to the front."""
        self.shown = True
        for part in self.parts:
            part.enter()
        self.refresh()

    def exit(self) -> None:
        """The panel goes to the back."""
        self.shown = False
        for part in self.parts:
            part.exit()

    def tearDown(self) -> None:
        """The panel ends for good; runs go on."""
        self.exit()
        self.detach()
        for part in self.parts:
            part.tearDown()

    # Refreshing

    def changed(self) -> None:
        """Something changed: refresh soon."""
        if self.parameters is not None and not self.refreshing:
            self._timer.start()

    def refresh(self) -> None:
        """Bring every widget in line with the scene's choices and what is known."""
        if self.parameters is None or self.refreshing:
            return
        self._timer.stop()
        if self._node.GetScene() is None:  # somebody removed it: another one is made
            self.detach()
            self.attach()
            return
        self.refreshing = True
        try:
            for part in self.parts:
                part.refresh()
        finally:
            self.refreshing = False

    def _onModified(self, _caller, _event) -> None:
        self.changed()

    # Helpers for the parts

    def tell(self, error: UserError) -> None:
        """Show an error in the panel and the log."""
        logging.warning("SegToolkit: %s", error)
        self.running.showError(error)

    def guarded(self, function, tell=None):
        """The function as a slot: a person's mistakes are told by ``tell``, or else in the panel."""

        def slot(*_arguments):
            if self.parameters is None:  # the scene is being closed or imported
                return
            try:
                function()
            except UserError as error:
                (tell or self.tell)(error)
            self.changed()

        return slot
