"""The stand-ins against the facts read from the running application."""

import functools

import pytest

from host import api
from host.widgets import CLASSES

# Texts that depend on fonts and on the version of Qt.
NOT_COMPARED = {("ctkFittedTextBrowser", "html"), ("ctkFittedTextBrowser", "sourceType")}
# Signals of Qt 5 that Qt 6 does not have; host.strict speaks for the Qt classes.
GONE_FROM_QT = {"currentIndexChanged(QString)", "activated(QString)", "highlighted(QString)"}


@functools.cache
def facts(name: str) -> dict:
    return api.facts()["widgets"].get(name) or {"properties": {}, "signals": [], "slots": [], "methods": []}


PROPERTIES = [(name, prop) for name in sorted(CLASSES) for prop in facts(name)["properties"]]
SIGNALS = [
    (name, signal)
    for name in sorted(CLASSES)
    for signal in facts(name)["signals"]
    if signal not in GONE_FROM_QT and not signal.endswith("QList<QUrl>)")
]
OWN = ("setMRMLScene(vtkMRMLScene*)", "setCurrentNode(vtkMRMLNode*)")


@pytest.fixture(scope="module")
def living(application):
    made = {}

    def get(name):
        if name not in made:
            made[name] = CLASSES[name]()
        return made[name]

    return get


def number(value):
    """An enum's number; Qt 6 gives enums where PythonQt gives int."""
    inner = getattr(value, "value", value)
    return inner if isinstance(inner, int) and not callable(inner) else value


@pytest.mark.parametrize(("name", "prop"), PROPERTIES)
def test_properties_start_with_the_real_values(living, name, prop):
    typeName, writable, default = facts(name)["properties"][prop]
    meta = living(name).metaObject()
    index = meta.indexOfProperty(prop)
    assert index >= 0, f"{name}.{prop} ({typeName}) is missing"
    assert meta.property(index).isWritable() == writable
    isObject = isinstance(default, str) and default.startswith("<")
    if not isObject and (name, prop) not in NOT_COMPARED:
        assert number(living(name).property(prop)) == default


@pytest.mark.parametrize(("name", "signal"), SIGNALS)
def test_signals_have_the_real_signatures(living, name, signal):
    from host.widgets import boundSignal

    widget = living(name)
    spelled = (
        signal.replace("double", "double")
        .replace("QList<vtkIdType>", "PyObject")
        .replace("vtkIdType", "qlonglong")
    )
    parts = spelled.partition("(")
    types = ["PyObject" if part.startswith("vtk") else part for part in parts[2].rstrip(")").split(",")]
    declared = f"{parts[0]}({','.join(types)})"
    assert widget.metaObject().indexOfSignal(declared) >= 0, f"{name} does not declare {declared}"
    if "vtk" in signal:
        assert widget._vtkSignatures[signal] == parts[0]
        assert boundSignal(widget, signal).connect(lambda *_: None)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_nothing_is_offered_that_the_real_class_lacks(application, name):
    cls = CLASSES[name]
    ours = {
        member
        for base in cls.__mro__
        if base.__module__.startswith("host.")
        for member in vars(base)
        if not member.startswith("_") and member != "staticMetaObject"
    }
    ofQt = {member for base in cls.__mro__ if base.__module__.startswith("PySide6") for member in dir(base)}
    known = facts(name)
    listed = {text.split("(")[0] for kind in ("signals", "slots", "methods") for text in known[kind]}
    assert ours - ofQt - listed - set(known["properties"]) - set(api.members(name)) == set()


@pytest.mark.parametrize("name", [n for n in sorted(CLASSES) if any("vtk" in s for s in facts(n)["slots"])])
def test_slots_with_vtk_types_are_listed(living, name):
    listed = living(name)._vtkSignatures
    for slot in facts(name)["slots"]:
        if slot in OWN:
            assert listed[slot] == slot.split("(")[0]
