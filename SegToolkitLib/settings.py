"""Typed settings: one base class, and the sentences for values that do not fit."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from SegToolkitLib.errors import SegToolkitError

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Immutable settings that refuse fields they do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def load(kind: type[S], base: S, file: Path | None = None, overrides: Iterable[str] = ()) -> S:
    """Combine defaults, a JSON file and ``name=value`` overrides.

    Args:
        kind: class of the settings.
        base: the defaults, a preset for instance.
        file: JSON object whose fields replace those of ``base``.
        overrides: ``"optimiser.steps=200"``; the value is JSON, or else taken as text.

    Raises:
        SegToolkitError: the file is not a JSON object, or a field is unknown or out of range; the
            message names the field and the hint the nearest known one.
    """
    values: dict[str, Any] = base.model_dump(mode="json")
    if file is not None:
        _merge(values, _read_object(file))
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise SegToolkitError(
                "bad-setting", f"{override!r} is not of the form name=value.", "Write, say, optimiser.steps=200."
            )
        _merge(values, _nested(name.strip().split("."), _value(text)))
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _as_sentence(kind, error) from error


def _read_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SegToolkitError(
            "file-missing", f"The settings file {file} does not exist.", "Check the path."
        ) from error
    except (OSError, ValueError) as error:
        raise SegToolkitError(
            "bad-settings-file", f"The settings file {file} cannot be read as JSON ({error}).", "Mend or remake it."
        ) from error
    if not isinstance(content, dict):
        raise SegToolkitError(
            "bad-settings-file", f"The settings file {file} is not a JSON object.", "Start it with { and end it with }."
        )
    return content


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _nested(path: list[str], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return value


def _merge(into: dict[str, Any], update: Mapping[str, Any]) -> None:
    for name, value in update.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def field_names(kind: type[BaseModel], prefix: str = "") -> list[str]:
    """Dotted names of every field, nested settings included."""
    names = []
    for name, info in kind.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            names += field_names(annotation, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def _as_sentence(kind: type[BaseModel], error: ValidationError) -> SegToolkitError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, field_names(kind), n=1, cutoff=0)
        return SegToolkitError("bad-setting", f"There is no setting {name!r}.", f"Did you mean {near[0]!r}?")
    return SegToolkitError(
        "bad-setting", f"The setting {name!r} cannot be {first['input']!r}.", f"{first['msg']}."
    )
