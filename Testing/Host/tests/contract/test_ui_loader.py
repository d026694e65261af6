"""qt.QUiLoader over a small panel with stand-ins."""

import pytest

from host import problems

PANEL = """<ui version="4.0"><class>P</class>
 <widget class="qMRMLWidget" name="P"><layout class="QVBoxLayout" name="l">
  <item><widget class="ctkCollapsibleButton" name="section">
   <property name="collapsed"><bool>true</bool></property>
   <layout class="QVBoxLayout" name="m"><item>
    <widget class="QCheckBox" name="check"><property name="SlicerParameterName" stdset="0">
     <string>keep</string></property></widget>
   </item></layout></widget></item>
  <item><widget class="qMRMLNodeComboBox" name="node"><property name="nodeTypes"><stringlist>
     <string>vtkMRMLScalarVolumeNode</string></stringlist></property></widget></item>
 </layout></widget>
 <connections>
  <connection><sender>P</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal><receiver>node</receiver>
   <slot>setMRMLScene(vtkMRMLScene*)</slot></connection>
  <connection><sender>check</sender><signal>toggled(bool)</signal><receiver>node</receiver><slot>setEnabled(bool)</slot>
   </connection>{more}
 </connections></ui>"""
LOAD = """
    file = qt.QFile({path!r})
    file.open(qt.QFile.ReadOnly)
    top = qt.QUiLoader().load(file)
    children = {{}}
    todo = [top]
    while todo:
        one = todo.pop()
        children[one.name] = one
        todo += one.children()
"""


@pytest.fixture
def load(run_as_module, tmp_path):
    def load(more: str = ""):
        path = tmp_path / "panel.ui"
        path.write_text(PANEL.format(more=more))
        return run_as_module(LOAD.format(path=str(path)))["children"]

    return load


def test_builds_stand_ins_with_their_properties(load):
    children = load()
    assert type(children["section"]).__name__ == "ctkCollapsibleButton"
    assert children["section"].property("collapsed") is True
    assert list(children["node"].property("nodeTypes")) == ["vtkMRMLScalarVolumeNode"]
    assert children["check"].property("SlicerParameterName") == "keep"
    assert type(children["check"]).__name__ == "QCheckBox"


def test_makes_connections_with_vtk_types(load):
    import slicer

    children = load()
    scene = slicer.vtkMRMLScene()
    children["P"].setMRMLScene(scene)
    assert children["node"].mrmlScene() is scene
    children["check"].setChecked(True)
    children["check"].setChecked(False)
    assert not children["node"].isEnabled()


@pytest.mark.parametrize(
    ("signal", "slot", "kind"),
    [("toggled(int)", "setEnabled(bool)", "connect"), ("toggled(bool)", "setEnabledd(bool)", "ui")],
)
def test_records_a_connection_that_does_not_exist(load, signal, slot, kind):
    load(
        f"<connection><sender>check</sender><signal>{signal}</signal><receiver>node</receiver><slot>{slot}</slot></connection>"
    )
    assert [problem.kind for problem in problems.take()] == [kind]


def test_records_a_class_that_does_not_exist(run_as_module, tmp_path):
    path = tmp_path / "panel.ui"
    path.write_text(
        '<ui version="4.0"><widget class="QWidget" name="P"><widget class="qFoo" name="f"/></widget></ui>'
    )
    run_as_module(LOAD.format(path=str(path)))
    assert [problem.kind for problem in problems.take()] == ["ui"]


def test_a_stand_in_that_pyside_forgets_is_asked_for_again(load, monkeypatch):
    from host import ui

    forgotten = []
    make = ui.UiLoader.createWidget

    def forgetful(self, kind, parent=None, name=""):
        if name == "node" and not forgotten:
            forgotten.append(kind)
            return ui.QtUiTools.QUiLoader.createWidget(self, "QWidget", parent, name)
        return make(self, kind, parent, name)

    monkeypatch.setattr(ui.UiLoader, "createWidget", forgetful)
    children = load()
    assert forgotten == ["qMRMLNodeComboBox"]
    assert type(children["node"]).__name__ == "qMRMLNodeComboBox"
