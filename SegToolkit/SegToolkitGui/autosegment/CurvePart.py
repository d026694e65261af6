"""The curve of a run over all frames: the chart, and what the ventricles do."""

from __future__ import annotations

import re

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.autosegment import FramesText
from SegToolkitGui.autosegment.ChartView import ChartView
from SegToolkitGui.autosegment.FramesRun import FramesRun
from SegToolkitGui.Part import Part
from SegToolkitGui.scene.SequenceFrames import showFrame

CURVE = "curve"
LEFT_VENTRICLE = "87878005"  # SNOMED CT


class CurvePart(Part):
    """Below the table of volumes, where the last run was one over all frames."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.chart = ChartView(ui.curveFrame.layout(), {CURVE: _("Volume curve")}, "curve")
        ui.diastoleButton.connect("clicked(bool)", panel.guarded(lambda: self.onPhase("end_diastole")))
        ui.systoleButton.connect("clicked(bool)", panel.guarded(lambda: self.onPhase("end_systole")))

    def tearDown(self) -> None:
        """Let go of the chart's view."""
        self.chart.cleanup()

    def refresh(self) -> None:
        """Show the last run's curve."""
        ui, run = self.ui, self._run()
        chart = run.curve.chartId if run is not None else ""
        there = slicer.mrmlScene.GetNodeByID(chart) is not None if chart else False
        self.chart.show({CURVE: chart} if there else {})
        ui.curveFrame.setVisible(there)
        text = FramesText.heart(run) if there else ""
        ui.heartLabel.setText(text)
        ui.heartLabel.setVisible(bool(text))
        ui.phaseRow.setVisible(there and bool(run.ventricles))
        ui.tableSection.setText(_("Volume curve") if there else _("Volumes of the organs"))

    def onPhase(self, phase: str) -> None:
        """Show the end-diastolic or end-systolic frame: of the left ventricle, which is the one that is
        usually meant, or else of the first."""
        run = self._run()
        if run is None or not run.ventricles:
            return
        codes = run.curve.terminology
        left = [one for one in run.ventricles if _isLeft(one["name"], codes.get(one["name"], ""))]
        volume = slicer.mrmlScene.GetNodeByID(run.settings.volumeIds[0])
        if volume is not None:
            showFrame(volume, (left or run.ventricles)[0][phase])

    def _run(self) -> FramesRun | None:
        run = self.panel.runner.withResults
        return run if isinstance(run, FramesRun) else None


def _isLeft(name: str, terminology: str) -> bool:
    """Whether a ventricle is the left one: by its code, or else by its name."""
    words = re.findall("[a-z]+", name.casefold())
    return f"^{LEFT_VENTRICLE}^" in terminology or "left" in words or "lv" in words
