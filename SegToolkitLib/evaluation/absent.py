"""Organs that references lack: a challenge gives points for them, where nobody may have looked for them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from SegToolkitLib.evaluation.scoring import OrganScore, Protocol


def notes_on_absent(rows: Sequence[OrganScore], protocol: Protocol) -> list[str]:
    """A sentence on organs without a voxel in some references, for a protocol that scores them all the same.

    The rules were made for references in which every organ was looked for. Where an organ was not annotated
    at all, its score is that of finding nothing, and it is part of the mean.

    Args:
        rows: scores of all cases.
        protocol: that they were scored by.

    Returns:
        One sentence; none where nothing is lacking, or the protocol leaves out what both lack.
    """
    if math.isnan(protocol.both_empty):
        return []
    cases = len({row.case for row in rows})
    organs: dict[int, list[str]] = {}
    for organ in protocol.organs:
        lacking = sum(row.value == organ.value and row.reference_ml == 0 for row in rows)
        if lacking:
            organs.setdefault(lacking, []).append(organ.name)
    if not organs:
        return []
    parts = [f"{_joined(organs[count])} in {_of(count, cases)}" for count in sorted(organs, reverse=True)]
    return [
        f"References lack {', '.join(parts)}: {protocol.name} counts an organ that reference and result both"
        f" lack as {protocol.both_empty:g}, and one that the result alone has as 0,"
        " also where nobody annotated it."
    ]


def _joined(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _of(count: int, cases: int) -> str:
    if cases == 1:
        return "the only case"
    return f"all {cases} cases" if count == cases else f"{count} of {cases}"
