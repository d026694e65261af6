"""Typed settings: one base class, and how defaults, a file and the command line are combined."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json, validated

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Immutable settings that refuse fields they do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def load(kind: type[S], base: S, file: Path | None = None, overrides: Iterable[str] = ()) -> S:
    """Combine defaults, a JSON or YAML file and ``name=value`` overrides.

    Args:
        kind: class of the settings.
        base: the defaults, a preset for instance.
        file: JSON object, or YAML mapping (.yaml, .yml), whose fields replace those of ``base``.
        overrides: ``"optimiser.steps=200"``; the value is JSON, or else taken as text.

    Raises:
        SegToolkitError: the file is not a JSON object or YAML mapping, PyYAML is missing, or a field
            is unknown or out of range; the message names the field and the nearest known one.
    """
    values: dict[str, Any] = base.model_dump(mode="json")
    if file is not None:
        _merge(values, read_settings(file))
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise SegToolkitError(
                "bad-setting",
                f"{override!r} is not of the form name=value.",
                "Write, say, optimiser.steps=200.",
            )
        _merge(values, _nested(name.strip().split("."), _value(text)))
    return validated(kind, values, str(file) if file else "The settings")


def read_settings(file: Path) -> dict[str, Any]:
    """Read a JSON object or a YAML mapping.

    Raises:
        SegToolkitError: the file is missing, damaged or no mapping, or PyYAML is missing.
    """
    if file.suffix.lower() not in (".yaml", ".yml"):
        return read_json(file)
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise SegToolkitError(
            "missing-package",
            f"{file} is YAML, and the Python package PyYAML is not installed.",
            "Install it (pip install PyYAML), or write the settings as JSON.",
        ) from error
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SegToolkitError(
            "unreadable",
            f"{file} could not be read: {error.strerror or error}.",
            "Check the path and its permissions.",
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise SegToolkitError(
            "not-yaml", f"{file} is not valid YAML: {' '.join(str(error).split())}.", "Mend the file."
        ) from error
    if not isinstance(values, dict):
        raise SegToolkitError(
            "not-yaml", f"{file} holds no mapping of settings.", "Write one setting a line, as name: value."
        )
    return values


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
