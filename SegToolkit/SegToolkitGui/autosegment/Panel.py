"""The panel: its parts, and the one place that says what is enabled and why not."""

from __future__ import annotations

from slicer.i18n import tr as _

from SegToolkitGui.autosegment.AutoSegmentSettings import AutoSegmentSettings
from SegToolkitGui.autosegment.ComparePart import ComparePart
from SegToolkitGui.autosegment.DicomPart import DicomPart
from SegToolkitGui.autosegment.InputPart import InputPart
from SegToolkitGui.autosegment.ModelPart import ModelPart
from SegToolkitGui.autosegment.OrganPart import OrganPart
from SegToolkitGui.autosegment.OutputPart import OutputPart
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
        self.dicom = DicomPart(self)
        self.model = ModelPart(self)
        self.organs = OrganPart(self)
        self.output = OutputPart(self)
        self.running = RunPart(self)
        self.compare = ComparePart(self)
        self.parts = [
            self.setup,
            self.inputs,
            self.dicom,
            self.model,
            self.organs,
            self.output,
            self.running,
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

    def settings(self) -> AutoSegmentSettings:
        """What the panel asks for."""
        parameters, session, model = self.parameters, self.session, self.currentModel()
        output = parameters.outputSegmentation
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
            uncertainty=parameters.uncertainty and bool(model and model["uncertainty"]),
        )

    def reason(self) -> str:
        """Why Apply cannot be pressed, in a sentence; "" if it can."""
        problem = self.setup.problem() or self.session.noModels
        if problem:
            return problem
        if not self.modelName():
            return _("There is no automatic model: add one under Model.")
        return self.settings().problem()
