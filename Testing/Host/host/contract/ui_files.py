"""Checks of .ui files: classes, properties, connections, parameter names."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from host import api
from host.contract.violation import Violation

# XML element of a value -> property types it can be stored in; None: not checked further.
FITS: dict[str, tuple[str, ...] | None] = {
    "bool": ("bool",),
    "number": ("int", "uint", "double", "qlonglong", "float"),
    "double": ("double", "float"),
    "string": ("QString", "QKeySequence", "QUrl", "QByteArray"),
    "stringlist": ("QStringList",),
    "enum": None,
    "set": None,
}
NOT_ENUMERATIONS = ("bool", "int", "double", "QString", "QStringList")
STRUCTURES = {
    "size": "QSize",
    "rect": "QRect",
    "color": "QColor",
    "font": "QFont",
    "sizepolicy": "QSizePolicy",
    "palette": "QPalette",
    "iconset": "QIcon",
    "pixmap": "QPixmap",
    "cursorShape": "QCursor",
    "locale": "QLocale",
    "url": "QUrl",
}
LAYOUT_PROPERTIES = frozenset(
    {
        "leftMargin",
        "topMargin",
        "rightMargin",
        "bottomMargin",
        "spacing",
        "horizontalSpacing",
        "verticalSpacing",
        "sizeConstraint",
        "fieldGrowthPolicy",
        "rowWrapPolicy",
        "labelAlignment",
        "formAlignment",
        "margin",
    }
)
SPACER_PROPERTIES = frozenset({"orientation", "sizeHint", "sizeType"})
# Widgets that connectGui() can bind by SlicerParameterName; it compares the very class.
CONNECTORS = frozenset(
    {
        "QCheckBox",
        "QPushButton",
        "ctkCheckBox",
        "ctkCheckablePushButton",
        "QSlider",
        "QSpinBox",
        "QDoubleSpinBox",
        "ctkSliderWidget",
        "ctkDoubleSlider",
        "ctkDoubleSpinBox",
        "qMRMLSliderWidget",
        "qMRMLSpinBox",
        "ctkRangeWidget",
        "ctkDoubleRangeSlider",
        "qMRMLRangeWidget",
        "QComboBox",
        "ctkComboBox",
        "QLineEdit",
        "QTextEdit",
        "QLabel",
        "ctkPathLineEdit",
        "ctkDirectoryButton",
        "ctkColorPickerButton",
        "qMRMLNodeComboBox",
        "qMRMLSubjectHierarchyComboBox",
        "qMRMLSubjectHierarchyTreeView",
    }
)
# childWidgetVariables() also yields the children inside such widgets: these names would be taken over.
INNER_NAMES = re.compile(
    r"qt_\w+|Slider|SpinBox|frame_Segment|comboBox_Segment|MRMLNodeComboBox_Segmentation"
)


def widgetsOf(path: Path) -> dict[str, str]:
    """Object name -> class of all that childWidgetVariables() gives for this file (layouts too)."""
    root = ET.fromstring(path.read_bytes())
    kinds = ("widget", "layout", "action")
    return {
        element.get("name", ""): _class(element)
        for kind in kinds
        for element in root.iter(kind)
        if element.get("name")
    }


def _class(element: ET.Element) -> str:
    if element.tag == "action":
        return "QAction"
    return "QFrame" if element.get("class") == "Line" else element.get("class", "")


def checkUi(path: Path) -> list[Violation]:
    """Every violation in one .ui file."""
    text = path.read_text(encoding="utf-8")
    root = ET.fromstring(text.encode())

    def violation(needle: str, said: str) -> Violation:
        position = text.find(needle)
        return Violation(path, text.count("\n", 0, position) + 1 if position >= 0 else 1, said)

    found: list[Violation] = []
    names: dict[str, str] = {}
    for widget in root.iter("widget"):
        name, className = widget.get("name", ""), _class(widget)
        at = f'name="{name}"'
        if name in names:
            found.append(violation(at, f"two objects are called {name}"))
        if INNER_NAMES.fullmatch(name):
            found.append(
                violation(at, f"{name} is also the name of a child inside other widgets: call it otherwise")
            )
        names[name] = className
        if not api.knows(className):
            found.append(
                violation(f'class="{className}"', f"{name}: the running Slicer has no class {className}")
            )
            continue
        for said in (*_properties(widget, className), *_parameterName(widget, className)):
            found.append(violation(at, f"{name} ({className}): {said}"))
    for layout in root.iter("layout"):
        names[layout.get("name", "")] = _class(layout)
        for said in _restricted(layout, LAYOUT_PROPERTIES):
            found.append(violation(f'name="{layout.get("name", "")}"', said))
    for spacer in root.iter("spacer"):
        for said in _restricted(spacer, SPACER_PROPERTIES):
            found.append(violation(f'name="{spacer.get("name", "")}"', said))
    for said in _customWidgets(root, set(names.values())):
        found.append(violation("<customwidgets>", said))
    for connection in root.iter("connection"):
        entry = {
            key: (connection.findtext(key) or "").strip() for key in ("sender", "signal", "receiver", "slot")
        }
        for said in connectionProblems(names, **entry):
            found.append(violation(f"<signal>{entry['signal']}</signal>", said))
    return found


def _properties(widget: ET.Element, className: str) -> Iterator[str]:
    known = api.properties(className)
    for entry in widget.findall("property"):
        name = entry.get("name", "")
        fact = known.get(name)
        if fact is None:
            if entry.get("stdset") != "0":
                yield f"there is no property {name}"
            continue
        if not fact.writable:
            yield f"the property {name} cannot be written"
        value = entry[0] if len(entry) else None
        if value is not None and not _fits(value.tag, fact.type):
            yield f"the property {name} has the type {fact.type}, not {value.tag}"
        if value is not None and value.tag in ("enum", "set"):
            yield from _unknownValues(value.text or "", className)


def _fits(tag: str, typeName: str) -> bool:
    if tag in STRUCTURES:
        return typeName in (STRUCTURES[tag], "QVariant")
    if tag in ("enum", "set"):
        return typeName not in NOT_ENUMERATIONS
    fitting = FITS.get(tag)
    return fitting is None or typeName in (*fitting, "QVariant")


def _unknownValues(text: str, className: str) -> Iterator[str]:
    for value in filter(None, text.split("|")):
        scopes = value.strip().split("::")
        if len(scopes) > 2:
            yield f"{value} is Qt 6's spelling; Qt 5 wants {scopes[0]}::{scopes[-1]}"
        elif scopes[-1] not in (api.members(scopes[0]) if len(scopes) == 2 else api.members(className)):
            yield f"there is no value {value}"


def _parameterName(widget: ET.Element, className: str) -> Iterator[str]:
    for entry in widget.findall("property"):
        if entry.get("name") != "SlicerParameterName":
            continue
        if entry.find("string") is None:
            yield "SlicerParameterName must be a string"
        if className not in CONNECTORS:
            yield f"SlicerParameterName has no connector for {className}"
        checkable = widget.findtext("property[@name='checkable']/bool")
        if className == "QPushButton" and checkable != "true":
            yield "SlicerParameterName on a QPushButton that is not checkable"


def _restricted(element: ET.Element, allowed: frozenset[str]) -> Iterator[str]:
    for entry in element.findall("property"):
        if entry.get("name") not in allowed:
            yield f"{element.get('name')}: a {element.tag} has no property {entry.get('name')}"


def _customWidgets(root: ET.Element, used: set[str]) -> Iterator[str]:
    declared = {e.findtext("class", ""): e.findtext("extends", "") for e in root.iter("customwidget")}
    for className, extends in declared.items():
        if not api.knows(className):
            yield f"customwidgets declares {className}, which the running Slicer does not have"
        elif extends not in api.bases(className)[1:]:
            real = ", ".join(api.bases(className)[1:])
            yield f"customwidgets says that {className} extends {extends}; it extends {real}"
    for className in sorted(used):
        if className in api.classNames("ctk") | api.classNames("slicer") and className not in declared:
            yield f"{className} is used, but not declared in customwidgets"


def connectionProblems(
    names: dict[str, str], sender: str, signal: str, receiver: str, slot: str
) -> Iterator[str]:
    """What is wrong with one <connection>; `names` maps objects to classes."""
    for name in (sender, receiver):
        if name not in names:
            yield f"connection: there is no object {name}"
            return
    source, target = names[sender], names[receiver]
    signal, slot = api.normalized(signal), api.normalized(slot)
    if signal not in api.signals(source):
        yield f"connection: {sender} ({source}) has no signal {signal}"
    if slot not in api.slots(target) and slot not in api.signals(target):
        yield f"connection: {receiver} ({target}) has no slot {slot}"
    wanted, sent = api.parts(slot)[1], api.parts(signal)[1]
    if sent[: len(wanted)] != wanted:
        yield f"connection: {signal} does not send what {slot} takes"
