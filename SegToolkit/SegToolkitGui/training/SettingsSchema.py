"""From a JSON schema, as pydantic makes it, to the fields of a form."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

# A QSpinBox counts with 32 bits.
MOST_INT = 2**31 - 1
# Below this, digits after the point do not help: people write 1e-05.
SMALL = 0.01

UNKNOWN = object()


@dataclass(frozen=True)
class FieldSpec:
    """One setting.

    Attributes:
        path: names from the outside in, ("optimiser", "learning_rate").
        kind: "integer", "number", "choice", "boolean", "text", "scientific" (a number in a line),
            "whole" (an integer in a line), "union" (JSON, or a plain word), "json".
        title: readable name; help: the description, "" if there is none.
        default: UNKNOWN where the schema gives none.
        least, most: bounds, None where there are none.
        openLeast, openMost: the bound itself is excluded.
        choices: the values to choose from.
        nullable: None is a value too.
    """

    path: tuple[str, ...]
    kind: str
    title: str
    help: str = ""
    default: Any = UNKNOWN
    least: float | None = None
    most: float | None = None
    openLeast: bool = False
    openMost: bool = False
    choices: tuple = ()
    nullable: bool = False

    @property
    def name(self) -> str:
        """The dotted name."""
        return ".".join(self.path)

    def outOfRange(self, value: float) -> bool:
        """Whether a number lies outside the bounds."""
        low = self.least is not None and (value < self.least or (self.openLeast and value == self.least))
        high = self.most is not None and (value > self.most or (self.openMost and value == self.most))
        return low or high or not math.isfinite(value)

    def rangeText(self) -> str:
        """The bounds as people write them: "0 < x <= 1"; "" where there are none."""
        left = f"{self.least:g} {'<' if self.openLeast else '<='} " if self.least is not None else ""
        right = f" {'<' if self.openMost else '<='} {self.most:g}" if self.most is not None else ""
        return f"{left}x{right}" if left or right else ""


@dataclass
class GroupSpec:
    """Settings that belong together.

    Attributes:
        path: () for those that stand outside any group.
        isOpen: whether the group is unfolded at first.
    """

    path: tuple[str, ...]
    title: str
    help: str = ""
    isOpen: bool = False
    fields: list[FieldSpec] = field(default_factory=list)
    groups: list[GroupSpec] = field(default_factory=list)

    def allFields(self) -> list[FieldSpec]:
        """Those of inner groups too."""
        return [*self.fields, *(one for group in self.groups for one in group.allFields())]


def parsed(schema: dict) -> GroupSpec:
    """The fields and groups of a schema; what it does not say in known words becomes a line of JSON."""
    return _group(schema, schema.get("$defs", {}), (), schema.get("title", ""), {})


def _group(node: dict, definitions: dict, path: tuple[str, ...], title: str, defaults: Any) -> GroupSpec:
    # "advanced": false, in a field's json_schema_extra, unfolds a group.
    group = GroupSpec(path, title, node.get("description", ""), not path or node.get("advanced") is False)
    for name, inner in node.get("properties", {}).items():
        where = (*path, name)
        resolved = _resolved(inner, definitions)
        default = resolved.get("default", UNKNOWN)
        if isinstance(defaults, dict) and name in defaults:
            default = defaults[name]
        if resolved.get("type") == "object" and "properties" in resolved:
            group.groups.append(
                _group(resolved, definitions, where, readable(name, inner.get("title")), default)
            )
        else:
            group.fields.append(_field(resolved, definitions, where, default))
    return group


def _resolved(node: dict, definitions: dict) -> dict:
    """The node with the definition it refers to; what stands beside the reference counts more."""
    reference = node.get("$ref")
    if reference is None and len(node.get("allOf", ())) == 1:
        reference = node["allOf"][0].get("$ref")
    if reference is None:
        return node
    target = _resolved(definitions.get(reference.rpartition("/")[2], {}), definitions)
    beside = {key: value for key, value in node.items() if key not in ("$ref", "allOf")}
    return {**target, **beside}


def _field(node: dict, definitions: dict, path: tuple[str, ...], default: Any) -> FieldSpec:
    options = [_resolved(one, definitions) for one in node.get("anyOf", node.get("oneOf", []))]
    nullable = any(one.get("type") == "null" for one in options) or node.get("type") == "null"
    options = [one for one in options if one.get("type") != "null"]
    inner = node if not options else options[0]
    common = {
        "path": path,
        "title": readable(path[-1], node.get("title")),
        "help": node.get("description", ""),
        "default": default,
        "nullable": nullable,
    }
    if len(options) > 1:
        words = any(one.get("type") == "string" for one in options)
        return FieldSpec(kind="union" if words else "json", **common)
    if "enum" in inner or "const" in inner:
        return FieldSpec(kind="choice", choices=tuple(inner.get("enum", [inner.get("const")])), **common)
    kind = inner.get("type")
    if kind in ("integer", "number"):
        return _number(inner, kind, common)
    return FieldSpec(kind={"boolean": "boolean", "string": "text"}.get(kind, "json"), **common)


def _number(node: dict, kind: str, common: dict) -> FieldSpec:
    openLeast, openMost = "exclusiveMinimum" in node, "exclusiveMaximum" in node
    least = node.get("exclusiveMinimum", node.get("minimum"))
    most = node.get("exclusiveMaximum", node.get("maximum"))
    if kind == "integer":
        # A spin box has no use for open bounds.
        least, most = (
            least + openLeast if least is not None else None,
            most - openMost if most is not None else None,
        )
        openLeast = openMost = False
        wide = any(bound is not None and abs(bound) > MOST_INT for bound in (least, most))
        kind = "whole" if wide or common["nullable"] else kind
    else:
        # Above 0 without 0 itself: a factor, for which 1e-05 may be as good as 1.
        scale = openLeast and least == 0
        small = isinstance(common["default"], int | float) and 0 < abs(common["default"]) < SMALL
        fits = least is not None and most is not None and not scale and not small and most - least >= SMALL
        kind = kind if fits and not common["nullable"] else "scientific"
    return FieldSpec(kind=kind, least=least, most=most, openLeast=openLeast, openMost=openMost, **common)


def readable(name: str, title: str | None = None) -> str:
    """A field's name for people: "n_support" as "N support"; a title of its own is taken as it is."""
    words = name.replace("_", " ")
    own = title and title.replace(" ", "").lower() != name.replace("_", "").lower()
    return str(title) if own else words[:1].upper() + words[1:]
