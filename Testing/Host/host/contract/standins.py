"""Checks of the stand-ins: a stand-in may never offer what the real class does not."""

import ast
import importlib
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from PySide6 import QtCore

from host import api
from host.connections import _fits
from host.contract.violation import Violation
from host.facade import className

PACKAGES = ("host.widgets", "host.slicer_parts")
BASIC = ("bool", "int", "double", "QString", "QStringList")


def _modules() -> Iterator[ModuleType]:
    for name in PACKAGES:
        folder = Path(importlib.import_module(name).__file__ or "").parent
        for path in sorted(folder.rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            # Others are left alone: some can only be imported where the application has been started.
            if any(isinstance(node, ast.ClassDef) and api.knows(node.name) for node in tree.body):
                inner = path.relative_to(folder).with_suffix("").parts
                yield importlib.import_module(".".join((name, *inner)))


def standIns() -> list[type]:
    """Every class of the host that stands for a class of the application."""
    found: dict[type, None] = {}
    for module in _modules():
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and api.knows(value.__name__):
                found[value] = None
    return list(found)


def checkStandIns(classes: Iterable[type] | None = None) -> list[Violation]:
    """Every public member of a stand-in that the real class lacks, or has as another kind."""
    found = []
    for cls in standIns() if classes is None else classes:
        try:
            file, line = Path(inspect.getsourcefile(cls) or "?"), inspect.getsourcelines(cls)[1]
        except (OSError, TypeError):
            file, line = Path("?"), 0
        name = className(cls) or cls.__name__
        found += [Violation(file, line, f"{name}: {said}") for said in _problems(cls, name)]
    return found


def _problems(cls: type, name: str) -> Iterator[str]:
    seen: set[str] = set()
    for c in cls.__mro__:
        if not _ofHost(c):
            continue
        for member, value in vars(c).items():
            if member.startswith("_") or member in seen:
                continue
            seen.add(member)
            if not _overridesQt(cls, member):
                yield from _compared(name, member, value)
    if issubclass(cls, QtCore.QObject):
        yield from _ofMetaObject(cls, name, seen)


def _ofHost(cls: type) -> bool:
    module = cls.__module__
    return not module.startswith(("PySide6", "shiboken6", "Shiboken", "builtins"))


def _overridesQt(cls: type, member: str) -> bool:
    return any(member in vars(c) for c in cls.__mro__ if not _ofHost(c) and c is not object)


def _kind(value: object) -> str:
    if isinstance(value, property | QtCore.Property):
        return "property"
    if isinstance(value, QtCore.Signal) or type(value).__name__.endswith("Signal"):
        return "signal"
    return "method"


def _compared(name: str, member: str, value: object) -> Iterator[str]:
    real = api.kind(name, member)
    mine = _kind(value)
    isSlot = any(api.parts(slot)[0] == member for slot in api.slots(name))
    if real is None and isSlot and mine == "method":
        return  # a protected slot: .ui files connect to it, scripts do not see it, and strict.py hides it
    if real is None:
        yield f"offers {member}, which a script does not see on the real class"
    elif real != mine:
        yield f"offers {member} as {mine}; it is a {real}"
    elif mine == "property" and isinstance(value, property):
        if value.fset is not None and not api.properties(name)[member].writable:
            yield f"lets {member} be assigned; it is read-only"
    elif (
        mine == "signal"
        and hasattr(value, "signature")
        and api.normalized(value.signature) not in api.signals(name)
    ):
        real = ", ".join(api.signalsNamed(name, member))
        yield f"has the signal {value.signature}; the real ones are {real}"


def _ofMetaObject(cls: type, name: str, own: set[str]) -> Iterator[str]:
    meta = cls.staticMetaObject  # type: ignore[attr-defined]
    for i in range(meta.propertyCount()):
        found = meta.property(i)
        fact = api.properties(name).get(found.name())
        if found.name() not in own or fact is None or _overridesQt(cls, found.name()):
            continue
        if fact.type in BASIC and found.typeName() in BASIC and fact.type != found.typeName():
            yield f"has {found.name()} of type {found.typeName()}; it is {fact.type}"
        if found.isWritable() and not fact.writable:
            yield f"lets {found.name()} be assigned; it is read-only"
    for i in range(meta.methodCount()):
        method = meta.method(i)
        member = bytes(method.name().data()).decode()
        if method.methodType() != QtCore.QMetaMethod.MethodType.Signal or member not in own:
            continue
        signature = bytes(method.methodSignature().data()).decode()
        real = api.signalsNamed(name, member)
        if real and not any(_fits(api.parts(signature)[1], api.parts(one)[1]) for one in real):
            yield f"has the signal {signature}; the real ones are {', '.join(real)}"
