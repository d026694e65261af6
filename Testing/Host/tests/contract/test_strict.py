"""At run time: what module code sees of PySide6 and of the stand-ins."""

import gc

import pytest

from host import modal, problems

# (what is made, expression, value)
HABITS = {
    "a property is an attribute": ("w = qt.QPushButton('a')", "w.text", "a"),
    "a property is assigned": ("w = qt.QPushButton('a'); w.text = 'b'", "w.text", "b"),
    "a property under is... is an attribute": ("w = qt.QCheckBox()", "(w.checked, w.enabled)", (False, True)),
    "the C++ method isChecked stays": ("w = qt.QCheckBox()", "w.isChecked()", False),
    "inherited properties count": ("w = qt.QLabel(); w.toolTip = 't'", "w.toolTip", "t"),
    "name is another word for objectName": ("w = qt.QLabel(); w.name = 'n'", "w.objectName", "n"),
    "className and inherits are there": (
        "w = qt.QLabel()",
        "(w.className(), w.inherits('QWidget'), w.inherits('QPushButton'))",
        ("QLabel", True, False),
    ),
    "isinstance knows the very class only": (
        "w = qt.QLabel()",
        "(isinstance(w, qt.QLabel), isinstance(w, qt.QWidget))",
        (True, False),
    ),
    "lists come back as tuples": ("w = qt.QComboBox(); w.addItem('a', [1, 2])", "w.currentData", (1, 2)),
    "children of Qt's own are tuples too": (
        "w = qt.QWidget(); b = qt.QLabel(w)",
        "w.children()[0].className()",
        "QLabel",
    ),
    "enumerations compare with ==": ("p = qt.QProcess()", "p.state() == qt.QProcess.NotRunning", True),
    "enumerations are ints": ("p = qt.QProcess()", "p.state() == 0", True),
    "enumerations are never the same object": ("", "qt.Qt.AlignLeft is qt.Qt.AlignLeft", False),
    "flags combine": (
        "w = qt.QLabel(); w.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignTop)",
        "w.alignment == qt.Qt.AlignRight | qt.Qt.AlignTop",
        True,
    ),
    "an int does for an enumeration": ("w = qt.QLabel(); w.setAlignment(2)", "w.alignment", 2),
    "exec_ is exec": ("", "hasattr(qt.QDialog(), 'exec_') and hasattr(qt.QDialog(), 'exec')", True),
    "a QByteArray gives bytes": ("b = qt.QByteArray(b'ab')", "b.data()", b"ab"),
    "None does for a type expression": ("", "str(qt.QWidget | None) != ''", True),
    "type() compares with the class": ("w = qt.QLabel()", "type(w) == qt.QLabel", True),
    "a subclass has attributes of its own": (
        "class D(qt.QDialog):\n  def __init__(self):\n    super().__init__()\n    self.mine = 3\nd = D()",
        "(d.mine, d.windowTitle, isinstance(d, qt.QDialog))",
        (3, "", True),
    ),
    "a stand-in has properties": (
        "w = ctk.ctkCollapsibleButton(); w.collapsed = True",
        "(w.collapsed, w.className())",
        (True, "ctkCollapsibleButton"),
    ),
    "a signal may be emitted by a call": (
        "got = []; t = qt.QPushButton(); t.clicked.connect(got.append); t.clicked(True)",
        "got",
        [True],
    ),
}


@pytest.mark.parametrize(("setup", "expression", "expected"), HABITS.values(), ids=HABITS.keys())
def test_module_code_meets_the_habits_of_pythonqt(run_as_module, setup, expression, expected):
    assert run_as_module(f"{setup}\nresult = {expression}")["result"] == expected


