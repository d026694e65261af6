"""Patients of the DICOM database: ticked series are loaded and segmented one after the other."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from SegToolkitGui.Part import Part
from SegToolkitGui.scene import DicomDatabase

COLUMNS = (_("Patient, study, series"), _("Kind"), _("Images"))
UID = qt.Qt.UserRole


class DicomPart(Part):
    """The tree below "Patients of the DICOM database". What is ticked is not kept in the scene."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._ticked: set[str] = set()
        self._order: list[str] = []  # UIDs of the series, as they stand in the tree
        self._items: list = []  # of patients; their children hang on them
        self._filling = False
        self._read = False
        ui.dicomTree.setHeaderLabels(list(COLUMNS))
        header = ui.dicomTree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        ui.dicomSection.connect("contentsCollapsed(bool)", self.onCollapsed)
        ui.dicomSearch.connect("textChanged(QString)", self.onSearch)
        ui.dicomRefreshButton.connect("clicked(bool)", panel.guarded(self.read))
        ui.dicomTree.connect("itemChanged(QTreeWidgetItem*,int)", self.onItem)

    def chosen(self) -> list[str]:
        """UIDs of the ticked series, in the order of the tree."""
        return [uid for uid in self._order if uid in self._ticked]

    def refresh(self) -> None:
        """Say what is there and what is ticked."""
        ui, busy = self.ui, self.panel.runner.busy
        problem = DicomDatabase.problem()
        count = len(self.chosen())
        ui.dicomTree.setEnabled(not busy and not problem)
        ui.dicomRefreshButton.setEnabled(not busy)
        ui.dicomSearch.setEnabled(not problem)
        text = problem
        if not text and self._read and not self._order:
            text = _("The DICOM database holds no images.")
        elif not text and count:
            text = _("Ticked series: {count}.").format(count=count)
        ui.dicomLabel.setText(text)
        ui.dicomLabel.setVisible(bool(text))
        title = _("Patients of the DICOM database")
        ui.dicomSection.setText(f"{title} ({count})" if count else title)

    def read(self) -> None:
        """Fill the tree with what the database holds now."""
        self._read = True
        self._filling = True
        tree = self.ui.dicomTree
        try:
            tree.clear()
            self._items, self._order = [], []
            for patient in DicomDatabase.patients():
                top = self._item(patient.title)
                tree.addTopLevelItem(top)
                self._items.append(top)
                for study in patient.studies:
                    branch = self._item(study.title)
                    top.addChild(branch)
                    for series in study.series:
                        branch.addChild(self._leaf(series))
                        self._order.append(series.uid)
                    branch.setExpanded(True)
            self._ticked &= set(self._order)
        finally:
            self._filling = False
        self.onSearch(self.ui.dicomSearch.text)
        self.panel.changed()

    def _item(self, title: str):
        item = qt.QTreeWidgetItem()
        item.setText(0, title)
        # A branch is ticked with its series, and shows when only some of them are.
        item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsAutoTristate)
        item.setCheckState(0, qt.Qt.Unchecked)
        return item

    def _leaf(self, series: DicomDatabase.Series):
        leaf = qt.QTreeWidgetItem()
        leaf.setText(0, series.title)
        leaf.setText(1, series.modality)
        leaf.setText(2, str(series.files))
        leaf.setData(0, UID, series.uid)
        leaf.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
        leaf.setCheckState(0, qt.Qt.Checked if series.uid in self._ticked else qt.Qt.Unchecked)
        return leaf

    # What the person does

    def onCollapsed(self, collapsed: bool) -> None:
        """The section is opened: look what the database holds."""
        if not collapsed and self.panel.parameters is not None:
            self.read()

    def onSearch(self, text: str) -> None:
        """Hide what does not hold all words, in itself or in what it hangs on."""
        words = str(text).casefold().split()
        for item in self._items:
            _filter(item, "", words)

    def onItem(self, item, column: int) -> None:
        """Something was ticked or unticked; branches tick their series, each of which is told here."""
        uid = item.data(0, UID) if column == 0 else None
        if self._filling or not uid:
            return
        if item.checkState(0) == qt.Qt.Checked:
            self._ticked.add(str(uid))
        else:
            self._ticked.discard(str(uid))
        self.panel.changed()


def _filter(item, above: str, words: list[str]) -> bool:
    """Hide an item unless it, or something below it, has all words; returns whether it is shown."""
    texts = f"{above} {item.text(0)} {item.text(1)}".casefold()
    children = [_filter(item.child(n), texts, words) for n in range(item.childCount())]
    shown = any(children) if children else all(word in texts for word in words)
    item.setHidden(not shown)
    return shown
