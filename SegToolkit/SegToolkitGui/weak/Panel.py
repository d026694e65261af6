"""The panel: its parts, and the one place that says what is enabled and why not."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.PanelBase import PanelBase
from SegToolkitGui.SetupPart import SetupPart
from SegToolkitGui.weak import MapNodes
from SegToolkitGui.weak.DatasetPart import DatasetPart
from SegToolkitGui.weak.ImagesPart import ImagesPart
from SegToolkitGui.weak.MapPart import MapPart
from SegToolkitGui.weak.MapsSettings import MapsSettings
from SegToolkitGui.weak.ModelPart import ModelPart
from SegToolkitGui.weak.RefinePart import RefinePart
from SegToolkitGui.weak.ReviewPart import ReviewPart
from SegToolkitGui.weak.RunPart import RunPart
from SegToolkitGui.weak.SliceTable import SliceFacts
from SegToolkitGui.weak.TagPart import TagPart
from SegToolkitGui.weak.TrainPart import TrainPart


class Panel(PanelBase):
    """The weak-supervision panel.

    Args:
        ui: the named widgets of SegToolkitWeakSupervision.ui.
        logic: SegToolkitWeakSupervisionLogic.
    """

    def __init__(self, ui, logic) -> None:
        super().__init__(ui, logic)
        self.runner = logic.runner
        self.setup = SetupPart(self)
        self.images = ImagesPart(self)
        self.tags = TagPart(self)
        self.model = ModelPart(self)
        self.dataset = DatasetPart(self)
        self.train = TrainPart(self)
        self.running = RunPart(self)
        self.maps = MapPart(self)
        self.refining = RefinePart(self)
        self.review = ReviewPart(self)
        self._facts: tuple = ((), {})
        self.parts = [
            self.setup,
            self.images,
            self.tags,
            self.model,
            self.dataset,
            self.train,
            self.running,
            self.maps,
            self.refining,
            self.review,
        ]

    def detachParts(self) -> None:
        """The scene's nodes are about to go."""
        for part in (self.images, self.tags, self.maps, self.review, self.train):
            part.detach()
        self._facts = ((), {})

    # Helpers for the parts

    @property
    def parameterNode(self):
        """The MRML node that holds the scene's choices."""
        return self._node

    def modelName(self) -> str:
        """The model of the scene, or this machine's; of the scene's modalities if there is one."""
        name = self.parameters.model
        if self.session.model(name) is not None:
            return name
        return self.session.defaultModel()

    def currentModel(self) -> dict | None:
        """What is known of that model; None if there is none."""
        return self.session.model(self.modelName())

    def wantedModalities(self) -> list[str]:
        """Modalities of the chosen model."""
        model = self.currentModel()
        return list(model["modalities"]) if model else []

    def settings(self) -> MapsSettings:
        """What Apply asks for."""
        return MapsSettings(
            images=self.images.images(),
            model=self.modelName(),
            device=self.session.device,
            resample=self.parameters.resample,
        )

    def reason(self) -> str:
        """Why Apply cannot be pressed, in a sentence; "" if it can."""
        problem = self.setup.problem() or self.settings().problem() or self.session.noModels
        if problem:
            return problem
        model = self.currentModel()
        if model is None:
            return _("There is no model that makes maps: add one under Model, or train one.")
        return self.settings().modelProblem(model)

    def facts(self) -> dict[int, SliceFacts]:
        """What the networks said of the slices of the first image; read anew only for another table."""
        node = MapNodes.tableOf(self.images.first())
        key = (node.GetID(), node.GetTable().GetMTime()) if node is not None else ()
        if key != self._facts[0]:
            self._facts = (key, MapNodes.facts(self.images.first()))
        return self._facts[1]

    def sliceShown(self, _index: int) -> None:
        """The view shows another slice."""
        self.maps.showPreview()

    def openModule(self, name: str, title: str) -> None:
        """Show another module of the application.

        Raises:
            UserError: it is not loaded, or there is no main window.
        """
        try:
            if getattr(slicer.modules, name.lower(), None) is None:
                raise RuntimeError(name)
            slicer.util.selectModule(name)
        except RuntimeError as error:
            raise UserError(
                "no-module",
                _("The module {title} is not loaded.").format(title=title),
                _("Allow it in Slicer's settings (Modules), and start Slicer again."),
            ) from error
