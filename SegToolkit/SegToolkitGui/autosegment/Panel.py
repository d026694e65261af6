"""The panel: its parts, and the one place that says what is enabled and why not."""

from __future__ import annotations

from slicer.i18n import tr as _

from SegToolkitGui.autosegment.AutoSegmentSettings import AutoSegmentSettings
from SegToolkitGui.autosegment.ComparePart import ComparePart
from SegToolkitGui.autosegment.CurvePart import CurvePart
from SegToolkitGui.autosegment.DicomPart import DicomPart
from SegToolkitGui.autosegment.FramesPart import FramesPart
from SegToolkitGui.autosegment.InputPart import InputPart
from SegToolkitGui.autosegment.MapsPart import MapsPart
from SegToolkitGui.autosegment.ModelPart import ModelPart
from SegToolkitGui.autosegment.OrganPart import OrganPart
from SegToolkitGui.autosegment.OutputPart import OutputPart
from SegToolkitGui.autosegment.OverlayPart import OverlayPart
from SegToolkitGui.autosegment.RunPart import RunPart
from SegToolkitGui.PanelBase import PanelBase
from SegToolkitGui.SetupPart import SetupPart


class Panel(PanelBase):
    """The automatic-segmentation panel.

    Args:
        ui: the named widgets of SegToolkitAutoSegment.ui.
        logic: SegToolkitAutoSegmentLogic.
    """

    def __init__(self, ui, logic) -> None:
        super().__init__(ui, logic)
        self.runner = logic.runner
        self.setup = SetupPart(self)
        self.inputs = InputPart(self)
        self.frames = FramesPart(self)
        self.dicom = DicomPart(self)
        self.model = ModelPart(self)
        self.organs = OrganPart(self)
        self.output = OutputPart(self)
        self.maps = MapsPart(self)
        self.running = RunPart(self)
        self.overlay = OverlayPart(self)
        self.curve = CurvePart(self)
        self.compare = ComparePart(self)
        self.parts = [
            self.setup,
            self.inputs,
            self.dicom,
            self.model,
            self.organs,
            self.output,
            self.maps,
            self.running,
            self.overlay,
            self.curve,
            self.frames,
            self.compare,
        ]

    # Helpers for the parts

    def modelName(self) -> str:
        """The model of the scene, or this machine's."""
        name = self.parameters.model
        return name if self.session.model(name) is not None else self.session.defaultModel()

    def currentModel(self) -> dict | None:
        """What is known of that model; None if there is none."""
        return self.session.model(self.modelName())

    def count(self) -> int:
        """How many volumes are chosen."""
        return len(self.inputs.volumes()) + len(self.dicom.chosen())

    def settings(self, allFrames: bool = False) -> AutoSegmentSettings:
        """What the panel asks for; of all frames, the result goes where no segmentation is yet."""
        parameters, session, model = self.parameters, self.session, self.currentModel()
        output = None if allFrames else parameters.outputSegmentation
        return AutoSegmentSettings(
            volumeIds=[node.GetID() for node in self.inputs.volumes()],
            series=self.dicom.chosen(),
            model=self.modelName(),
            organs=self.organs.wanted(),
            mode=self.output.mode(),
            device=session.device,
            small=session.machine.small and bool(model and model["small"]),
            outputMode=parameters.outputMode if output is not None else "new",
            segmentationId=output.GetID() if output is not None else "",
            volumesTable=parameters.volumesTable,
            maps=self.maps.wanted(),
            allFrames=allFrames,
        )

    def reason(self) -> str:
        """Why Apply cannot be pressed, in a sentence; "" if it can."""
        return self.readiness() or self.settings().problem()

    def readiness(self) -> str:
        """Why nothing can be run at all, in a sentence; "" if something can."""
        problem = self.setup.problem() or self.session.noModels
        if not problem and not self.modelName():
            problem = _("There is no automatic model: add one under Model.")
        return problem

    def detachParts(self) -> None:
        """The sequence browser is about to go."""
        self.frames.detach()
