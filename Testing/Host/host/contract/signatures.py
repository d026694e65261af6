"""Calls into Slicer's Python packages, against the signatures on record."""

import ast
import functools
from collections.abc import Iterator

from host import api

# Several records make up one importable package.
_PACKAGE = "slicer.parameterNodeWrapper"


@functools.cache
def arguments(signature: str) -> tuple[str, ast.arguments]:
    """Name and arguments of a recorded signature such as "f(a, b=None)"."""
    function = ast.parse(f"def {signature}: pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    return function.name, function.args


def isModule(name: str) -> bool:
    """Whether the functions of this module are on record."""
    return name in api.python() or name == _PACKAGE


def _records(module: str) -> list[dict]:
    if module == _PACKAGE:
        return [record for name, record in api.python().items() if name.startswith(_PACKAGE)]
    return [api.python()[module]] if module in api.python() else []


def function(module: str, name: str) -> ast.arguments | None:
    """The arguments of a function of a module."""
    for record in _records(module):
        for signature in record["functions"]:
            if arguments(signature)[0] == name:
                return arguments(signature)[1]
    return None


def hasClass(module: str, name: str) -> bool:
    """Whether the module has this class."""
    return any(name in record["classes"] for record in _records(module))


def method(module: str, className: str, name: str) -> ast.arguments | None:
    """The arguments of a method without `self`; of a base class in the same module too."""
    for record in _records(module):
        about = record["classes"].get(className)
        for signature in about["methods"] if about else ():
            if arguments(signature)[0] == name:
                found = arguments(signature)[1]
                return _withoutSelf(found)
        for parent in about["bases"] if about else ():
            inherited = method(module, parent, name)
            if inherited is not None:
                return inherited
    return None


def _withoutSelf(found: ast.arguments) -> ast.arguments:
    if not found.args or found.args[0].arg != "self":
        return found
    return ast.arguments(
        posonlyargs=found.posonlyargs,
        args=found.args[1:],
        vararg=found.vararg,
        kwonlyargs=found.kwonlyargs,
        kw_defaults=found.kw_defaults,
        kwarg=found.kwarg,
        defaults=found.defaults,
    )


def problems(name: str, known: ast.arguments, call: ast.Call, skip: int = 0) -> Iterator[str]:
    """What is wrong with a call; `skip` leading arguments (an explicit self) are left out."""
    positional = [a.arg for a in (*known.posonlyargs, *known.args)]
    keywords = {a.arg for a in (*known.args, *known.kwonlyargs)}
    starred = any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)
    given = len(call.args) - skip
    if given > len(positional) and known.vararg is None and not starred:
        yield f"{name}() takes {len(positional)} positional arguments, {given} are given"
    for keyword in call.keywords:
        if keyword.arg is not None and keyword.arg not in keywords and known.kwarg is None:
            yield f"{name}() has no argument {keyword.arg}"
    if starred:
        return
    named = {k.arg for k in call.keywords}
    required = positional[: len(positional) - len(known.defaults)] if known.defaults else positional
    required = required[max(0, given) :] + [
        a.arg for a, default in zip(known.kwonlyargs, known.kw_defaults, strict=True) if default is None
    ]
    for argument in required:
        if argument not in named:
            yield f"{name}() misses the argument {argument}"
