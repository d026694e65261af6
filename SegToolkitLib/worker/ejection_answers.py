"""A window's request for what the ventricles of a sequence do; needs no torch and no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from SegToolkitLib.automatic.ejection import pumping
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated

Millilitres = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Request(Settings):
    """``ejection``: structure -> volume in each frame, null where it is not known; and its codes."""

    id: str | int
    do: str
    curves: dict[str, list[Millilitres | None]]
    terminology: dict[str, str] = Field(default_factory=dict)
    slices: Annotated[int, Field(ge=1)]


def answer_ejection(values: Mapping[str, Any], _reporter: Reporter) -> dict[str, object]:
    """Answer ``ejection``; see docs/worker.md."""
    try:
        request = validated(_Request, values, "The request 'ejection'")
    except SegToolkitError as error:
        raise SegToolkitError("bad-request", error.message, error.hint) from error
    found, notes = pumping(request.curves, request.terminology, request.slices)
    return {"ventricles": [asdict(one) for one in found], "notes": notes}


VERBS = {"ejection": answer_ejection}
