"""The static contract over module code: each planted error is found, and its correct twin passes."""

import pytest

UI = """<ui version="4.0"><class>P</class><widget class="QWidget" name="P">
<widget class="QPushButton" name="applyButton"/><widget class="qMRMLNodeComboBox" name="volume"/>
<widget class="qMRMLSegmentSelectorWidget" name="segments"/><widget class="QComboBox" name="combo"/>
<widget class="ctkSliderWidget" name="slider"/></widget><customwidgets>
<customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends></customwidget>
<customwidget><class>ctkSliderWidget</class><extends>QWidget</extends></customwidget>
<customwidget><class>qMRMLSegmentSelectorWidget</class><extends>qMRMLWidget</extends></customwidget></customwidgets></ui>"""
METHOD = "class P:\n    def setup(self):\n        {}\n    def other(self):\n        {}\n"

# name: (correct, planted, words of the finding)
CASES = {
    # members
    "a wrong member of a widget in the .ui": (
        "self.ui.applyButton.text",
        "self.ui.applyButton.txt",
        "no attribute txt",
    ),
    "a widget that is not in the .ui": ("self.ui.applyButton", "self.ui.aplyButton", "no .ui file"),
    "a slot that PythonQt does not expose": (
        "self.ui.volume.setCurrentNode(None)",
        "self.ui.volume.emitCurrentNodeChanged()",
        "no attribute emitCurrentNodeChanged",
    ),
    "a private slot of ctk": (
        "self.ui.slider.setValue(1)",
        "self.ui.slider.setSliderValue(1)",
        "no attribute",
    ),
    "a C++ method that PythonQt does not expose": (
        "self.ui.combo.isWindow",
        "self.ui.combo.isTopLevel()",
        "no attribute",
    ),
    "a getter that a property hides": (
        "self.ui.volume.currentNodeID",
        "self.ui.volume.currentNodeID()",
        "is a property",
    ),
    "the same name as a method elsewhere": (
        "self.ui.segments.currentNodeID()",
        "self.ui.combo.currentText()",
        "is a property",
    ),
    "a property of Qt called": ("qt.QLabel().text.strip()", "qt.QLabel().text()", "is a property"),
    "a member through a local": (
        "b = qt.QTimer()\nb.start(3)",
        "b = qt.QTimer()\nb.begin(3)",
        "no attribute begin",
    ),
    "a member through a return value": (
        "w = qt.QTableWidget()\nw.horizontalHeader().hide()",
        "w = qt.QTableWidget()\nw.horizontalHeader().hid()",
        "QHeaderView has no attribute hid",
    ),
    "a member through self": (
        METHOD.format("self.b = qt.QTimer()", "self.b.start()"),
        METHOD.format("self.b = qt.QTimer()", "self.b.strat()"),
        "no attribute strat",
    ),
    "a member through an annotation": (
        "def f(b: qt.QTimer):\n    b.stop()",
        "def f(b: qt.QTimer):\n    b.halt()",
        "no attribute halt",
    ),
    "a member of Qt 5 alone": ("qt.QVBoxLayout().setSpacing(1)", "qt.QTextCodec", "not with Qt 6"),
    # assignment
    "an assignment to nothing": (
        "self.ui.applyButton.enabled = True",
        "self.ui.applyButton.enable = True",
        "no property",
    ),
    "an assignment to a method": (
        "self.ui.combo.setEnabled(True)",
        "self.ui.combo.setEnabled = True",
        "no property",
    ),
    "an assignment to a read-only property": (
        "self.ui.combo.maxCount = 1",
        "self.ui.combo.count = 1",
        "read-only",
    ),
    # classes and their values
    "a class that does not exist": ("qt.QLabel", "qt.QLable", "no QLable"),
    "a ctk class that does not exist": ("ctk.ctkCheckBox", "ctk.ctkCheckbox", "no ctkCheckbox"),
    "a Slicer class that does not exist": (
        "slicer.qMRMLNodeComboBox",
        "slicer.qMRMLNodeCombo",
        "no qMRMLNodeCombo",
    ),
    "a value that does not exist": (
        "qt.QProcess.NotRunning",
        "qt.QProcess.NotRuning",
        "no attribute NotRuning",
    ),
    "a scoped value": (
        "qt.Qt.AlignLeft",
        "qt.Qt.AlignmentFlag.AlignLeft",
        "values are attributes of the class",
    ),
    "identity of values": (
        "qt.QProcess().state() == qt.QProcess.Running",
        "qt.QProcess().state() is qt.QProcess.Running",
        "never with is",
    ),
    "isinstance of a base": ("isinstance(1, qt.QLabel)", "isinstance(1, qt.QWidget)", "use inherits"),
    "keyword arguments": ("qt.QLabel('a')", "qt.QLabel(text='a')", "no keyword arguments"),
    "another binding": ("import qt", "from PySide6 import QtCore", "does not exist in Slicer"),
    "a QByteArray taken for bytes": (
        "qt.QProcess().readAllStandardOutput().data()",
        "bytes(qt.QProcess().readAllStandardOutput())",
        "use data()",
    ),
    # signals
    "a wrong signal in a literal": (
        "self.ui.applyButton.connect('clicked(bool)', print)",
        "self.ui.applyButton.connect('clickd(bool)', print)",
        "no signal clickd",
    ),
    "a wrong type in a literal": (
        "self.ui.volume.connect('currentNodeChanged(vtkMRMLNode*)', print)",
        "self.ui.volume.connect('currentNodeChanged(vtkMRMLVolumeNode*)', print)",
        "no signal currentNodeChanged",
    ),
    "a signal of Qt 5 alone": (
        "qt.QProcess().connect('errorOccurred(QProcess::ProcessError)', print)",
        "qt.QProcess().connect('error(QProcess::ProcessError)', print)",
        "not with Qt 6",
    ),
    "an overloaded signal by attribute": (
        "self.ui.segments.currentSegmentChanged.connect(print)",
        "self.ui.volume.currentNodeChanged.connect(print)",
        "overloaded",
    ),
    "a signal whose first overload sends less": (
        "qt.QProcess().started.connect(print)",
        "qt.QProcess().finished.connect(print)",
        "overloaded",
    ),
    "a literal without types": (
        "self.ui.applyButton.connect('clicked()', print)",
        "self.ui.applyButton.connect('clicked', print)",
        "no signal signature",
    ),
    "a literal through a helper": (
        "self.on(self.ui.applyButton, 'clicked()', print)",
        "self.on(self.ui.applyButton, 'cliked()', print)",
        "no signal cliked",
    ),
    "a signal of no class on an unknown object": (
        "unknown().connect('toggled(bool)', print)",
        "unknown().connect('togled(bool)', print)",
        "no class has the signal",
    ),
    "a slot that wants more than is sent": (
        "self.ui.applyButton.connect('clicked()', lambda: 1)",
        "self.ui.applyButton.connect('clicked()', lambda a: 1)",
        "the slot wants 1",
    ),
    # the application
    "a member of the application": (
        "slicer.app.processEvents()",
        "slicer.app.processEvent()",
        "no attribute",
    ),
    "a property of the application called": (
        "slicer.app.temporaryPath",
        "slicer.app.temporaryPath()",
        "is a property",
    ),
    "a member of the layout manager": (
        "slicer.app.layoutManager().sliceWidget('Red').sliceLogic()",
        "slicer.app.layoutManager().sliceWidget('Red').sliceLogik()",
        "no attribute sliceLogik",
    ),
    # Slicer's Python packages
    "a function that does not exist": (
        "slicer.util.loadVolume('a')",
        "slicer.util.loadVolum('a')",
        "no loadVolum",
    ),
    "an argument that does not exist": (
        "import slicer.packaging\nslicer.packaging.pip_ensure(['a'], requester='b')",
        "import slicer.packaging\nslicer.packaging.pip_ensure(['a'], requestor='b')",
        "no argument requestor",
    ),
    "too many arguments": ("slicer.util.loadUI('a')", "slicer.util.loadUI('a', 1)", "takes 1 positional"),
    "a missing argument": ("slicer.util.loadUI('a')", "slicer.util.loadUI()", "misses the argument path"),
    "an imported name that does not exist": (
        "from slicer.util import VTKObservationMixin",
        "from slicer.util import VTKObserverMixin",
        "no VTKObserverMixin",
    ),
    "a base class called wrongly": (
        "from slicer.ScriptedLoadableModule import ScriptedLoadableModule as B\nB.__init__(self, 1)",
        "from slicer.ScriptedLoadableModule import ScriptedLoadableModule as B\nB.__init__(self)",
        "misses the argument parent",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "words"), CASES.values(), ids=CASES.keys())
def test_finds_planted_errors(violations_of, right, wrong, words):
    assert violations_of(right, UI) == []
    found = violations_of(wrong, UI)
    assert len(found) == 1, found
    assert words in found[0]


def test_what_is_reassigned_to_something_unknown_is_not_followed(violations_of):
    assert violations_of("b = qt.QTimer()\nb = make()\nb.anything()") == []
