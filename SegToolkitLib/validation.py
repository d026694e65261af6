"""Settings from a file: what pydantic objects to, told as one sentence that names the field."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from SegToolkitLib.errors import SegToolkitError

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], values: Mapping[str, Any], source: str) -> Model:
    """Build ``model`` from ``values``.

    Args:
        model: the pydantic class; it should forbid extra fields.
        values: what a person wrote, by field name.
        source: what to call the place it was written in ("dataset.json of /data/x").

    Raises:
        SegToolkitError: code "description", naming every field that is wrong, the nearest valid
            name of a field that does not exist, and what is wrong with its value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors = [dict(one) for one in error.errors(include_url=False)]
        raise SegToolkitError(
            "description",
            f"{source}: {'; '.join(_complaint(model, one) for one in errors)}.",
            _known(model, errors[0]),
        ) from error


def problems(model: type[BaseModel], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with ``values``, field by field: dotted name and a sentence; empty where nothing is."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        return [
            (".".join(str(part) for part in one["loc"]), _complaint(model, dict(one)))
            for one in error.errors(include_url=False)
        ]
    return []


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from ``path``.

    Raises:
        SegToolkitError: the file is missing or unreadable, is not JSON, or is not an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SegToolkitError(
            "unreadable",
            f"{path} could not be read: {error.strerror or error}.",
            "Check the path and its permissions.",
        ) from error
    except ValueError as error:
        raise SegToolkitError(
            "not-json", f"{path} is not valid JSON: {error}.", "Mend the file, or write it anew."
        ) from error
    if not isinstance(values, dict):
        raise SegToolkitError(
            "not-json", f"{path} holds a JSON {type(values).__name__}, not an object.", "Start it with {."
        )
    return values


def _complaint(model: type[BaseModel], error: dict[str, Any]) -> str:
    location = [str(part) for part in error["loc"]]
    name = location[-1] if location else ""
    if error["type"] == "extra_forbidden":
        known = list(_fields_at(model, location[:-1]))
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        return f"there is no field '{'.'.join(location)}'" + (
            f" (did you mean '{'.'.join([*location[:-1], near[0]])}'?)" if near else ""
        )
    if error["type"] == "missing":
        return f"the field '{'.'.join(location)}' is missing"
    text = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"'{'.'.join(location)}': {text}" if location else text


def _known(model: type[BaseModel], error: dict[str, Any]) -> str:
    """The fields beside the one that is wrong."""
    place = [str(part) for part in error["loc"]][:-1]
    inner = _fields_at(model, place)
    if not place or not inner:
        return f"The fields are {', '.join(model.model_fields)}."
    return f"The fields of {'.'.join(place)} are {', '.join(inner)}."


def _fields_at(model: type[BaseModel], location: list[str]) -> list[str]:
    """Return the field names of the (nested) model that ``location`` leads to."""
    for part in location:
        field = model.model_fields.get(part)
        arguments = getattr(field.annotation, "__args__", (field.annotation,)) if field else ()
        inner = [one for one in arguments if isinstance(one, type) and issubclass(one, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)
