"""The few things that the panel reads out of a method's settings; no method is known by name."""

from __future__ import annotations

from typing import Any

FOLD = "fold"  # a setting of this name, wherever it stands, chooses the cases that are left out


def foldPath(schema: dict) -> tuple[str, ...]:
    """Where the settings say which fold is left out: ("data", "fold"); () where a method has no folds."""
    return _find(schema, schema.get("$defs", {}), ())


def _find(node: dict, definitions: dict, path: tuple[str, ...]) -> tuple[str, ...]:
    properties = _resolved(node, definitions).get("properties", {})
    if FOLD in properties:
        return (*path, FOLD)
    for name, inner in properties.items():
        found = _find(inner, definitions, (*path, name)) if len(path) < 4 else ()
        if found:
            return found
    return ()


def _resolved(node: dict, definitions: dict) -> dict:
    reference = node.get("$ref") or next((one["$ref"] for one in node.get("allOf", []) if "$ref" in one), "")
    return definitions.get(reference.rpartition("/")[2], {}) if reference else node


def isNullable(schema: dict, path: tuple[str, ...]) -> bool:
    """Whether the setting at a path may be null."""
    definitions, node = schema.get("$defs", {}), schema
    for name in path:
        node = _resolved(node, definitions).get("properties", {}).get(name, {})
    return any(one.get("type") == "null" for one in node.get("anyOf", [])) or "null" in node.get("type", "")


def valueAt(values: dict, path: tuple[str, ...]) -> Any:
    """The value at a path, None where there is none."""
    for name in path:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def nested(path: tuple[str, ...], value: Any) -> dict:
    """{"data": {"fold": 2}}."""
    for name in reversed(path):
        value = {name: value}
    return value


def merged(base: dict, changes: dict) -> dict:
    """``base`` with the values of ``changes`` put in, at every depth; neither is changed."""
    result = dict(base)
    for name, value in changes.items():
        inner = result.get(name)
        both = isinstance(inner, dict) and isinstance(value, dict)
        result[name] = merged(inner, value) if both else value
    return result


def unfolded(changes: dict) -> dict:
    """{"data.fold": 2} as {"data": {"fold": 2}}; names without a dot stay as they are."""
    result: dict = {}
    for name, value in changes.items():
        result = merged(result, nested(tuple(name.split(".")), value))
    return result
