"""A protocol from what a person writes on the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.flare import PROTOCOLS
from SegToolkitLib.evaluation.scoring import DEFAULT_TOLERANCE_MM, Protocol, generic


def protocol_of(
    name: str, labels: Mapping[str, int], tolerances: Sequence[str], merge: Sequence[str]
) -> Protocol:
    """The protocol that command line options mean.

    Args:
        name: "flare22", "flare21" or "generic".
        labels: value by name, for "generic".
        tolerances: "2", or "liver=5", for "generic".
        merge: "13=2": label 13 counts as 2.

    Raises:
        SegToolkitError: "bad-tolerance", "bad-merge", "unknown-structure".
    """
    try:
        pairs = [text.partition("=") for text in merge]
        merged = {int(value): int(into) for value, _, into in pairs}
    except ValueError as error:
        raise SegToolkitError(
            "bad-merge", f"{' '.join(merge)} does not say which label counts as which.", "Write 13=2."
        ) from error
    if name in PROTOCOLS:
        if tolerances:
            raise SegToolkitError(
                "bad-tolerance",
                f"{name} has tolerances of its own.",
                "Leave out --tolerance, or use generic.",
            )
        return replace(PROTOCOLS[name], merged=merged)
    common = DEFAULT_TOLERANCE_MM
    named: dict[str, float] = {}
    for text in tolerances:
        organ, equals, number = text.rpartition("=")
        try:
            value = float(number)
            if not 0 <= value < math.inf:
                raise ValueError
        except ValueError as error:
            raise SegToolkitError(
                "bad-tolerance", f"{text!r} is no tolerance in mm.", "Write 2, or NAME=2."
            ) from error
        if equals:
            named[organ] = value
        else:
            common = value
    if not any(labels.values()):
        raise SegToolkitError("no-labels", "There are no structures to score.", "Name them with --dataset.")
    by_name = {organ: common for organ, value in labels.items() if value} | named
    return replace(generic(labels, by_name), merged=merged)
