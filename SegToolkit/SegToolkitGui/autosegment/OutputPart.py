"""Quality, and the section "4. Result": what comes out and where it goes."""

from __future__ import annotations

from slicer.i18n import tr as _

from SegToolkitGui.Part import Part
from SegToolkitGui.run.OutputSelector import OutputSelector

OUTPUT_MODES = ("replace", "add", "merge")
MODES = {"full": _("Full"), "quick": _("Quick (coarse)")}


class OutputPart(Part):
    """Choices about the result."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._modes: list[str] = []
        ui.outputModeCombo.addItems([_("Replace them"), _("Add new segments"), _("Merge with them")])
        ui.modeCombo.connect("currentIndexChanged(int)", self.onMode)
        self.output = OutputSelector(panel, ui.outputSelector)
        ui.outputModeCombo.connect("currentIndexChanged(int)", self.onOutputMode)
        ui.volumesCheck.connect("toggled(bool)", self.onVolumes)
        ui.smallCheck.connect("toggled(bool)", self.onSmall)

    def mode(self) -> str:
        """The quality that is asked for: the scene's, or the model's usual one."""
        model = self.panel.currentModel()
        modes = model["modes"] if model else ["full"]
        return self.panel.parameters.mode if self.panel.parameters.mode in modes else modes[0]

    def refresh(self) -> None:
        """Show what is chosen, and what the model offers."""
        ui, parameters, busy = self.ui, self.panel.parameters, self.panel.runner.busy
        model = self.panel.currentModel() or {"modes": [], "small": False}
        if model["modes"] != self._modes:
            self._modes = list(model["modes"])
            ui.modeCombo.clear()
            ui.modeCombo.addItems([MODES.get(mode, mode) for mode in self._modes])
        if self._modes:
            ui.modeCombo.setCurrentIndex(self._modes.index(self.mode()))
        ui.modeCombo.setEnabled(not busy and len(self._modes) > 1)
        several = self.panel.count() > 1
        output = None if several else parameters.outputSegmentation
        if parameters.outputSegmentation is not None and several:
            parameters.outputSegmentation = None  # each of several volumes gets one of its own
        ui.outputSelector.setCurrentNode(output)
        ui.outputSelector.setEnabled(not busy and not several)
        ui.outputSelector.setToolTip(
            _("Each of several volumes gets a new segmentation of its own.")
            if several
            else _("Where the result goes.")
        )
        mode = parameters.outputMode if parameters.outputMode in OUTPUT_MODES else OUTPUT_MODES[0]
        ui.outputModeCombo.setCurrentIndex(OUTPUT_MODES.index(mode))
        ui.outputModeCombo.setEnabled(output is not None and not busy)
        ui.volumesCheck.setChecked(parameters.volumesTable)
        ui.volumesCheck.setEnabled(not busy)
        ui.smallCheck.setChecked(self.panel.session.machine.small and model["small"])
        ui.smallCheck.setEnabled(not busy and model["small"])

    # What the person does

    def onMode(self, index: int) -> None:
        """Another quality."""
        if self._free() and 0 <= index < len(self._modes):
            self.panel.parameters.mode = self._modes[index]

    def onOutputMode(self, index: int) -> None:
        """What happens to segments that are there."""
        if self._free() and 0 <= index < len(OUTPUT_MODES):
            self.panel.parameters.outputMode = OUTPUT_MODES[index]

    def onVolumes(self, checked: bool) -> None:
        """With or without the table."""
        if self._free():
            self.panel.parameters.volumesTable = bool(checked)

    def onSmall(self, checked: bool) -> None:
        """Little memory; it belongs to this machine, not to the scene."""
        if self._free():
            self.panel.session.machine.small = bool(checked)
            self.panel.changed()
