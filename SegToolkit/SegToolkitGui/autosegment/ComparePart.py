"""The section "Compare with a reference": which two, the table, the charts."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.autosegment import CompareCharts
from SegToolkitGui.autosegment.ChartView import ChartView
from SegToolkitGui.autosegment.Compare import CompareSettings
from SegToolkitGui.autosegment.TableView import TableView
from SegToolkitGui.NodeSelector import NodeSelector
from SegToolkitGui.Part import Part
from SegToolkitGui.run.States import State


class ComparePart(Part):
    """Compares two segmentations, organ by organ."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.table = TableView(panel, ui.compareTable, ui.copyCompareButton, ui.saveCompareButton)
        self.chart = ChartView(ui.plotFrame.layout(), CompareCharts.TITLES, "compare")
        self.referenceSelector = NodeSelector(panel, ui.referenceSelector, "reference")
        self.comparedSelector = NodeSelector(panel, ui.comparedSelector, "compared")
        ui.toleranceSpin.connect("valueChanged(double)", self.onTolerance)
        ui.compareButton.connect("clicked(bool)", panel.guarded(self.onCompare))
        panel.runner.finished.connect(self.onFinished)

    def tearDown(self) -> None:
        """Let go of runner and nodes."""
        self.panel.runner.finished.disconnect(self.onFinished)
        self.chart.cleanup()

    def settings(self) -> CompareSettings:
        """What is chosen; the last result where no segmentation is."""
        parameters = self.panel.parameters
        compared = parameters.compared or self.panel.running.resultNode()
        settings = CompareSettings(
            referenceId=parameters.reference.GetID() if parameters.reference is not None else "",
            comparedId=compared.GetID() if compared is not None else "",
            toleranceMm=parameters.toleranceMm,
        )
        if settings.volume is None and parameters.inputVolume is not None:
            settings.volumeId = parameters.inputVolume.GetID()
        return settings

    def refresh(self) -> None:
        """Show what is chosen, and why it cannot be compared."""
        ui, parameters, busy = self.ui, self.panel.parameters, self.panel.running.busy
        ui.referenceSelector.setCurrentNode(parameters.reference)
        ui.comparedSelector.setCurrentNode(parameters.compared)
        if not ui.toleranceSpin.hasFocus():
            ui.toleranceSpin.setValue(parameters.toleranceMm)
        problem = self.panel.setup.problem() or self.settings().problem()
        for widget in (ui.referenceSelector, ui.comparedSelector, ui.toleranceSpin):
            widget.setEnabled(not busy)
        ui.compareButton.setEnabled(not busy and not problem)
        ui.compareButton.setToolTip(problem or _("Compare the two segmentations, organ by organ."))
        ui.compareReasonLabel.setText(problem)
        ui.compareReasonLabel.setVisible(bool(problem) and not busy)
        run = self.panel.runner.compared
        there = run is not None and slicer.mrmlScene.GetNodeByID(run.tableId) is not None
        self.table.show(run.tableId if there else "")
        self.chart.show(run.chartIds if there else {})
        for widget in (ui.compareTable, ui.copyCompareButton, ui.saveCompareButton, ui.plotFrame):
            widget.setVisible(there)

    # What the person does

    def onTolerance(self, value: float) -> None:
        """Another tolerance."""
        if self._free():
            self.panel.parameters.toleranceMm = float(value)

    def onCompare(self) -> None:
        """Compare."""
        if self.panel.running.busy:  # a double click
            return
        self.panel.running.message = ""
        self.panel.runner.compare(self.settings())

    def onFinished(self, run) -> None:
        """Say how well the two agree."""
        if run is not self.panel.runner.compared or run.state != State.DONE or self.panel.parameters is None:
            return
        self.panel.running.showMessage(summary(run.rows))
        self.panel.refresh()


def summary(rows: list[dict]) -> str:
    """How well two segmentations agree, in sentences.

    An organ that only one of the two has was missed or made up. Left out, it would make the mean the better,
    the more organs were missed; so it counts with a DSC of 0. Its distance is infinite and enters no mean.

    Args:
        rows: of a comparison (CompareRun).
    """
    scored = [row for row in rows if row["dsc"] is not None]
    texts = [_("Organs compared: {count}.").format(count=len(scored))]
    if scored:
        mean = sum(row["dsc"] for row in scored) / len(scored)
        texts.append(_("Mean DSC: {mean:.3f}.").format(mean=mean))
    distances = [row["hd95_mm"] for row in scored if row["hd95_mm"] is not None]
    if distances:
        mean = sum(distances) / len(distances)
        texts.append(_("Mean HD95: {mean:.1f} mm.").format(mean=mean))
    alone = _("Only in the {where}: {names}; DSC 0, and no distance in the mean.")
    for where, other in ((_("reference"), "result_ml"), (_("result"), "reference_ml")):
        names = [row["name"] for row in scored if not row[other]]
        if names:
            texts.append(alone.format(where=where, names=", ".join(names)))
    nowhere = [row["name"] for row in rows if row["dsc"] is None]
    if nowhere:
        texts.append(_("In neither, and left out: {names}.").format(names=", ".join(nowhere)))
    return " ".join(texts)
