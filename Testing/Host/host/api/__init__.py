"""What the running Slicer offers to a script, class by class.

The facts come from facts.json.gz, made by extract.py. A member that is not listed does not exist for a
script. Signals, slots and properties of plain Qt classes that the facts do not detail are taken from Qt
itself, as far as their names are among the members that were seen in the running Slicer (Qt 5.15).
"""

import functools
import gzip
import importlib
import json
import re
from typing import Any, NamedTuple

from host.api.extract import FACTS

QT_MODULES = ("QtCore", "QtGui", "QtWidgets", "QtNetwork", "QtUiTools", "QtXml", "QtTest", "QtSvg")

# PythonQt has these on each object it wraps, whether or not dir() lists them. `name` is another spelling of
# objectName, which slicer.util.childWidgetVariables relies on.
EVERY_OBJECT = frozenset({"className", "delete", "help", "inherits"})
EVERY_QOBJECT = frozenset({"connect", "disconnect", "name"})
# Names that Python 2 could not spell carry an underscore in scripts.
SPELLED_WITH_UNDERSCORE = frozenset({"exec", "raise", "print"})


class PropertyFact(NamedTuple):
    """Type as Qt spells it, and whether a script may assign it."""

    type: str
    writable: bool


@functools.cache
def facts() -> dict[str, Any]:
    """The whole of facts.json.gz; see extract.py for its shape."""
    with gzip.open(FACTS, "rt", encoding="ascii") as file:
        return json.load(file)


@functools.cache
def pysideClass(name: str) -> type | None:
    """The class of this name in PySide6, or None where Qt 6 has none."""
    for moduleName in QT_MODULES:
        try:
            module = importlib.import_module(f"PySide6.{moduleName}")
        except ImportError:  # the Essentials wheel leaves some modules out
            continue
        found = getattr(module, name, None)
        if isinstance(found, type):
            return found
    return None


@functools.cache
def _classesOfObjects() -> dict[str, frozenset[str]]:
    return {entry[0]: frozenset(entry[1]) for entry in facts()["objects"].values()}


def classOfObject(path: str) -> str | None:
    """The class of an application object such as "slicer.app.layoutManager()"."""
    entry = facts()["objects"].get(path)
    return entry[0] if entry else None


def classNames(module: str | None = None) -> set[str]:
    """All classes that scripts see, or those of "qt", "ctk" or "slicer"."""
    return {name for name, entry in facts()["members"].items() if module in (None, entry[1])}


def knows(name: str) -> bool:
    """Whether the members of this class are on record."""
    return name in facts()["members"] or name in _classesOfObjects()


@functools.cache
def parents(name: str) -> tuple[str, ...]:
    """The direct bases of a class of Slicer or ctk; where they are not on record, the nearest that is."""
    declared = facts()["declared"].get(name)
    known = [b for b in declared["bases"] if b in facts()["declared"] or pysideClass(b)] if declared else []
    if known:
        return tuple(known)
    entry = facts()["members"].get(name)
    if entry:
        return (entry[0],) if entry[0] else ()
    return ("QObject",) if "objectName" in _classesOfObjects().get(name, ()) else ()


def base(name: str) -> str | None:
    """The first of parents()."""
    found = parents(name)
    return found[0] if found else None


def memberOfQt(cls: type, name: str) -> Any:
    """The class's attribute under the name that scripts use; AttributeError where Qt 6 has none."""
    if name == "qVersion" and cls.__name__ == "Qt":  # PySide6 has the functions of Qt's namespace elsewhere
        from PySide6.QtCore import qVersion

        return qVersion
    spelled = name[:-1] if name.endswith("_") and name[:-1] in SPELLED_WITH_UNDERSCORE else name
    return getattr(cls, spelled)


@functools.cache
def bases(name: str) -> tuple[str, ...]:
    """The class itself and what it inherits, nearest first, with the classes that Qt knows in between."""
    found: list[str] = []
    current: str | None = name
    while current and current not in found:
        found.append(current)
        inQt = pysideClass(current)
        if inQt is not None:
            found += [c.__name__ for c in inQt.__mro__ if c.__name__ not in (current, "Object", "object")]
            break
        current = base(current)
    return tuple(found)


@functools.cache
def members(name: str) -> frozenset[str]:
    """Every name that a script may use on an object of this class; inherited ones included."""
    result: set[str] = set(_classesOfObjects().get(name, ()))
    current: str | None = name
    while current:
        entry = facts()["members"].get(current)
        if entry is None:
            current = base(current)
            continue
        result.update(entry[2])
        current = entry[0]
    if not result:
        return frozenset()
    result |= EVERY_OBJECT
    if "QObject" in bases(name) or "objectName" in result:
        result |= EVERY_QOBJECT
    result |= {f"{word}_" for word in SPELLED_WITH_UNDERSCORE & result}
    return frozenset(result)


