"""The static contract over .ui files: each planted error is found, and its correct twin passes."""

import pytest

FRAME = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>P</class><widget class="qMRMLWidget" name="P"><layout class="QVBoxLayout" name="l">
{body}
</layout></widget>
<customwidgets>{custom}</customwidgets><connections>{connections}</connections></ui>"""
CUSTOM = {
    "qMRMLWidget": "QWidget",
    "qMRMLNodeComboBox": "QWidget",
    "ctkSliderWidget": "QWidget",
    "ctkCollapsibleButton": "QWidget",
    "qMRMLSegmentSelectorWidget": "qMRMLWidget",
}


def widget(kind: str, inner: str = "", name: str = "w") -> str:
    return f'<item><widget class="{kind}" name="{name}">{inner}</widget></item>'


def prop(name: str, value: str, dynamic: bool = False) -> str:
    return (
        f'<property name="{name}"{" stdset=" + chr(34) + "0" + chr(34) if dynamic else ""}>{value}</property>'
    )


def panel(body: str = "", custom: dict[str, str] | None = None, connections: tuple[str, ...] = ()) -> str:
    declared = "".join(
        f"<customwidget><class>{kind}</class><extends>{base}</extends></customwidget>"
        for kind, base in (CUSTOM if custom is None else custom).items()
    )
    keys = ("sender", "signal", "receiver", "slot")
    made = "".join(
        "<connection>"
        + "".join(f"<{k}>{v}</{k}>" for k, v in zip(keys, c.split("|"), strict=True))
        + "</connection>"
        for c in connections
    )
    return FRAME.format(body=body, custom=declared, connections=made)


SCENE = "P|mrmlSceneChanged(vtkMRMLScene*)|w|setMRMLScene(vtkMRMLScene*)"
COMBO, BOX = widget("qMRMLNodeComboBox"), widget("QCheckBox", name="c")

# (correct, planted, words of the finding)
PROPERTIES = {
    "a property that does not exist": (
        "QLabel",
        "wordWrap|bool|true",
        "wordWraps|bool|true",
        "no property wordWraps",
    ),
    "a property of another widget": (
        "ctkSliderWidget",
        "singleStep|double|1",
        "checked|bool|true",
        "no property checked",
    ),
    "a property that is read-only": ("QComboBox", "maxCount|number|3", "count|number|3", "cannot be written"),
    "a value of another type": (
        "qMRMLNodeComboBox",
        "noneEnabled|bool|true",
        "noneEnabled|string|yes",
        "has the type bool",
    ),
    "a text for a list": (
        "qMRMLNodeComboBox",
        "nodeTypes|stringlist|",
        "nodeTypes|string|vtkMRMLScalarVolumeNode",
        "QStringList",
    ),
    "a value of no enumeration": (
        "QFrame",
        "frameShape|enum|QFrame::StyledPanel",
        "frameShape|enum|QFrame::StylePanel",
        "no value",
    ),
    "Qt 6's spelling of a value": (
        "QFrame",
        "frameShape|enum|QFrame::StyledPanel",
        "frameShape|enum|QFrame::Shape::StyledPanel",
        "Qt 6's spelling",
    ),
    "a member of Qt 6 alone": ("QComboBox", "editable|bool|true", "labelDrawingMode|number|1", "no property"),
}


@pytest.mark.parametrize(("kind", "right", "wrong", "words"), PROPERTIES.values(), ids=PROPERTIES.keys())
def test_finds_a_wrong_property(violations_of, kind, right, wrong, words):
    def written(entry: str) -> str:
        name, tag, value = entry.split("|")
        return panel(widget(kind, prop(name, f"<{tag}>{value}</{tag}>")))

    assert violations_of(ui=written(right)) == []
    found = violations_of(ui=written(wrong))
    assert len(found) == 1
    assert words in found[0]


CONNECTIONS = {
    "a signal that does not exist": (
        SCENE,
        SCENE.replace("sceneChanged", "sceneChange").replace("mrmlSceneC", "sceneC"),
        "no signal",
    ),
    "a signal of another type": (
        "c|toggled(bool)|w|setEnabled(bool)",
        "c|toggled(int)|w|setEnabled(bool)",
        "no signal",
    ),
    "a slot that does not exist": (SCENE, SCENE.replace("setMRMLScene", "setScene"), "no slot"),
    "a slot that wants other arguments": (
        "c|toggled(bool)|w|setVisible(bool)",
        "c|clicked()|w|setVisible(bool)",
        "does not send",
    ),
    "an object that does not exist": (SCENE, SCENE.replace("|w|", "|x|"), "no object x"),
}


@pytest.mark.parametrize(("right", "wrong", "words"), CONNECTIONS.values(), ids=CONNECTIONS.keys())
def test_finds_a_wrong_connection(violations_of, right, wrong, words):
    assert violations_of(ui=panel(COMBO + BOX, connections=(right,))) == []
    found = violations_of(ui=panel(COMBO + BOX, connections=(wrong,)))
    assert found
    assert words in found[0]


PANELS = {
    "a class that does not exist": (panel(COMBO), panel(widget("qMRMLNodeCombo")), "no class qMRMLNodeCombo"),
    "a custom widget that is not declared": (
        panel(COMBO),
        panel(COMBO, custom={"qMRMLWidget": "QWidget"}),
        "not declared",
    ),
    "a custom widget with a wrong base": (
        panel(COMBO),
        panel(COMBO, custom={**CUSTOM, "qMRMLNodeComboBox": "QComboBox"}),
        "extends QComboBox",
    ),
    "a parameter name without connector": (
        panel(widget("QCheckBox", prop("SlicerParameterName", "<string>a</string>", True))),
        panel(widget("qMRMLSegmentSelectorWidget", prop("SlicerParameterName", "<string>a</string>", True))),
        "no connector",
    ),
    "a parameter name on a plain button": (
        panel(
            widget(
                "QPushButton",
                prop("checkable", "<bool>true</bool>")
                + prop("SlicerParameterName", "<string>a</string>", True),
            )
        ),
        panel(widget("QPushButton", prop("SlicerParameterName", "<string>a</string>", True))),
        "not checkable",
    ),
    "two objects of one name": (panel(BOX + COMBO), panel(BOX + BOX), "two objects"),
    "a name of an inner child": (panel(BOX), panel(widget("QCheckBox", name="Slider")), "call it otherwise"),
}


@pytest.mark.parametrize(("right", "wrong", "words"), PANELS.values(), ids=PANELS.keys())
def test_finds_a_wrong_panel(violations_of, right, wrong, words):
    assert violations_of(ui=right) == []
    found = violations_of(ui=wrong)
    assert found
    assert words in found[0]
