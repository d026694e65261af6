"""The life of a module's widget: its panel is built, follows the scene, and ends.

A module file may import nothing of this package before its ``setup`` has made the package findable, so a
module's widget has a ModuleLife rather than being one:

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        findPackages()
        from SegToolkitGui.ModuleWidget import ModuleLife
        from SegToolkitGui.training.Panel import Panel

        self.logic = SegToolkitTrainingLogic()
        self.life = ModuleLife(self, Panel)

and passes ``enter``, ``exit``, ``cleanup`` and ``onReload`` on to it. The logic's ``endShared()`` ends what
belongs to the application (sessions, runners) before a reload.
"""

from __future__ import annotations

import sys

import slicer
from slicer.util import VTKObservationMixin

PACKAGES = ("SegToolkitGui", "SegToolkitLib")


class ModuleLife(VTKObservationMixin):
    """Loads a module's .ui file and panel, and keeps the panel and the scene together.

    The widget gets the attributes ``uiWidget``, ``ui`` (its named widgets) and ``panel``.

    Args:
        widget: the module's ScriptedLoadableModuleWidget, whose ``logic`` is there.
        makePanel: makes the panel (PanelBase) of (ui, logic).
    """

    def __init__(self, widget, makePanel) -> None:
        VTKObservationMixin.__init__(self)
        self._widget = widget
        widget.uiWidget = slicer.util.loadUI(widget.resourcePath(f"UI/{widget.moduleName}.ui"))
        widget.layout.addWidget(widget.uiWidget)
        widget.ui = slicer.util.childWidgetVariables(widget.uiWidget)
        widget.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.panel = widget.panel = makePanel(widget.ui, widget.logic)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onStartClose)
        self.addObserver(scene, scene.StartImportEvent, self._onStartImport)
        for event in (scene.EndCloseEvent, scene.EndImportEvent):
            self.addObserver(scene, event, self._onChanged)
        self.panel.attach()
        if widget.parent.isEntered:  # the module was reloaded while it is shown: nobody calls enter() then
            self.panel.enter()

    def enter(self) -> None:
        """The panel is shown."""
        self.panel.enter()

    def exit(self) -> None:
        """Another module is shown; runs go on."""
        self.panel.exit()

    def cleanup(self) -> None:
        """The application ends, or the module is reloaded; safe to call twice."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.tearDown()
            self.panel = self._widget.panel = None

    def takeScene(self) -> None:
        """Take the present scene's choices."""
        self.panel.detach()
        self.panel.attach()

    def beforeReload(self) -> None:
        """End what is shared, and drop our packages, so that a developer's change is seen."""
        self._widget.logic.endShared()
        for name in [one for one in sys.modules if one.split(".")[0] in PACKAGES]:
            del sys.modules[name]

    def _onStartClose(self, _caller, _event) -> None:
        # Nodes are forgotten before they go; what is under way for this scene ends.
        self.panel.detach()
        self.panel.sceneCloses()

    def _onStartImport(self, _caller, _event) -> None:
        # At the end of an import node selectors fill their lists anew and drop to "none" in between: that is
        # nobody's choice, so the panel has let go by then.
        self.panel.detach()

    def _onChanged(self, _caller, _event) -> None:
        self.takeScene()
