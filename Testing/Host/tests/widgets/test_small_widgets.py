"""The widgets without a scene, and the subject hierarchy."""

import sys

import pytest


@pytest.mark.parametrize("name", ["ctkCollapsibleButton", "qMRMLCollapsibleButton", "ctkCollapsibleGroupBox"])
def test_contents_fold_away_and_come_back(application, make, name):
    from PySide6.QtWidgets import QLabel, QVBoxLayout

    box = make(name)
    layout = QVBoxLayout(box)
    shown, hidden = QLabel("a"), QLabel("b")
    layout.addWidget(shown)
    layout.addWidget(hidden)
    hidden.hide()
    box.show()
    box.collapsed = True
    late = QLabel("c")
    layout.addWidget(late)
    application.processEvents()
    assert not shown.isVisible()
    assert not late.isVisible()
    assert not box.isChecked()
    box.setChecked(True)
    assert not box.collapsed
    assert (shown.isVisible(), hidden.isVisible(), late.isVisible()) == (True, False, True)


def test_a_collapsible_button_announces(make, heard):
    box = make("ctkCollapsibleButton")
    changes = heard(box.contentsCollapsed)
    box.click()
    box.collapsed = False
    assert changes == [(True,), (False,)]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [("ctkSliderWidget", 2, float), ("qMRMLSliderWidget", 2, float), ("ctkDoubleSpinBox", 2, float)],
)
def test_numbers_are_rounded_and_limited(make, heard, name, text, kind):
    widget = make(name, maximum=10.0, singleStep=0.1)
    changes = heard(widget.valueChanged[float] if name == "ctkDoubleSpinBox" else widget.valueChanged)
    widget.value = 3.14159
    widget.setValue(99)
    assert [round(values[0], 3) for values in changes] == [3.14, 10.0]
    assert widget.value == 10.0


@pytest.mark.parametrize("name", ["ctkRangeWidget", "qMRMLRangeWidget", "ctkDoubleRangeSlider"])
def test_a_range_keeps_its_order_and_limits(make, heard, name):
    widget = make(name)
    both = heard(widget.valuesChanged)
    widget.setValues(20, 60)
    widget.maximum = 50
    assert (widget.minimumValue, widget.maximumValue) == (20.0, 50.0)
    assert both == [(20.0, 60.0), (20.0, 50.0)]


def test_a_path_is_checked_against_its_filter(make, heard, tmp_path):
    edit = make("ctkPathLineEdit")
    paths, valid = heard(edit.currentPathChanged), heard(edit.validInputChanged)
    edit.currentPath = str(tmp_path)
    edit.currentPath = str(tmp_path / "nothing")
    assert (len(paths), valid) == (2, [(True,), (False,)])


def test_checked_rows_are_announced(make, heard):
    box = make("ctkCheckableComboBox")
    box.addItems(["x", "y"])
    changes = heard(box.checkedIndexesChanged)
    box.setCheckState(box.model().index(1, 0), 2)
    assert [index.row() for index in box.checkedIndexes()] == [1]
    assert len(changes) == 1


def test_a_long_text_is_folded_behind_a_link(make):
    browser = make("ctkFittedTextBrowser")
    browser.setCollapsibleText("First line.\nSecond line.")
    assert browser.toPlainText().endswith("Show details...")
    browser.collapsed = False
    assert "Second line." in browser.toPlainText()


def test_a_color_and_a_folder_are_announced(make, heard, tmp_path):
    from PySide6.QtGui import QColor

    button, folder = make("ctkColorPickerButton"), make("ctkDirectoryButton")
    colors, folders = heard(button.colorChanged), heard(folder.directoryChanged)
    button.color = QColor("red")
    folder.directory = str(tmp_path)
    assert colors[0][0].name() == "#ff0000"
    assert folders == [(str(tmp_path),)]


def test_the_check_box_of_a_button_makes_it_checkable(make, heard):
    button = make("ctkCheckablePushButton")
    changes = heard(button.checkBoxToggled)
    button.checkState = 2
    assert (button.isCheckable(), changes) == (True, [(True,)])


def test_the_threshold_widget_writes_to_the_display_node(make, volume):
    volume.CreateDefaultDisplayNodes()
    widget = make("qMRMLVolumeThresholdWidget")
    widget.setMRMLVolumeNode(volume)
    widget.setAutoThreshold(1)
    assert (volume.GetDisplayNode().GetApplyThreshold(), volume.GetDisplayNode().GetAutoThreshold()) == (1, 0)


@pytest.mark.parametrize("name", ["qMRMLSubjectHierarchyComboBox", "qMRMLSubjectHierarchyTreeView"])
def test_items_of_the_hierarchy_are_offered_and_selected(make, scene, volume, heard, name):
    hierarchy = scene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(volume) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "folder")
    widget = make(name, scene)
    changes = heard(widget.currentItemChanged)
    widget.setCurrentItem(folder)
    assert (widget.currentItem(), widget.currentNode()) == (folder, None)
    widget.setCurrentNode(volume)
    assert (widget.currentItem(), widget.currentNode()) == (item, volume)
    assert changes[-1] == (item,)
    widget.setCurrentItem(folder)
    hierarchy.RemoveItem(folder)
    assert widget.currentItem() == 0
    assert changes[-1] == (0,)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="True is immortal since Python 3.12")
def test_signals_sent_from_python_cannot_wear_out_true(application):
    from PySide6.QtCore import QObject, Signal

    class Sender(QObject):
        sent = Signal()

    sender = Sender()
    for _ in range(2000):
        sender.sent.emit()
    assert sys.getrefcount(True) > 1 << 30
