"""The panel: its parts, and the one place that says what is enabled and why not."""

from __future__ import annotations

from slicer.i18n import tr as _

from SegToolkitGui.fewshot.ModelPart import ModelPart
from SegToolkitGui.fewshot.QueryPart import QueryPart
from SegToolkitGui.fewshot.RunPart import RunPart
from SegToolkitGui.fewshot.SupportPart import SupportPart
from SegToolkitGui.fewshot.Supports import SupportList
from SegToolkitGui.PanelBase import PanelBase
from SegToolkitGui.scene import ViewSlice
from SegToolkitGui.SetupPart import SetupPart


class Panel(PanelBase):
    """The few-shot panel.

    Args:
        ui: the named widgets of SegToolkitFewShot.ui.
        logic: SegToolkitFewShotLogic.
    """

    def __init__(self, ui, logic) -> None:
        super().__init__(ui, logic)
        self.runner = logic.runner
        self.supports: SupportList | None = None
        self.setup = SetupPart(self)
        self.model = ModelPart(self)
        self.support = SupportPart(self)
        self.query = QueryPart(self)
        self.running = RunPart(self)
        self.parts = [self.setup, self.model, self.support, self.query, self.running]

    def attachParts(self) -> None:
        """Take the scene's examples, and its editor node."""
        self.supports = SupportList(self._node)
        self.support.attach()

    def detachParts(self) -> None:
        """Let go of them."""
        self.support.detach()
        self.supports = None

    def sceneCloses(self) -> None:
        """Examples that are being loaded, and the slice to outline next, were meant for this scene."""
        self.support.stopZip()
        self.running.next = None

    # Helpers for the parts

    def viewName(self) -> str:
        """The slice view that counts: the chosen one, or the first if that one is not in the layout."""
        names = ViewSlice.viewNames()
        if self.parameters.viewName in names:
            return self.parameters.viewName
        return names[0] if names else ""

    def sliceNode(self):
        """MRML slice node of that view, or None."""
        widget = ViewSlice.sliceWidget(self.viewName())
        return widget.mrmlSliceNode() if widget is not None else None

    def modelName(self) -> str:
        """The model of the scene, or this machine's."""
        names = [one["name"] for one in self.session.usableModels()]
        return self.parameters.model if self.parameters.model in names else self.session.defaultModel()

    def reason(self) -> str:
        """Why Apply cannot be pressed, in a sentence; "" if it can."""
        problem = self.setup.problem() or self.session.noModels
        if problem:
            return problem
        if not self.modelName():
            return _("There is no few-shot model: add one under Model.")
        return self.query.settings().problem()
