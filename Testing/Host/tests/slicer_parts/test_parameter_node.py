"""The parameter node wrapper over real nodes: types, validation, observers, scenes, widgets."""

import enum
import pathlib
from typing import Annotated, Optional, Union

import pytest
import slicer
import vtk
from volumes import addVolume


class Mode(enum.Enum):
    NEW = 1
    REPLACE = 2


@pytest.fixture(scope="module")
def wrapper_class(session_application):
    from slicer.parameterNodeWrapper import (
        Choice,
        Default,
        Maximum,
        WithinRange,
        parameterNodeWrapper,
        parameterPack,
    )

    @parameterPack
    class Window:
        low: int = -100
        high: Annotated[int, Maximum(3000)] = 300

    @parameterNodeWrapper
    class Parameters:
        volume: slicer.vtkMRMLScalarVolumeNode
        target: Union[slicer.vtkMRMLLabelMapVolumeNode, slicer.vtkMRMLSegmentationNode, None]  # noqa: UP007
        segment: str
        mode: Mode = Mode.NEW
        steps: Annotated[int, WithinRange(1, 10)] = 3
        threshold: Annotated[float, WithinRange(0, 1)] = 0.5
        plane: Annotated[str, Choice(["axial", "coronal"])] = "axial"
        keep: bool = True
        folder: pathlib.Path = pathlib.Path("models")
        supports: list[str]
        sources: list[slicer.vtkMRMLScalarVolumeNode]
        size: tuple[int, float]
        colours: Annotated[dict[str, int], Default(generator=lambda: {"liver": 1})]
        seed: Optional[int]  # noqa: UP045  (both spellings are in use)
        window: Window

    return Parameters


def node():
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "Parameters")


@pytest.fixture
def parameters(application, wrapper_class):
    return wrapper_class(node())


def test_defaults_are_there_at_once(parameters):
    expected = {
        "volume": None,
        "target": None,
        "segment": "",
        "mode": Mode.NEW,
        "steps": 3,
        "threshold": 0.5,
        "plane": "axial",
        "keep": True,
        "folder": pathlib.Path("models"),
        "supports": [],
        "sources": [],
        "colours": {"liver": 1},
        "seed": None,
        "size": (0, 0.0),
    }
    for name, value in expected.items():
        assert getattr(parameters, name) == value, name
    assert parameters.window.high == 300


VALUES = [
    ("segment", "liver"),
    ("mode", Mode.REPLACE),
    ("steps", 7),
    ("threshold", 0.1),
    ("threshold", 1),
    ("plane", "coronal"),
    ("keep", False),
    ("folder", pathlib.Path("/data/Modelle für Ärzte")),
    ("supports", ["a", "b, c"]),
    ("size", (4, 0.25)),
    ("colours", {"spleen": 2, "liver": 1}),
    ("seed", 12),
    ("seed", None),
]


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_values_come_back_from_the_node(wrapper_class, parameters, name, value):
    setattr(parameters, name, value)
    assert getattr(parameters, name) == value
    assert getattr(wrapper_class(parameters.parameterNode), name) == value


def test_enums_are_stored_by_name(parameters):
    parameters.mode = Mode.REPLACE
    assert parameters.parameterNode.GetParameter("mode") == "REPLACE"


INVALID = [
    ("steps", 11, ValueError),
    ("steps", 2.0, TypeError),
    ("steps", None, ValueError),
    ("threshold", -0.1, ValueError),
    ("plane", "oblique", ValueError),
    ("segment", 3, TypeError),
    ("keep", 1, TypeError),
    ("mode", "NEW", TypeError),
    ("seed", "x", TypeError),
    ("size", (1,), ValueError),
    ("supports", [1], TypeError),
    ("folder", "models", TypeError),
]


@pytest.mark.parametrize(("name", "value", "error"), INVALID)
def test_invalid_values_are_refused_and_the_old_one_stays(parameters, name, value, error):
    before = getattr(parameters, name)
    with pytest.raises(error):
        setattr(parameters, name, value)
    assert getattr(parameters, name) == before


def test_nodes_of_the_wrong_class_are_refused(parameters):
    model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
    for name in ("volume", "target"):
        with pytest.raises(TypeError):
            setattr(parameters, name, model)


def test_lists_dicts_and_packs_store_each_change(wrapper_class, parameters):
    parameters.supports.append("one")
    parameters.supports += ["two"]
    parameters.supports[0] = "zero"
    parameters.colours["spleen"] = 5
    parameters.window.low = 7
    again = wrapper_class(parameters.parameterNode)
    assert again.supports == ["zero", "two"]
    assert again.colours == {"liver": 1, "spleen": 5}
    assert again.window.low == 7
    with pytest.raises(ValueError, match="3000"):
        parameters.window.high = 3001
    with pytest.raises(TypeError):
        parameters.supports.append(3)
    assert parameters.supports == ["zero", "two"]
    parameters.supports.pop()
    assert not parameters.parameterNode.HasParameter("supports_1")


def test_a_removed_node_reads_as_none(parameters):
    parameters.volume = addVolume()
    slicer.mrmlScene.RemoveNode(parameters.volume)
    assert parameters.volume is None


def test_observers_meet_the_new_value_once(parameters):
    seen = []
    parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: seen.append(parameters.steps))
    parameters.steps = 9
    assert seen == [9]
    with slicer.util.NodeModify(parameters):
        parameters.steps = 4
        parameters.segment = "x"
    assert seen == [9, 4]
    parameters.parameterNode.SetParameter("steps", "6")  # somebody else
    assert parameters.steps == 6


