"""A warning of trainings whose images are mirrored although some labels say left and right."""

from __future__ import annotations

from collections.abc import Iterable

from SegToolkitLib.anatomy import mirrored_pairs
from SegToolkitLib.events import Reporter


def tell_of_mirroring(names: Iterable[str], hint: str, reporter: Reporter) -> None:
    """Warn if two of the labels are the left and the right one of the same thing.

    Args:
        names: of the structures.
        hint: which settings do without mirror images.
        reporter: hears of it.
    """
    pairs = mirrored_pairs(names)
    if pairs:
        left, right = pairs[0]
        reporter.warning(
            f"Images are mirrored in training and labels keep their places, so {left} and {right} cannot be"
            " told apart.",
            hint,
        )
