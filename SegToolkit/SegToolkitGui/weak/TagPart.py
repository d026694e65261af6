"""The section "2. Tags": the table of slices, bound to a view, and the keys to tag them with."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part
from SegToolkitGui.scene import Geometry, ViewSlice
from SegToolkitGui.scene.NodeWatch import NodeWatch
from SegToolkitGui.weak import MapNodes, SliceTags, TagCsv
from SegToolkitGui.weak.Images import sliceAxis, sliceCount
from SegToolkitGui.weak.SliceTable import SliceTable
from SegToolkitGui.weak.SliceTags import Tag
from SegToolkitGui.weak.ViewBinding import ViewBinding

PLANES = {"axial": _("axial"), "coronal": _("coronal"), "sagittal": _("sagittal")}
KINDS = _("Tags") + " (*.csv)"


class TagPart(Part):
    """Slices of the first image, what is said of them, and where to look."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.history = panel.logic.tagHistory
        self.table = SliceTable(ui.tagTable, self.onSelected)
        self.view = ViewBinding(self.onViewMoved)
        self._watch = NodeWatch(panel.changed)  # of tables that a script or the module Tables changes
        self._viewNames: list[str] = []
        self._shortcuts: list = []
        ui.viewCombo.connect("currentIndexChanged(int)", self.onView)
        for button, slot in (
            (ui.visibleButton, lambda: self.tag(True)),
            (ui.notVisibleButton, lambda: self.tag(False)),
            (ui.clearTagButton, lambda: self.tag(None)),
            (ui.undoTagButton, self.onUndo),
            (ui.redoTagButton, self.onRedo),
            (ui.importTagsButton, self.onImport),
            (ui.exportTagsButton, self.onExport),
        ):
            button.connect("clicked(bool)", panel.guarded(slot))

    # Life

    def enter(self) -> None:
        """The keys are ours while the panel is shown."""
        if not self._shortcuts:
            parent = slicer.util.mainWindow() or self.ui.tagTable
            for keys, slot in (("Space", self.onSpace), ("Shift+Space", self.onShiftSpace)):
                shortcut = qt.QShortcut(qt.QKeySequence(keys), parent)
                # Views may be in windows of their own.
                shortcut.setContext(qt.Qt.ApplicationShortcut)
                shortcut.connect("activated()", self.panel.guarded(slot))
                self._shortcuts.append(shortcut)
        self._enableKeys(True)

    def exit(self) -> None:
        """The keys are somebody else's."""
        self._enableKeys(False)
        self.view.release()
        self._watch.follow([])

    def tearDown(self) -> None:
        """The panel ends."""
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []

    def detach(self) -> None:
        """The scene goes."""
        self.view.release()
        self._watch.follow([])

    def _enableKeys(self, on: bool) -> None:
        for shortcut in self._shortcuts:
            shortcut.setEnabled(on)

    # Showing

    def volume(self):
        """The volume whose slices are tagged, None while there is none with voxels."""
        node = self.panel.images.first()
        return node if node is not None and min(Geometry.dimensions(node)) > 0 else None

    def tags(self) -> list[Tag]:
        """What is said of its slices."""
        volume = self.volume()
        return SliceTags.read(volume) if volume is not None else []

    def refresh(self) -> None:
        """Bring the section in line."""
        ui, volume = self.ui, self.volume()
        tags = self.tags()
        tables = [SliceTags.tableOf(volume), MapNodes.tableOf(volume)] if volume is not None else []
        self._watch.follow(tables if self.panel.shown else [])
        self._fillViews()
        if volume is not None and self.panel.shown:
            self.view.follow(self.panel.parameters.view, volume, sliceAxis(volume))
        else:
            self.view.release()
        self.table.show(tags, self.panel.facts() if volume is not None else {})
        if len(self.table.selected) < 2:
            self.table.select(self.view.index)
        self._enableKeys(self.panel.shown and volume is not None)
        ui.tagLabel.setText(self._text(volume, tags))
        undo, redo = self.history.can(volume)
        ui.undoTagButton.setEnabled(undo)
        ui.redoTagButton.setEnabled(redo)
        for button in (ui.visibleButton, ui.notVisibleButton, ui.clearTagButton):
            button.setEnabled(volume is not None)
            button.setToolTip(
                _("Choose the first image.") if volume is None else _("Of the selected slices.")
            )
        ui.importTagsButton.setEnabled(volume is not None)
        ui.exportTagsButton.setEnabled(any(tag is not None for tag in tags))

    def _text(self, volume, tags: list[Tag]) -> str:
        if volume is None:
            return _("Choose the first image: its slices are tagged.")
        text = SliceTags.summary(tags)
        if self.panel.shown and self.view.index < 0 and self.view.problem:
            plane = PLANES[Geometry.planeOf(volume, sliceAxis(volume))]
            text += " " + _("Select a row to turn the view to {plane} slices.").format(plane=plane)
        return text

    def _fillViews(self) -> None:
        names = ViewSlice.viewNames()
        if names != self._viewNames:
            self._viewNames = names
            self.ui.viewCombo.clear()
            self.ui.viewCombo.addItems(names)
        current = self.panel.parameters.view
        self.ui.viewCombo.setCurrentIndex(names.index(current) if current in names else -1)

    # The view and the table follow each other

    def onViewMoved(self, index: int) -> None:
        """Somebody scrolled: the row of that slice is selected."""
        self.table.select(index)
        self.panel.sliceShown(index)

    def onSelected(self) -> None:
        """Somebody selected rows: the view shows the one with the cursor."""
        if self.panel.refreshing or self.panel.parameters is None or self.table.current < 0:
            return
        self.view.show(self.table.current)
        self.panel.sliceShown(self.table.current)

    def show(self, index: int) -> None:
        """Go to a slice."""
        self.table.select(index)
        self.view.show(index)
        self.panel.sliceShown(index)

    def onView(self, index: int) -> None:
        """Another view counts."""
        if self._free() and 0 <= index < len(self._viewNames):
            self.panel.parameters.view = self._viewNames[index]

    # Tagging

    def _slices(self) -> list[int]:
        """The selected slices, or the one that the view shows.

        Raises:
            UserError: there is none.
        """
        volume = self.volume()
        count = sliceCount(volume) if volume is not None else 0  # the table may still show another volume's
        slices = [one for one in self.table.selected or [self.view.index] if 0 <= one < count]
        if not slices:
            raise UserError("no-slice", _("No slice is selected."), _("Select rows of the table of slices."))
        return slices

    def tag(self, tag: Tag) -> None:
        """Say the same of all selected slices."""
        self.history.write(self.volume(), SliceTags.changed(self.tags(), self._slices(), tag))

    def onSpace(self) -> None:
        """Visible, or no longer; and on to the next slice."""
        slices = self._slices()
        self.history.write(self.volume(), SliceTags.toggled(self.tags(), slices))
        self._goOn(slices)

    def onShiftSpace(self) -> None:
        """Not visible; and on to the next slice."""
        slices = self._slices()
        self.tag(False)
        self._goOn(slices)

    def _goOn(self, slices: list[int]) -> None:
        following = slices[-1] + 1
        if following < sliceCount(self.volume()):
            self.show(following)

    def onUndo(self) -> None:
        """Take the last change of tags back."""
        self.history.undo(self.volume())

    def onRedo(self) -> None:
        """Change them again."""
        self.history.redo(self.volume())

    def clear(self, slices: list[int]) -> None:
        """Send slices back: nothing is said of them, and they are selected to be looked at."""
        self.history.write(self.volume(), SliceTags.changed(self.tags(), slices, None))
        if slices:
            self.show(slices[0])

    # Files

    def onImport(self) -> None:
        """Ask for a CSV file and take its tags."""
        machine = self.panel.session.machine
        path = qt.QFileDialog.getOpenFileName(None, _("Tags of slices"), machine.lastFolder, KINDS)
        if path:
            machine.lastFolder = str(Path(str(path)).parent)
            self.load(str(path))

    def load(self, path: str) -> None:
        """Take the tags of a file.

        Raises:
            UserError: see TagCsv.load.
        """
        volume = self.volume()
        self.history.write(volume, TagCsv.load(path, volume.GetName(), sliceCount(volume)))

    def onExport(self) -> None:
        """Ask for a file and write the tags."""
        machine, volume = self.panel.session.machine, self.volume()
        suggested = str(Path(machine.lastFolder or Path.home()) / "tags.csv")
        path = qt.QFileDialog.getSaveFileName(None, _("Tags of slices"), suggested, KINDS)
        if path:
            path = str(path) if Path(str(path)).suffix else f"{path}.csv"
            machine.lastFolder = str(Path(path).parent)
            TagCsv.save(path, volume.GetName(), self.tags())
