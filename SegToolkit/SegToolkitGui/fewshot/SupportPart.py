"""Section 1: which slice, which segments, and the list of examples."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.fewshot.SupportTable import SupportTable
from SegToolkitGui.fewshot.SupportZip import SupportZip
from SegToolkitGui.NodeSelector import NodeSelector
from SegToolkitGui.Part import Part
from SegToolkitGui.scene import Geometry, MaskExport, ViewSlice
from SegToolkitGui.scene.NodeWatch import NodeWatch
from SegToolkitGui.scene.SequenceFrames import currentFrame

PLANES = {"axial": _("axial"), "coronal": _("coronal"), "sagittal": _("sagittal")}
DRAW_EFFECT = "Paint"


class SupportPart(Part):
    """The section "1. Outline it on a slice"."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.zip: SupportZip | None = None
        self._viewNames: list[str] = []
        self._viewTag = None
        self._view = None
        self._editorNode = None
        self._known: tuple[str, set[str]] = ("", set())  # segmentation ID, its segments at the last look
        self._told = ""  # why the last click on Add or Draw led to nothing
        self._watch = NodeWatch(panel.changed)
        self.table = SupportTable(ui.supportTable)
        self.volumeSelector = NodeSelector(panel, ui.supportVolumeSelector, "supportVolume", self.onVolume)
        self.segmentationSelector = NodeSelector(
            panel, ui.supportSegmentSelector, "supportSegmentation", self.onSegmentation
        )
        ui.supportSegmentSelector.connect("segmentSelectionChanged(QStringList)", self.onSegments)
        ui.viewCombo.connect("currentIndexChanged(int)", self.onView)
        ui.alignButton.connect("clicked(bool)", panel.guarded(self.onAlign, self.tell))
        ui.drawButton.connect("clicked(bool)", panel.guarded(self.onDraw, self.tell))
        ui.addSupportButton.connect("clicked(bool)", panel.guarded(self.onAdd, self.tell))
        ui.jumpButton.connect("clicked(bool)", panel.guarded(self.onJump))
        ui.removeSupportButton.connect("clicked(bool)", panel.guarded(self.onRemove))
        ui.importSupportButton.connect("clicked(bool)", panel.guarded(self.onImport))
        ui.exportSupportButton.connect("clicked(bool)", panel.guarded(self.onExport))
        ui.supportTable.connect("cellDoubleClicked(int,int)", panel.guarded(self.onJump))
        ui.supportTable.connect("itemSelectionChanged()", panel.changed)

    # Life

    def attach(self) -> None:
        """Give the editor the scene's own editor node for this panel."""
        tag = "SegToolkitFewShot"
        node = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(tag)
            node = slicer.mrmlScene.AddNode(node)
        self._editorNode = node
        self.ui.segmentEditor.setMRMLSegmentEditorNode(node)

    def detach(self) -> None:
        """Let go of the scene's nodes."""
        self._watchView(None)
        self._watch.follow([])
        self.ui.segmentEditor.setActiveEffectByName("")
        # While the scene closes the editor does not follow its node: the brush would go on listening.
        self.ui.segmentEditor.removeViewObservations()
        self._editorNode = None

    def enter(self) -> None:
        """Take the keyboard shortcuts of the editor."""
        if slicer.util.mainWindow() is not None:  # they are the window's
            self.ui.segmentEditor.installKeyboardShortcuts()

    def exit(self) -> None:
        """Give the shortcuts back, and put the brush down."""
        self.ui.segmentEditor.setActiveEffectByName("")
        self.ui.segmentEditor.uninstallKeyboardShortcuts()
        self.ui.segmentEditor.removeViewObservations()
        self._watchView(None)
        self._watch.follow([])

    def tearDown(self) -> None:
        """Stop what is under way."""
        # A reload only hides the old widgets: two editors on one node would both paint.
        self.ui.segmentEditor.setSegmentationNode(None)
        self.ui.segmentEditor.setMRMLSegmentEditorNode(None)
        self.stopZip()

    def stopZip(self) -> None:
        """Give up reading or writing a zip."""
        if self.zip is not None:
            self.zip.cancel()

    # Showing

    def refresh(self) -> None:
        """Bring the section in line."""
        parameters, ui, busy = self.panel.parameters, self.ui, self.panel.runner.busy
        self._fillViews()
        self._watchView(self.panel.sliceNode() if self.panel.shown else None)
        if parameters.supportVolume is None and parameters.queryVolume is None:
            parameters.supportVolume = self._shownVolume()
        volume, segmentation = parameters.supportVolume, parameters.supportSegmentation
        ui.supportVolumeSelector.setCurrentNode(volume)
        ui.supportSegmentSelector.setCurrentNode(segmentation)
        self._tickNewSegments()
        wanted = [one for one in parameters.supportSegmentIds if self._has(segmentation, one)]
        if list(ui.supportSegmentSelector.selectedSegmentIDs()) != wanted:
            ui.supportSegmentSelector.setSelectedSegmentIDs(wanted)
        ui.segmentEditor.setSegmentationNode(segmentation)
        if segmentation is not None:  # the editor refuses a volume without one
            ui.segmentEditor.setSourceVolumeNode(volume)
        place, reason = self._place()
        ui.sliceLabel.setText(place)
        shown = self._slice()
        ui.alignButton.setVisible(shown is not None and shown.problem in ("tilted", "outside"))
        ui.addSupportButton.setEnabled(not reason and not busy)
        ui.addSupportButton.setToolTip(reason or _("Take the outline on this slice as an example."))
        ui.supportReasonLabel.setText(reason or self._told)
        ui.supportReasonLabel.setVisible(bool(reason or self._told))
        ui.supportReasonLabel.setStyleSheet("" if reason else "color: #c0392b;")
        ui.drawButton.setEnabled(volume is not None and not busy)
        examples = self.panel.supports.items()
        if self.panel.shown:
            used = [node for one in examples for node in (one.volume, one.segmentation)]
            self._watch.follow([volume, segmentation, *used])
        self.table.show(examples)
        chosen = self.table.selected(examples)
        ui.jumpButton.setEnabled(len(chosen) == 1)
        ui.removeSupportButton.setEnabled(bool(chosen) and not busy)
        free = not busy and self.zip is None and not self.panel.setup.problem()
        ui.exportSupportButton.setEnabled(bool(examples) and free)
        ui.importSupportButton.setEnabled(free)
        select = _("Select an example in the table first.")
        ui.jumpButton.setToolTip(_("Show the slice of the example.") if len(chosen) == 1 else select)
        ui.removeSupportButton.setToolTip(_("Forget the selected examples.") if chosen else select)

    def tell(self, error: UserError) -> None:
        """Say beside the buttons why a click led to nothing."""
        self._told = str(error)
        self.panel.running.strip.appendLog(str(error))

    def _tickNewSegments(self) -> None:
        """A segment that was just made in the editor is about to be drawn, so it counts."""
        parameters = self.panel.parameters
        segmentation = parameters.supportSegmentation
        if segmentation is None:
            self._known = ("", set())
            return
        present = list(segmentation.GetSegmentation().GetSegmentIDs())
        ofNode, known = self._known
        if ofNode == segmentation.GetID():
            new = [one for one in present if one not in known and one not in parameters.supportSegmentIds]
            if new:
                parameters.supportSegmentIds = [*parameters.supportSegmentIds, *new]
        self._known = (segmentation.GetID(), set(present))

    def _slice(self):
        node, volume = self.panel.sliceNode(), self.panel.parameters.supportVolume
        return ViewSlice.sliceInView(node, volume) if node is not None and volume is not None else None

    def _place(self) -> tuple[str, str]:
        """The slice of the view in words, and why it cannot be added ("" if it can)."""
        parameters = self.panel.parameters
        if parameters.supportVolume is None:
            return "-", _("Choose the volume on which the structure is outlined.")
        shown = self._slice()
        if shown is None:
            return "-", _("There is no slice view.")
        if shown.problem:
            return "-", shown.text
        depth = parameters.supportVolume.GetImageData().GetDimensions()[shown.axis]
        plane = PLANES[Geometry.planeOf(parameters.supportVolume, shown.axis)]
        place = _("{plane}, slice {index} (0 to {last})").format(
            plane=plane, index=shown.index, last=depth - 1
        )
        if parameters.supportSegmentation is None:
            return place, _("Choose a segmentation, or draw an outline.")
        if not parameters.supportSegmentIds:
            return place, _("Tick the outlined segments.")
        return place, ""

    def _fillViews(self) -> None:
        names = ViewSlice.viewNames()
        if names != self._viewNames:
            self._viewNames = names
            self.ui.viewCombo.clear()
            self.ui.viewCombo.addItems(names)
        current = self.panel.viewName()
        self.ui.viewCombo.setCurrentIndex(names.index(current) if current in names else -1)

    def _watchView(self, node) -> None:
        """Follow the view's slice while the panel is shown."""
        if node is self._view:
            return
        if self._view is not None:
            self._view.RemoveObserver(self._viewTag)
        self._view = node
        if node is not None:
            self._viewTag = node.AddObserver("ModifiedEvent", self._onViewMoved)

    def _onViewMoved(self, _caller, _event) -> None:
        self._told = ""  # it was about the slice before
        self.panel.changed()

    def _shownVolume(self):
        """The volume in the background of the view, which is most likely meant."""
        widget = ViewSlice.sliceWidget(self.panel.viewName())
        node = widget.sliceLogic().GetBackgroundLayer().GetVolumeNode() if widget is not None else None
        return node if node is not None and node.IsA("vtkMRMLScalarVolumeNode") else None

    @staticmethod
    def _has(segmentation, segmentId: str) -> bool:
        return segmentation is not None and segmentation.GetSegmentation().GetSegment(segmentId) is not None

    # What the person does

    def onVolume(self) -> None:
        """Another volume is outlined; it is also the one to look in, until another is chosen."""
        if self.panel.parameters.queryVolume is None:
            self.panel.parameters.queryVolume = self.panel.parameters.supportVolume

    def onSegmentation(self) -> None:
        """Other outlines."""
        self.panel.parameters.supportSegmentIds = []

    def onSegments(self, segmentIds) -> None:
        """Other segments are ticked."""
        if not self.panel.refreshing and self.panel.parameters is not None:
            self.panel.parameters.supportSegmentIds = list(segmentIds)

    def onView(self, index: int) -> None:
        """Another view counts."""
        if not self.panel.refreshing and 0 <= index < len(self._viewNames):
            self.panel.parameters.viewName = self._viewNames[index]

    def onAlign(self) -> None:
        """Turn the view so that it shows one slice."""
        ViewSlice.alignView(self.panel.sliceNode(), self.panel.parameters.supportVolume)

    def onDraw(self) -> None:
        """Open the editor with a segment to paint in."""
        parameters = self.panel.parameters
        volume, segmentation = parameters.supportVolume, parameters.supportSegmentation
        if segmentation is None:
            segmentation = slicer.mrmlScene.AddNewNodeByClass(
                "vtkMRMLSegmentationNode", _("{name} outlines").format(name=volume.GetName())
            )
            segmentation.CreateDefaultDisplayNodes()
            segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
            segmentation.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
            parameters.supportSegmentation = segmentation
        chosen = [one for one in parameters.supportSegmentIds if self._has(segmentation, one)]
        if not chosen:
            chosen = [segmentation.GetSegmentation().AddEmptySegment("", _("structure"))]
            parameters.supportSegmentIds = chosen
        self.ui.editorSection.collapsed = False
        self.panel.refresh()
        self.ui.segmentEditor.setCurrentSegmentID(chosen[0])
        self.ui.segmentEditor.setActiveEffectByName(DRAW_EFFECT)

    def onAdd(self) -> None:
        """Take the slice of the view as an example."""
        self._told = ""
        parameters, shown = self.panel.parameters, self._slice()
        if shown is None or shown.problem:
            raise UserError("no-slice", shown.text if shown is not None else _("There is no slice view."))
        volume, segmentation = parameters.supportVolume, parameters.supportSegmentation
        place = (shown.axis, shown.index, currentFrame(volume))
        counts = MaskExport.outlinedVoxels(segmentation, parameters.supportSegmentIds, volume, *place)
        outlined = [one for one, count in counts.items() if count]
        if not outlined:
            raise UserError(
                "nothing-outlined",
                _("Nothing is outlined on slice {index} of {name}.").format(
                    index=shown.index, name=volume.GetName()
                ),
                _("Draw the structure on that slice, or go to a slice on which it is outlined."),
            )
        self.panel.runner.keep(segmentation)
        self.panel.supports.add(volume, segmentation, outlined, *place)
        if parameters.queryVolume is None:
            parameters.queryVolume = parameters.supportVolume

    def onJump(self) -> None:
        """Show the slice of the selected example."""
        for example in self.table.selected(self.panel.supports.items())[:1]:
            if example.volume is None:
                raise UserError("no-volume", example.problem())
            ViewSlice.showSlice(self.panel.sliceNode(), example.volume, example.axis, example.index)
            slicer.util.setSliceViewerLayers(background=example.volume)

    def onRemove(self) -> None:
        """Forget the selected examples."""
        for example in self.table.selected(self.panel.supports.items()):
            self.panel.supports.remove(example.uid)

    def onImport(self) -> None:
        """Load examples from a zip."""
        path = qt.QFileDialog.getOpenFileName(
            None,
            _("Support examples"),
            str(self.panel.session.machine.lastFolder or ""),
            _("Zip files (*.zip)"),
        )
        if path:
            self.importZip(path)

    def onExport(self) -> None:
        """Write the examples to a zip."""
        folder = Path(str(self.panel.session.machine.lastFolder or Path.home()))
        path = qt.QFileDialog.getSaveFileName(
            None, _("Support examples"), str(folder / "support.zip"), _("Zip files (*.zip)")
        )
        if path:
            self.exportZip(path)

    def importZip(self, path: str) -> None:
        """Load examples from a zip; the panel tells when it is done."""
        self._startZip(path)
        self.zip.load(Path(path), self.panel.supports)

    def exportZip(self, path: str) -> None:
        """Write the examples to a zip; the panel tells when it is done."""
        self._startZip(path)
        self.zip.export(self.panel.supports.items(), Path(path).with_suffix(".zip"))

    def _startZip(self, path: str) -> None:
        self.panel.session.machine.lastFolder = str(Path(path).parent)
        self.zip = SupportZip(self.panel.session)
        self.zip.finished.connect(self._onZipFinished)
        self.panel.changed()

    def _onZipFinished(self, error) -> None:
        done, self.zip = self.zip, None
        if error is not None:
            self.panel.tell(error)
        elif done is not None:
            self.panel.running.showMessage(done.message)
        self.panel.changed()
