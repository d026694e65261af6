"""A volume that is one frame of a sequence: which frame, and the button for all of them."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from SegToolkitGui.Part import Part
from SegToolkitGui.scene.SequenceFrames import browserOf, currentFrame, frameCount, indexValues, showFrame


class FramesPart(Part):
    """The row "Frame" below the volume, and "All frames" below Apply; hidden for volumes of no sequence."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self._browser: Any = None
        self._tag = 0
        self.ui.frameSpin.connect("valueChanged(int)", self.onFrame)
        self.ui.allFramesButton.connect("clicked(bool)", panel.guarded(self.onAllFrames))

    def exit(self) -> None:
        """Nobody looks: the sequence may be played as fast as it likes."""
        self._follow(None)

    def tearDown(self) -> None:
        """Let go of the browser."""
        self._follow(None)

    def detach(self) -> None:
        """The scene's nodes are about to go."""
        self._follow(None)

    def refresh(self) -> None:
        """Show which frame Apply segments, and why not all can be."""
        ui, volume = self.ui, self.panel.parameters.inputVolume
        count, frame, busy = frameCount(volume), currentFrame(volume), self.panel.running.busy
        self._follow(browserOf(volume) if count and self.panel.shown else None)
        shown = count > 1 and frame is not None
        for widget in (ui.frameRow, ui.frameLabel, ui.allFramesButton):
            widget.setVisible(shown)
        if not shown:
            return
        ui.frameSpin.setRange(1, count)
        ui.frameSpin.setValue(frame + 1)
        ui.frameRow.setEnabled(not busy)
        title, values = indexValues(volume)
        place = _("of {count}").format(count=count)
        ui.frameCountLabel.setText(f"{place}, {title}: {values[frame]:g}" if values else place)
        ui.allFramesButton.setText(_("All {count} frames").format(count=count))
        settings = self.panel.settings(allFrames=True)
        reason = self.panel.readiness() or settings.problem()
        ready = _("Segment every frame, one after the other: a sequence of segmentations and a volume curve.")
        self.panel.running.showStart(ui.allFramesButton, reason, ready)

    def onFrame(self, number: int) -> None:
        """Show another frame; it is the one that Apply segments."""
        if self._free():
            showFrame(self.panel.parameters.inputVolume, number - 1)

    def onAllFrames(self) -> None:
        """Segment all frames."""
        self.panel.running.startAllFrames()

    def _follow(self, browser) -> None:
        """Hear when the sequence goes on to another frame."""
        if browser is self._browser:
            return
        if self._browser is not None:
            self._browser.RemoveObserver(self._tag)
        self._browser = browser
        if browser is not None:
            self._tag = browser.AddObserver("ModifiedEvent", self._onBrowser)

    def _onBrowser(self, _caller, _event) -> None:
        self.panel.changed()