# (code, exception, words in it)
REFUSALS = {
    "calling a property": ("qt.QPushButton('a').text()", TypeError, "'str' object is not callable"),
    "calling an int property": ("qt.QComboBox().count()", TypeError, "'int' object is not callable"),
    "a member the application lacks": (
        "qt.QLabel().setTextt('a')",
        AttributeError,
        "no attribute named 'setTextt'",
    ),
    "a method of Qt that PythonQt does not expose": (
        "qt.QWidget().isTopLevel()",
        AttributeError,
        "no attribute",
    ),
    "a member of Qt 6 alone": ("qt.QComboBox().labelDrawingMode", AttributeError, "no attribute"),
    "a member of PySide6 alone": ("qt.QLabel().emit", AttributeError, "no attribute"),
    "Qt 5's own method": ("qt.QVBoxLayout().setMargin(1)", AttributeError, "not in Qt 6"),
    "a new attribute": ("qt.QLabel().mine = 1", AttributeError, "no property"),
    "a read-only property": ("qt.QComboBox().count = 1", AttributeError, "not writable"),
    "assigning a method": ("qt.QLabel().setText = 1", AttributeError, "no property"),
    "keyword arguments of a constructor": ("qt.QLabel(text='a')", TypeError, "no keyword"),
    "keyword arguments of a method": ("qt.QLabel().setText(text='a')", TypeError, "no keyword"),
    "a string for a number": ("qt.QSlider().setValue('3')", ValueError, "wrong arguments"),
    "a wrong node for a stand-in": ("ctk.ctkCollapsibleButton().setParent(3)", ValueError, "wrong arguments"),
    "an unknown class": ("qt.QFoo", AttributeError, "no attribute"),
    "a class of Qt 5 alone": ("qt.QTextCodec", AttributeError, "not with Qt 6"),
    "PySide6's Signal": ("qt.Signal", AttributeError, "no attribute"),
    "an unknown value of a class": ("qt.QProcess.NotRuning", AttributeError, "no attribute"),
    "a scoped enumeration": ("qt.Qt.AlignmentFlag.AlignLeft", AttributeError, "AlignLeft"),
    "a helper of a stand-in": ("ctk.ctkCollapsibleButton()._folder", AttributeError, "no attribute"),
    "a member of a value": ("qt.QColor(1, 2, 3).redd", AttributeError, "no attribute"),
    "an object that Qt returns": (
        "s = qt.QSpinBox(); s.findChildren(qt.QLineEdit)[0].foo",
        AttributeError,
        "QLineEdit",
    ),
    "a layout that Qt returns": (
        "w = qt.QWidget(); l = qt.QVBoxLayout(w); w.layout().foo",
        AttributeError,
        "QVBoxLayout",
    ),
    "a destroyed object": ("w = qt.QLabel(); w.delete(); w.text", ValueError, "destroyed"),
}


@pytest.mark.parametrize(("code", "error", "words"), REFUSALS.values(), ids=REFUSALS.keys())
def test_module_code_is_refused(run_as_module, code, error, words):
    with pytest.raises(error, match=words):
        run_as_module(code)


# (code, kind of the problem)
SILENT = {
    "an unknown signal": (
        "r = qt.QPushButton().connect('clickd(bool)', print); assert r is False",
        "connect",
    ),
    "a wrong signature": (
        "r = qt.QPushButton().connect('clicked(int)', print); assert r is False",
        "connect",
    ),
    "a signal of Qt 5 alone": (
        "r = qt.QComboBox().connect('currentIndexChanged(QString)', print); assert not r",
        "connect",
    ),
    "a signal of Qt 6 alone": (
        "r = qt.QCheckBox().connect('checkStateChanged(Qt::CheckState)', print); assert r is False",
        "connect",
    ),
    "an exception in a slot": (
        "b = qt.QPushButton(); b.connect('clicked(bool)', lambda c: 1 / 0); b.click()",
        "slot",
    ),
    "a slot that wants too much": (
        "b = qt.QPushButton(); b.connect('clicked()', lambda c: None); b.click()",
        "slot",
    ),
    "a number for a text": ("w = qt.QLabel(); w.setText(5); assert w.text == '5'", "wrong-type"),
    "a text for a bool": ("w = qt.QLabel(); w.enabled = 'zz'; assert w.enabled is True", "wrong-type"),
    "a dialog that waits": ("assert qt.QMessageBox().exec_() == 0", "modal"),
    "a static dialog": ("assert qt.QFileDialog.getOpenFileName() == ''", "modal"),
}


