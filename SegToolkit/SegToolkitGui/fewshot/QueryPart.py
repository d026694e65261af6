"""Sections 2 and 3: where to look, and what becomes of the result."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.RunSettings import RunSettings
from SegToolkitGui.fewshot.Supports import structuresOf
from SegToolkitGui.NodeSelector import NodeSelector
from SegToolkitGui.Part import Part
from SegToolkitGui.run.OutputSelector import OutputSelector
from SegToolkitGui.scene import ViewSlice

MODES = ("add", "replace", "merge")


class QueryPart(Part):
    """The sections "2. Find it in" and "3. Result"."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._structures: list[str] | None = None
        ui.rangeCombo.addItems([_("Whole volume"), _("From first to last slice")])
        ui.outputModeCombo.addItems([_("Add new segments"), _("Replace them"), _("Merge with them")])
        self.querySelector = NodeSelector(panel, ui.queryVolumeSelector, "queryVolume", self.onQuery)
        ui.moreQueriesSelector.connect("checkedNodesChanged()", self.onMore)
        ui.rangeCombo.connect("currentIndexChanged(int)", self.onRangeKind)
        ui.sliceRangeWidget.connect("valuesChanged(double,double)", self.onRange)
        ui.firstFromViewButton.connect("clicked(bool)", panel.guarded(self.onFirst))
        ui.lastFromViewButton.connect("clicked(bool)", panel.guarded(self.onLast))
        ui.structureList.connect("itemChanged(QListWidgetItem*)", self.onStructure)
        self.output = OutputSelector(panel, ui.outputSelector)
        ui.outputModeCombo.connect("currentIndexChanged(int)", self.onMode)
        ui.keepLargestCheck.connect("toggled(bool)", self.onKeepLargest)
        ui.confidenceCheck.connect("toggled(bool)", self.onConfidence)

    def settings(self, preview: bool = False) -> RunSettings:
        """What the panel asks for."""
        parameters, session = self.panel.parameters, self.panel.session
        query = parameters.queryVolume
        more = [node for node in parameters.moreQueries if node is not None and node is not query]
        volumes = [node for node in [query, *([] if preview else more)] if node is not None]
        supports = self.panel.supports.items()
        known = structuresOf(supports)
        left = [name for name in parameters.leftOut if name in known]
        output = parameters.outputSegmentation
        return RunSettings(
            supports=supports,
            queryIds=[node.GetID() for node in volumes],
            model=self.panel.modelName(),
            device=session.device,
            slices=(parameters.firstSlice, parameters.lastSlice) if self._hasRange() else None,
            structures=[name for name in known if name not in left] if left else None,
            mode=parameters.outputMode if output is not None and parameters.outputMode in MODES else "new",
            segmentationId=output.GetID() if output is not None else "",
            keepLargest=parameters.keepLargest and not preview,
            asPublished=parameters.asPublished,
            confidence=parameters.confidence and not preview,
        )

    def previewSettings(self) -> RunSettings:
        """Settings for the slice that the view shows.

        Raises:
            UserError: the view shows no slice of the volume, or one across another axis.
        """
        settings = self.settings(preview=True)
        problem = settings.problem()
        if problem:
            raise UserError("cannot-run", problem)
        volume = self.panel.parameters.queryVolume
        shown = ViewSlice.sliceInView(self.panel.sliceNode(), volume)
        if shown.problem:
            raise UserError(
                "no-slice", shown.text, _("Turn the view to a slice of {name}.").format(name=volume.GetName())
            )
        if shown.axis != settings.axisOf(volume):
            raise UserError(
                "other-plane",
                _("The view shows a slice across another axis than the examples ({plane}).").format(
                    plane=settings.plane()
                ),
                _("Choose a view of that plane under Slice."),
            )
        settings.previewSlice = shown.index
        first, last = settings.slices or (shown.index, shown.index)
        if not first <= shown.index <= last:
            raise UserError(
                "outside-range",
                _("Slice {index} lies outside the range {first} to {last}.").format(
                    index=shown.index, first=first, last=last
                ),
                _("Show a slice of the range, or widen it."),
            )
        return settings

    # Showing

    def refresh(self) -> None:
        """Bring the sections in line."""
        parameters, ui, busy = self.panel.parameters, self.ui, self.panel.runner.busy
        query, output = parameters.queryVolume, parameters.outputSegmentation
        ui.queryVolumeSelector.setCurrentNode(query)
        for node in list(ui.moreQueriesSelector.checkedNodes()):
            if node not in parameters.moreQueries:
                ui.moreQueriesSelector.setCheckState(node, qt.Qt.Unchecked)
        for node in parameters.moreQueries:
            if node is not None:
                ui.moreQueriesSelector.setCheckState(node, qt.Qt.Checked)
        several = any(node is not None and node is not query for node in parameters.moreQueries)
        # Their widgets are locked then, and what cannot be changed must not stand in the way.
        if several and output is not None:
            parameters.outputSegmentation = output = None
        if several and parameters.sliceRange:
            parameters.sliceRange = False
        ranged = self._hasRange()
        ui.rangeCombo.setCurrentIndex(1 if ranged else 0)
        ui.rangeCombo.setEnabled(not busy and query is not None and not several)
        ui.rangeCombo.setToolTip(
            _("A range can be given for one volume only.") if several else _("Where the structures can be.")
        )
        for widget in (ui.sliceRangeWidget, ui.firstFromViewButton, ui.lastFromViewButton):
            widget.setVisible(ranged)
            widget.setEnabled(not busy)
        if ranged:
            depth = query.GetImageData().GetDimensions()[self._axis()]
            ui.sliceRangeWidget.setRange(0, depth - 1)
            ui.sliceRangeWidget.setValues(parameters.firstSlice, min(parameters.lastSlice, depth - 1))
        self._showStructures()
        ui.outputSelector.setCurrentNode(output)
        ui.outputSelector.setEnabled(not busy and not several)
        mode = parameters.outputMode if parameters.outputMode in MODES else MODES[0]
        ui.outputModeCombo.setCurrentIndex(MODES.index(mode))
        ui.outputModeCombo.setEnabled(output is not None and not busy)
        ui.keepLargestCheck.setChecked(parameters.keepLargest)
        ui.confidenceCheck.setChecked(parameters.confidence)
        for widget in (ui.queryVolumeSelector, ui.moreQueriesSelector, ui.structureList):
            widget.setEnabled(not busy)
        for widget in (ui.keepLargestCheck, ui.confidenceCheck):
            widget.setEnabled(not busy)

    def _showStructures(self) -> None:
        names = structuresOf(self.panel.supports.items())
        left = self.panel.parameters.leftOut
        state = [*names, "|", *left]
        if state == self._structures:
            return
        self._structures = state
        widget = self.ui.structureList
        widget.clear()
        for name in names:
            item = qt.QListWidgetItem(name)
            item.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled)
            item.setCheckState(qt.Qt.Unchecked if name in left else qt.Qt.Checked)
            widget.addItem(item)

    def _hasRange(self) -> bool:
        query = self.panel.parameters.queryVolume
        return self.panel.parameters.sliceRange and query is not None and query.GetImageData() is not None

    def _axis(self) -> int:
        """Slice axis of the query: that of the examples, or of the view while there are none."""
        query, supports = self.panel.parameters.queryVolume, self.panel.supports.items()
        if supports and not any(example.problem() for example in supports):
            return RunSettings(supports=supports, queryIds=[], model="").axisOf(query)
        shown = ViewSlice.sliceInView(self.panel.sliceNode(), query)
        return 2 if shown.problem else shown.axis

    # What the person does

    def onQuery(self) -> None:
        """Another volume; a slice range does not carry over."""
        self.panel.parameters.sliceRange = False

    def onMore(self) -> None:
        """More or fewer volumes."""
        if self._free():
            self.panel.parameters.moreQueries = list(self.ui.moreQueriesSelector.checkedNodes())
            if self.panel.parameters.moreQueries:
                self.panel.parameters.sliceRange = False
                self.panel.parameters.outputSegmentation = None

    def onRangeKind(self, index: int) -> None:
        """Whole volume, or a range that starts as the whole."""
        query = self.panel.parameters.queryVolume if self._free() else None
        if query is None or query.GetImageData() is None:
            self.panel.changed()  # takes the choice back
            return
        self.panel.parameters.sliceRange = index == 1
        if index == 1:
            depth = query.GetImageData().GetDimensions()[self._axis()]
            self.panel.parameters.firstSlice = 0
            self.panel.parameters.lastSlice = depth - 1

    def onRange(self, first: float, last: float) -> None:
        """Another range."""
        if self._free() and self._hasRange():
            self.panel.parameters.firstSlice = round(first)
            self.panel.parameters.lastSlice = round(last)

    def onFirst(self) -> None:
        """The view's slice is the first."""
        index = self._viewIndex()
        self.panel.parameters.firstSlice = index
        self.panel.parameters.lastSlice = max(index, self.panel.parameters.lastSlice)

    def onLast(self) -> None:
        """The view's slice is the last."""
        index = self._viewIndex()
        self.panel.parameters.lastSlice = index
        self.panel.parameters.firstSlice = min(index, self.panel.parameters.firstSlice)

    def _viewIndex(self) -> int:
        shown = ViewSlice.sliceInView(self.panel.sliceNode(), self.panel.parameters.queryVolume)
        if shown.problem:
            raise UserError("no-slice", shown.text)
        if shown.axis != self._axis():
            raise UserError(
                "other-plane", _("The view shows slices across another axis; choose another view.")
            )
        return shown.index

    def onStructure(self, _item) -> None:
        """A structure was ticked or unticked."""
        if not self._free():
            return
        widget = self.ui.structureList
        items = [widget.item(row) for row in range(widget.count)]
        self.panel.parameters.leftOut = [
            item.text() for item in items if item.checkState() == qt.Qt.Unchecked
        ]

    def onMode(self, index: int) -> None:
        """What happens to segments that are there."""
        if self._free() and 0 <= index < len(MODES):
            self.panel.parameters.outputMode = MODES[index]

    def onKeepLargest(self, checked: bool) -> None:
        """Largest piece only, or all."""
        if self._free():
            self.panel.parameters.keepLargest = bool(checked)

    def onConfidence(self, checked: bool) -> None:
        """With or without the confidence volume."""
        if self._free():
            self.panel.parameters.confidence = bool(checked)
