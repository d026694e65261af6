"""The section "4. Maps": which map lies over the image, how, and the threshold with its outline."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Part import Part
from SegToolkitGui.scene import ColourRamps, Overlay
from SegToolkitGui.weak import MapNodes, MapSources
from SegToolkitGui.weak.Images import FUSED, sliceAxis
from SegToolkitGui.weak.Preview import SlicePreview

HINT = _("Maps appear over the image, with a value from 0 to 1 for each voxel.")


class MapPart(Part):
    """Overlay, threshold and live outline of the last run's maps."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.preview = SlicePreview()
        self._names: list[str] = []
        self._previewed: tuple = ()
        self._ramps = {ramp.key: ramp for ramp in ColourRamps.MAPS}
        ui.coloursCombo.addItems([_("The map's own"), *(ramp.title for ramp in ColourRamps.MAPS)])
        ui.mapCombo.connect("currentIndexChanged(int)", self.onMap)
        ui.overlayCheck.connect("toggled(bool)", self.onOverlay)
        ui.coloursCombo.connect("currentIndexChanged(int)", self.onColours)
        ui.opacitySlider.connect("valueChanged(double)", self.onOpacity)
        ui.thresholdSlider.connect("valueChanged(double)", self.onThreshold)
        ui.previewCheck.connect("toggled(bool)", self.onPreview)
        ui.modelThresholdButton.connect("clicked(bool)", panel.guarded(self.onModelThreshold))

    # What is there

    def maps(self) -> dict[str, Any]:
        """The last run's maps of the first image, by name."""
        return MapNodes.mapsOf(self.panel.images.first())

    def chosen(self) -> Any:
        """The map that is looked at, or None: the fused one until another is chosen."""
        maps = self.maps()
        wanted = self.panel.parameters.shownMap or FUSED
        return maps.get(wanted) or next(reversed(list(maps.values())), None)

    def thresholds(self) -> dict[str, float]:
        """The maps' thresholds, as they were moved."""
        return {name: MapNodes.threshold(node) for name, node in self.maps().items()}

    def outdated(self) -> str:
        """Why the maps say little of the images as they are now, in a sentence; "" if nothing is known."""
        images = self.panel.images.images()
        if images.problem():
            return ""  # said where the images are chosen
        return MapSources.outdated(self.maps().values(), images)

    # Life

    def exit(self) -> None:
        """The outline is for this panel's eyes only."""
        self.preview.hide()

    def detach(self) -> None:
        """The scene goes."""
        self.preview.hide()

    # Showing

    def refresh(self) -> None:
        """Bring the section in line."""
        ui, parameters = self.ui, self.panel.parameters
        maps, node = self.maps(), self.chosen()
        if list(maps) != self._names:
            self._names = list(maps)
            ui.mapCombo.clear()
            ui.mapCombo.addItems([MapNodes.titleOf(name) for name in self._names])
        there = node is not None
        for widget in (
            ui.mapCombo,
            ui.overlayCheck,
            ui.coloursCombo,
            ui.opacitySlider,
            ui.thresholdSlider,
            ui.previewCheck,
            ui.modelThresholdButton,
        ):
            widget.setEnabled(there)
        hint = self.outdated() if there else HINT
        ui.mapsHintLabel.setText(hint)
        ui.mapsHintLabel.setStyleSheet("color: #c0392b;" if there else "")
        ui.mapsHintLabel.setVisible(bool(hint))
        ui.previewCheck.setChecked(parameters.preview)
        ui.opacitySlider.setValue(parameters.opacity)
        keys = ["", *self._ramps]
        ui.coloursCombo.setCurrentIndex(keys.index(parameters.colours) if parameters.colours in keys else 0)
        ui.overlayCheck.setChecked(there and Overlay.shown() in [one.GetID() for one in maps.values()])
        if there:
            ui.mapCombo.setCurrentIndex(self._names.index(node.GetAttribute(MapNodes.NAME)))
            ui.thresholdSlider.setValue(MapNodes.threshold(node))
            own = MapNodes.modelThreshold(node)
            ui.modelThresholdButton.setText(_("Model's: {value:.2f}").format(value=own))
            ui.modelThresholdButton.setEnabled(abs(own - MapNodes.threshold(node)) > 1e-6)
        self.showPreview()

    def showPreview(self) -> None:
        """Outline what is above the threshold in the slice that the view shows."""
        node, panel = self.chosen() if self.panel.parameters is not None else None, self.panel
        index = panel.tags.view.index if panel.shown else -1
        if node is not None and not MapSources.onGridOf(node, panel.images.first()):
            node = None  # its slices are others
        if node is None or index < 0 or not panel.parameters.preview:
            self.preview.hide()
            return
        axis = sliceAxis(panel.images.first())
        key = (node.GetID(), node.GetImageData().GetMTime(), index, MapNodes.threshold(node))
        if self.preview.node is not None and key == self._previewed:
            return
        self._previewed = key
        self.preview.show(node, axis, index, MapNodes.threshold(node))

    # What the person does

    def onMap(self, index: int) -> None:
        """Another map: it is also the one over the image, if one is."""
        if not self._free() or not 0 <= index < len(self._names):
            return
        self.panel.parameters.shownMap = self._names[index]
        if self.ui.overlayCheck.checked:
            self.overlay()

    def overlay(self) -> None:
        """Lay the chosen map over the first image."""
        node, first = self.chosen(), self.panel.images.first()
        if node is not None:
            self._colour(node)
            Overlay.show(node.GetID(), first.GetID(), self.panel.parameters.opacity)

    def onOverlay(self, checked: bool) -> None:
        """With or without a map over the image."""
        if not self._free():
            return
        if checked:
            self.overlay()
        else:
            Overlay.hide()

    def onColours(self, index: int) -> None:
        """Other colours."""
        if self._free() and 0 <= index <= len(self._ramps):
            self.panel.parameters.colours = ["", *self._ramps][index]
            for node in self.maps().values():
                self._colour(node)

    def _colour(self, node: Any) -> None:
        """Give a map the chosen colours; the map's own are told by its place among them."""
        names, name = self._names, node.GetAttribute(MapNodes.NAME)
        own = 0 if name == FUSED or name not in names else names.index(name) + 1
        ramp = self._ramps.get(self.panel.parameters.colours) or ColourRamps.rampOfMap(own)
        table = ColourRamps.table(slicer.mrmlScene, ramp)
        display = node.GetDisplayNode()
        if display is not None and display.GetColorNodeID() != table.GetID():
            display.SetAndObserveColorNodeID(table.GetID())

    def onOpacity(self, value: float) -> None:
        """More or less of the map."""
        if self._free():
            self.panel.parameters.opacity = float(value)
            if self.ui.overlayCheck.checked:
                slicer.util.setSliceViewerLayers(foregroundOpacity=float(value))

    def onThreshold(self, value: float) -> None:
        """Another threshold of this map: its outline follows at once."""
        node = self.chosen() if self._free() else None
        if node is not None:
            MapNodes.setThreshold(node, value)
            self.showPreview()
            self.panel.changed()

    def onModelThreshold(self) -> None:
        """Back to the model's own."""
        node = self.chosen()
        if node is not None:
            MapNodes.setThreshold(node, MapNodes.modelThreshold(node))

    def onPreview(self, checked: bool) -> None:
        """With or without the outline."""
        if self._free():
            self.panel.parameters.preview = bool(checked)
            self.showPreview()