@pytest.mark.parametrize(("code", "kind"), SILENT.values(), ids=SILENT.keys())
def test_what_the_application_passes_over_is_recorded(run_as_module, code, kind):
    run_as_module(code)
    assert [problem.kind for problem in problems.take()] == [kind]


def test_a_slot_may_take_fewer_arguments_and_others_run_after_a_failing_one(run_as_module):
    space = run_as_module("""
        got = []
        b = qt.QPushButton()
        def fail(checked): raise RuntimeError("planted")
        assert b.connect("clicked(bool)", fail)
        assert b.connect("clicked(bool)", lambda: got.append("none"))
        assert b.connect("clicked(bool)", lambda *a: got.append(a))
        b.checkable = True
        b.click()
    """)
    assert space["got"] == ["none", (True,)]
    assert "planted" in problems.take("slot")[0].text


def test_an_argument_with_a_default_takes_the_signals_argument(run_as_module):
    space = run_as_module("""
        got = []
        b = qt.QPushButton()
        b.connect("clicked(bool)", lambda row=7: got.append(row))
        b.click()
    """)
    assert space["got"] == [False]


def test_disconnect_needs_the_same_callable(run_as_module):
    run_as_module("""
        got = []
        def f(): got.append(1)
        b = qt.QPushButton()
        b.connect("clicked()", f)
        assert b.disconnect("clicked()", lambda: None) is False
        assert b.disconnect("clicked()", f) is True
        b.click()
        assert not got
        assert b.disconnect("clicked()", f) is False
    """)


def test_a_bound_method_stays_connected_without_another_reference(run_as_module):
    space = run_as_module("""
        got = []
        class Listener:
            def hear(self, checked): got.append(checked)
        b = qt.QPushButton()
        b.connect("clicked(bool)", Listener().hear)
    """)
    gc.collect()
    space["b"].click()
    assert space["got"] == [False]


def test_a_timer_that_nobody_refers_to_never_fires(application, run_as_module):
    space = run_as_module("""
        got = []
        def start(keep):
            timer = qt.QTimer()
            timer.connect("timeout()", lambda: got.append(keep))
            timer.start(1)
            return timer if keep else None
        kept, lost = start(True), start(False)
    """)
    from PySide6.QtTest import QTest

    QTest.qWait(50)
    assert set(space["got"]) == {True}
    space["kept"].stop()


def test_single_shot_and_process_signals_reach_module_code(application, run_as_module):
    space = run_as_module("""
        import sys
        got = []
        qt.QTimer.singleShot(0, lambda: got.append("shot"))
        p = qt.QProcess()
        def ended(code, status): got.append((code, status == qt.QProcess.NormalExit))
        p.connect("finished(int,QProcess::ExitStatus)", ended)
        p.start(sys.executable, ["-c", "print('hallo')"])
        p.waitForFinished(20000)
        text = p.readAllStandardOutput().data()
    """)
    application.processEvents()
    assert space["text"].strip() == b"hallo"
    assert (0, True) in space["got"]
    assert "shot" in space["got"]


def test_others_than_module_code_work_with_plain_pyside(run_as_module):
    space = run_as_module("b = qt.QPushButton('a')")
    assert space["b"].text() == "a"
    assert space["b"].isCheckable() is False
    space["b"].clicked.connect(lambda *_: None)
    space["b"].mine = 1
    assert space["b"].mine == 1


def test_a_test_can_answer_dialogs(run_as_module):
    with modal.answering(lambda dialog, member, arguments: "/a/b.zip"):
        space = run_as_module("path = qt.QFileDialog.getSaveFileName(None, 'Save')")
    assert space["path"] == "/a/b.zip"


def test_a_missing_stand_in_is_said(run_as_module):
    with pytest.raises(AttributeError, match="no stand-in"):
        run_as_module("ctk.ctkWorkflow()")
