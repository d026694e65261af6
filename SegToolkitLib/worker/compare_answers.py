"""A window's request to compare a result with a reference; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from SegToolkitLib.automatic.compare import TOLERANCE_MM, compare
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.tables import write_csv
from SegToolkitLib.events import Reporter
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated
from SegToolkitLib.volume import Segmentation, read_segmentation
from SegToolkitLib.volume.segmentation import generated_segment

Text = Annotated[str, Field(min_length=1)]
Millimetres = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Names = dict[Annotated[int, Field(ge=1)], Text]


class _Request(Settings):
    """``compare``; ``..._names`` name the values of a label map, a .seg.nrrd has names of its own."""

    id: str | int
    do: str
    reference: Text
    result: Text
    reference_names: Names | None = None
    result_names: Names | None = None
    tolerance_mm: Millimetres = TOLERANCE_MM
    tolerances: dict[str, Millimetres] = Field(default_factory=dict)
    out: Text | None = None


def answer_compare(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answer ``compare``; see docs/worker.md."""
    try:
        request = validated(_Request, values, "The request 'compare'")
    except SegToolkitError as error:
        raise SegToolkitError("bad-request", error.message, error.hint) from error
    reporter.progress("reading", 0, 2)
    reference = _named(Path(request.reference), request.reference_names)
    reporter.progress("reading", 1, 2)
    result = _named(Path(request.result), request.result_names)
    reporter.progress("reading", 2, 2)
    rows, notes = compare(
        reference,
        result,
        request.tolerance_mm,
        request.tolerances,
        lambda done, total: reporter.progress("comparing", done, total),
    )
    if request.out is not None:
        write_csv(Path(request.out), rows)
    return {"rows": [asdict(row) for row in rows], "notes": notes, "out": request.out}


def _named(path: Path, names: Names | None) -> Segmentation:
    """The segmentation of a file, with the given names; values without a name are left out then."""
    found = read_segmentation(path)
    if names is None:
        return found
    if found.layers:
        raise SegToolkitError(
            "bad-request", f"{path} has names of its own: its segments overlap.", "Leave its names out."
        )
    segments = [generated_segment(value) for value in names]
    for segment, name in zip(segments, names.values(), strict=True):
        segment.name = name
    return Segmentation(found.labels, segments)


VERBS = {"compare": answer_compare}