def normalized(signature: str) -> str:
    """A signal or slot signature as Qt compares it: no blanks, no const references."""
    from PySide6.QtCore import QMetaObject

    return bytes(QMetaObject.normalizedSignature(signature).data()).decode()


def parts(signature: str) -> tuple[str, list[str]]:
    """Name and argument types of a normalised signature; commas within <> separate nothing."""
    name, _, rest = signature.partition("(")
    return name, [t for t in re.split(r",(?![^<]*>)", rest.rstrip(")")) if t]


@functools.cache
def _ofQt(name: str) -> tuple[dict[str, PropertyFact], tuple[str, ...], tuple[str, ...]]:
    """Properties, signals and slots of Qt 6, as far as the running Slicer (5.15) has the names."""
    from PySide6.QtCore import QMetaMethod

    meta = getattr(pysideClass(name), "staticMetaObject", None)
    if meta is None:
        return {}, (), ()
    listed = members(name)
    properties = {}
    for i in range(meta.propertyCount()):
        found = meta.property(i)
        if found.name() in listed:
            properties[found.name()] = PropertyFact(found.typeName(), found.isWritable())
    signals, slots = [], []
    for i in range(meta.methodCount()):
        method = meta.method(i)
        if bytes(method.name().data()).decode() in listed:
            signature = bytes(method.methodSignature().data()).decode()
            isSignal = method.methodType() == QMetaMethod.MethodType.Signal
            (signals if isSignal else slots).append(signature)
    return properties, tuple(signals), tuple(slots)


def _seen(name: str, member: str) -> bool:
    """Whether scripts see a declared member; assumed for a class whose members are not on record."""
    return not knows(name) or member in members(name)


@functools.cache
def properties(name: str) -> dict[str, PropertyFact]:
    """Name -> PropertyFact; inherited ones included."""
    widget = facts()["widgets"].get(name)
    if widget:
        own = {key: PropertyFact(value[0], value[1]) for key, value in widget["properties"].items()}
        return {**(_ofQt("QWidget")[0] if widget["widget"] else _ofQt("QObject")[0]), **own}
    declared = facts()["declared"].get(name)
    if declared:
        inherited: dict[str, PropertyFact] = {}
        for parent in reversed(parents(name)):
            inherited.update(properties(parent))
        own = {key: PropertyFact(*value) for key, value in declared["properties"].items()}
        return {key: fact for key, fact in {**inherited, **own}.items() if _seen(name, key)}
    if pysideClass(name) is not None:
        return _ofQt(name)[0]
    parent = base(name)
    return properties(parent) if parent else {}


def _signatures(name: str, kinds: tuple[str, ...], ofQt: int) -> tuple[str, ...]:
    widget = facts()["widgets"].get(name)
    if widget:
        own = [normalized(signature) for kind in kinds for signature in widget[kind]]
        return tuple(dict.fromkeys(own + list(_ofQt("QWidget" if widget["widget"] else "QObject")[ofQt])))
    declared = facts()["declared"].get(name)
    if declared:
        own = [normalized(signature) for kind in kinds for signature in declared[kind]]
        for parent in parents(name):
            own += _signatures(parent, kinds, ofQt)
        return tuple(signature for signature in dict.fromkeys(own) if _seen(name, parts(signature)[0]))
    if pysideClass(name) is not None:
        return _ofQt(name)[ofQt]
    parent = base(name)
    return _signatures(parent, kinds, ofQt) if parent else ()


@functools.cache
def signals(name: str) -> tuple[str, ...]:
    """Normalised signatures of the signals, in the order of the meta object; inherited ones included."""
    return _signatures(name, ("signals",), 1)


@functools.cache
def slots(name: str) -> tuple[str, ...]:
    """Normalised signatures of slots and invokables; not complete: PythonQt adds plain C++ methods."""
    return _signatures(name, ("slots", "methods"), 2)


@functools.cache
def signalsNamed(name: str, signal: str) -> tuple[str, ...]:
    """The overloads of one signal."""
    return tuple(signature for signature in signals(name) if parts(signature)[0] == signal)


@functools.cache
def kind(name: str, member: str) -> str | None:
    """ "property", "signal", "method" (which includes enumerations) or None for what is not listed."""
    if member not in members(name):
        return None
    if member == "name" or member in properties(name):
        return "property"
    if signalsNamed(name, member):
        return "signal"
    return "method"


def python() -> dict[str, Any]:
    """Slicer's Python packages: module -> functions (signatures) and classes (bases, methods)."""
    return facts()["python"]
