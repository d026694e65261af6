"""Which of the modalities that are there are taken. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from SegToolkitLib.errors import SegToolkitError


def chosen(wanted: Sequence[str] | None, known: Sequence[str], what: str) -> tuple[str, ...]:
    """Those that are wanted, as they are spelt there.

    Args:
        wanted: names in any letters, in the order wanted; None takes all.
        known: names of all that are there.
        what: has them, for the complaint.

    Raises:
        SegToolkitError: "no-channel": one is not there; "one-modality": fewer than two are taken;
            "same-name": one is named twice.
    """
    if wanted is None:
        return tuple(known)
    spelt = {name.casefold(): name for name in known}
    missing = [name for name in wanted if name.casefold() not in spelt]
    if missing:
        raise SegToolkitError(
            "no-channel", f"{what} has no modality {missing[0]!r}.", f"It has {', '.join(known)}."
        )
    found = tuple(spelt[name.casefold()] for name in wanted)
    if len(set(found)) < len(found):
        raise SegToolkitError(
            "same-name", f"A modality stands twice in {', '.join(wanted)}.", "Name each of them once."
        )
    if len(found) < 2:
        raise SegToolkitError(
            "one-modality",
            f"One modality is asked for: {', '.join(wanted) or 'none'}.",
            f"This method needs two or more of {', '.join(known)}.",
        )
    return found
