"""The section "5. Mask": how the maps become a mask."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from SegToolkitGui.Part import Part
from SegToolkitGui.run.OutputSelector import OutputSelector
from SegToolkitGui.weak import Structures
from SegToolkitGui.weak.RefineRun import RefineSettings
from SegToolkitGui.weak.SliceTags import asDict

CONSENSUS = {
    "mean": _("Mean of the maps"),
    "minimum": _("All agree (minimum)"),
    "maximum": _("Any map (maximum)"),
    "vote": _("Majority of the masks"),
}
SMOOTHING = {
    "": _("As measured best"),
    "random_walker": _("Random walker"),
    "geodesic": _("Geodesic contour"),
    "none": _("None"),
}


class RefinePart(Part):
    """Choices about the mask."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        ui.consensusCombo.addItems(list(CONSENSUS.values()))
        ui.smoothingCombo.addItems(list(SMOOTHING.values()))
        ui.structureCombo.addItems(Structures.NAMES)
        ui.consensusCombo.connect("currentIndexChanged(int)", self.onConsensus)
        ui.smoothingCombo.connect("currentIndexChanged(int)", self.onSmoothing)
        ui.structureCombo.connect("currentTextChanged(QString)", self.onStructure)
        ui.largestCheck.connect("toggled(bool)", self.onChecks)
        ui.holesCheck.connect("toggled(bool)", self.onChecks)
        ui.supportedCheck.connect("toggled(bool)", self.onChecks)
        ui.smallestSpin.connect("valueChanged(double)", self.onSmallest)
        self.output = OutputSelector(panel, ui.maskSelector)
        ui.refineButton.connect("clicked(bool)", panel.guarded(self.onRefine))

    def settings(self) -> RefineSettings:
        """What the panel asks for; a segment of the same name is replaced."""
        parameters = self.panel.parameters
        output = parameters.outputSegmentation
        values: dict[str, Any] = {
            "consensus": parameters.consensus,
            "largest_only": parameters.component,
            "smallest_ml": parameters.smallest,
            "fill_holes": parameters.holes,
            "supported": parameters.supported,
        }
        if parameters.smoothing:
            values["smoothing"] = parameters.smoothing
        return RefineSettings(
            images=self.panel.images.images(),
            mapIds={name: node.GetID() for name, node in self.panel.maps.maps().items()},
            # As they are now: sliders can be moved while the run is under way.
            thresholds=self.panel.maps.thresholds(),
            tags=asDict(self.panel.tags.tags()),
            resample=parameters.resample,
            values=values,
            structure=parameters.structure,
            outputMode="replace" if output is not None else "new",
            segmentationId=output.GetID() if output is not None else "",
        )

    def reason(self) -> str:
        """Why no mask can be made, in a sentence; "" if it can."""
        return self.panel.setup.problem() or self.settings().problem()

    def refresh(self) -> None:
        """Bring the section in line."""
        ui, parameters, busy = self.ui, self.panel.parameters, self.panel.running.busy
        for combo, keys, value in (
            (ui.consensusCombo, list(CONSENSUS), parameters.consensus),
            (ui.smoothingCombo, list(SMOOTHING), parameters.smoothing),
        ):
            combo.setCurrentIndex(keys.index(value) if value in keys else 0)
            combo.setEnabled(not busy)
        if ui.structureCombo.currentText != parameters.structure:
            ui.structureCombo.setCurrentText(parameters.structure)
        ui.largestCheck.setChecked(parameters.component)
        ui.holesCheck.setChecked(parameters.holes)
        ui.supportedCheck.setChecked(parameters.supported)
        ui.smallestSpin.setValue(parameters.smallest)
        ui.maskSelector.setCurrentNode(parameters.outputSegmentation)
        for widget in (ui.structureCombo, ui.maskSelector, ui.largestCheck, ui.holesCheck):
            widget.setEnabled(not busy)
        for widget in (ui.supportedCheck, ui.smallestSpin):
            widget.setEnabled(not busy)
        self.panel.running.showStart(
            ui.refineButton, self.reason(), _("Make one mask of all maps, in the whole volume.")
        )

    # What the person does

    def onConsensus(self, index: int) -> None:
        """Maps are brought together otherwise."""
        if self._free() and 0 <= index < len(CONSENSUS):
            self.panel.parameters.consensus = list(CONSENSUS)[index]

    def onSmoothing(self, index: int) -> None:
        """Borders are found otherwise."""
        if self._free() and 0 <= index < len(SMOOTHING):
            self.panel.parameters.smoothing = list(SMOOTHING)[index]

    def onStructure(self, text: str) -> None:
        """The structure is another one."""
        if self._free():
            self.panel.parameters.structure = str(text)

    def onChecks(self, _checked: bool) -> None:
        """Other rules for components."""
        if self._free():
            ui, parameters = self.ui, self.panel.parameters
            parameters.component = bool(ui.largestCheck.checked)
            parameters.holes = bool(ui.holesCheck.checked)
            parameters.supported = bool(ui.supportedCheck.checked)

    def onSmallest(self, value: float) -> None:
        """Smaller components stay, or larger ones go."""
        if self._free():
            self.panel.parameters.smallest = float(value)

    def onRefine(self) -> None:
        """Make the mask."""
        if not self.panel.running.busy:
            self.panel.running.message = ""
            self.panel.runner.refine(self.settings())