def test_a_saved_scene_brings_the_values_and_the_nodes(application, wrapper_class, tmp_path):
    logic = logicOf(wrapper_class)
    parameters = logic.getParameterNode()
    parameters.volume = addVolume(name="kept")
    parameters.sources = [addVolume(name="s1"), addVolume(name="s2")]
    parameters.mode = Mode.REPLACE
    slicer.util.saveScene(str(tmp_path / "p.mrb"))
    application.closeScene()
    addVolume(name="in the way")  # takes the ID that the saved volume had
    slicer.util.loadScene(str(tmp_path / "p.mrb"))
    loaded = logic.getParameterNode()
    assert loaded.mode is Mode.REPLACE
    assert loaded.volume.GetName() == "kept"
    assert [each.GetName() for each in loaded.sources] == ["s1", "s2"]


def logicOf(wrapper_class):
    from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

    class ParametersTestLogic(ScriptedLoadableModuleLogic):
        def getParameterNode(self):
            return wrapper_class(super().getParameterNode())

    return ParametersTestLogic()


def test_closing_the_scene_resets_the_values_behind_an_old_wrapper(application, wrapper_class):
    logic = logicOf(wrapper_class)
    old = logic.getParameterNode()
    old.steps, old.volume = 8, addVolume()
    application.closeScene()
    assert (old.steps, old.volume) == (3, None)
    assert logic.getParameterNode().parameterNode is old.parameterNode


def test_unions_need_the_old_spelling_and_none_among_nodes(application):
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    class NewSpelling:
        value: int | None

    with pytest.raises(Exception, match="Unable to create serializer"):
        parameterNodeWrapper(NewSpelling)

    @parameterNodeWrapper
    class WithoutNone:
        value: Union[slicer.vtkMRMLModelNode, slicer.vtkMRMLSegmentationNode]  # noqa: UP007

    with pytest.raises(TypeError, match="None"):
        WithoutNone(node())


def test_an_enum_name_that_is_gone_is_told(wrapper_class, parameters):
    parameters.parameterNode.DisableModifiedEventOn()
    parameters.parameterNode.SetParameter("mode", "MERGE")
    with pytest.raises(ValueError, match="MERGE"):
        wrapper_class(parameters.parameterNode)


def test_reserved_names_are_refused(session_application):
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    class Bad:
        setValue: int

    with pytest.raises(ValueError, match="reserved"):
        parameterNodeWrapper(Bad)


def test_an_old_scene_may_hold_what_is_no_longer_valid(wrapper_class, parameters):
    parameters.parameterNode.SetParameter("plane", "sagittal")
    assert wrapper_class(parameters.parameterNode).plane == "sagittal"


def widget(cls, name, *arguments):
    made = cls(*arguments)
    made.setProperty("SlicerParameterName", name)
    return made


@pytest.fixture
def ui(application):
    import qt

    made = type("Ui", (), {})()
    made.steps = widget(qt.QSpinBox, "steps")
    made.mode = widget(qt.QComboBox, "mode")
    made.plane = widget(qt.QComboBox, "plane")
    made.keep = widget(qt.QCheckBox, "keep")
    made.segment = widget(qt.QLineEdit, "segment")
    made.volume = widget(slicer.qMRMLNodeComboBox, "volume")
    made.volume.setMRMLScene(slicer.mrmlScene)
    made.high = widget(qt.QSpinBox, "window.high")
    return made


def test_widgets_show_the_values_and_change_them(parameters, ui):
    volume = addVolume()
    parameters.mode = Mode.REPLACE
    tag = parameters.connectGui(ui)
    assert (ui.steps.value(), ui.steps.minimum(), ui.steps.maximum()) == (3, 1, 10)
    assert [ui.mode.itemText(i) for i in range(ui.mode.count())] == ["NEW", "REPLACE"]
    assert ui.mode.currentText() == "REPLACE"
    ui.steps.setValue(5)
    ui.plane.setCurrentIndex(1)
    ui.keep.setChecked(False)
    ui.segment.setText("spleen")
    ui.volume.setCurrentNode(volume)
    ui.high.setValue(500)
    assert (parameters.steps, parameters.plane, parameters.keep) == (5, "coronal", False)
    assert (parameters.segment, parameters.volume) == ("spleen", volume)
    assert parameters.window.high == 500
    parameters.steps = 2
    parameters.mode = Mode.NEW
    assert (ui.steps.value(), ui.mode.currentText()) == (2, "NEW")
    parameters.disconnectGui(tag)
    ui.steps.setValue(9)
    assert parameters.steps == 2
    parameters.keep = True
    assert not ui.keep.isChecked()


def test_a_subclass_of_a_widget_has_no_connector(parameters):
    from PySide6.QtWidgets import QCheckBox, QRadioButton

    class MyCheckBox(QCheckBox):
        pass

    for cls in (MyCheckBox, QRadioButton):
        with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
            parameters.connectParametersToGui({"keep": cls()})


def test_an_unknown_parameter_name_is_an_error(parameters, ui):
    ui.steps.setProperty("SlicerParameterName", "nothing")
    with pytest.raises(ValueError, match="nothing"):
        parameters.connectGui(ui)
