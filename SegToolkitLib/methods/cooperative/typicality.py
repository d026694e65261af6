"""Whether slices look like those that a model was trained on; importing this imports no torch.

What the networks say of a slice besides its labels makes its signature: how well they redraw it, how far the
shape correction departs from the first guess, and the image code. A slice that scores worse than nearly all
slices of the same kind of images is one to look at. Ours; the publication says nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from SegToolkitLib.settings import Settings

Signatures = NDArray[np.float32]
Numbers = NDArray[np.float64]
# Columns of a signature; the means of the image code's channels follow.
RESIDUAL, DISAGREEMENT, CODE = 0, 1, 2
PERCENTILE = 99.0
# Of a channel's variance that is taken from the mean over all: a channel that hardly ever speaks would make
# every slice unlike where it does.
SHRINKAGE = 0.1
# Figures are compared by their logarithms, which differ by this at least between slices of one kind.
LEAST_SPREAD = 0.05
SMALLEST = 1e-6


class Figure(Settings):
    """Mean and standard deviation of the logarithm of one figure, over slices."""

    mean: float
    std: float = Field(gt=0)

    def deviations(self, values: Numbers) -> Numbers:
        """How many standard deviations above the mean.

        What lies below it is passed over: of ACDC patients who were left out in turn, 23 % of clean slices
        were odd to one side or the other, and 4 % above.
        """
        above: Numbers = (np.log(np.maximum(values, SMALLEST)) - self.mean) / self.std
        return above


class Typicality(Settings):
    """What the slices of a training are like; it stands in the card.

    A slice's number is how many standard deviations the worst of its figures lies above their mean.

    Attributes:
        code_mean, code_std: of each channel's mean in the image code, over training slices.
        residual: mean difference of a slice and its reconstruction.
        disagreement: mean difference of the predictions with and without shape correction.
        code: distance of the image code from that of the training slices.
        threshold: a slice whose number is larger is unlike the training.
        threshold_quick: the same without ``disagreement``, for slices whose shape was not corrected.
        percentile: of the numbers, which the thresholds are.
        slices: how many those were.
        source: of which cases; numbers of training slices are lower than those of others.
    """

    code_mean: tuple[float, ...] = Field(min_length=1)
    code_std: tuple[float, ...] = Field(min_length=1)
    residual: Figure
    disagreement: Figure | None
    code: Figure
    threshold: float
    threshold_quick: float
    percentile: float = Field(default=PERCENTILE, gt=0, le=100)
    slices: int = Field(ge=1)
    source: Literal["held-out", "training"]

    def numbers(self, signatures: Signatures) -> Numbers:
        """One number a slice [S]; larger is less like the training.

        Args:
            signatures: [S, F] of a prediction; a disagreement of NaN is left out.
        """
        figures = [
            self.residual.deviations(signatures[:, RESIDUAL].astype(np.float64)),
            self.code.deviations(_distances(signatures, self.code_mean, self.code_std)),
        ]
        if self.disagreement is not None:
            figures.append(self.disagreement.deviations(signatures[:, DISAGREEMENT].astype(np.float64)))
        worst: Numbers = np.fmax.reduce(figures)
        return worst

    def unlike(self, signatures: Signatures) -> list[int]:
        """Numbers, from 0, of the slices that look unlike the training images."""
        corrected = ~np.isnan(signatures[:, DISAGREEMENT])
        limits = np.where(corrected, self.threshold, self.threshold_quick)
        found: list[int] = np.flatnonzero(self.numbers(signatures) > limits).tolist()
        return found

    def text(self) -> str:
        """What the threshold rests on, for a card."""
        return (
            "Slices are told to look unlike the training images above the"
            f" {self.percentile:g}th percentile of {self.slices} {self.source} slices."
            + (
                " There were no held-out slices; those of the training flatter the model, so"
                " slices of other patients are flagged too often."
                if self.source == "training"
                else f" About {100 - self.percentile:g} % of those slices are told so by construction."
            )
        )


def calibrate(
    training: Signatures, held_out: Signatures | None = None, percentile: float = PERCENTILE
) -> Typicality:
    """Learn what usual slices are like.

    Args:
        training: signatures [S, F] of training slices, as inference sees them.
        held_out: of slices of other patients, which the threshold is taken from; None or none: the training
            slices'.
        percentile: of the slices' numbers, that becomes the threshold.
    """
    with_held_out = held_out is not None and len(held_out) > 0
    usual = held_out if held_out is not None and with_held_out else training
    codes = training[:, CODE:].astype(np.float64)
    variance = codes.var(axis=0)
    mean = tuple(codes.mean(axis=0).tolist())
    shrunk = (1 - SHRINKAGE) * variance + SHRINKAGE * variance.mean() + SMALLEST**2
    std = tuple(np.sqrt(shrunk).tolist())
    # What the training has seen is redrawn better than what it has not: figures are those of the latter.
    corrected = not np.isnan(usual[:, DISAGREEMENT]).any()
    found = Typicality(
        code_mean=mean,
        code_std=std,
        residual=_figure(usual[:, RESIDUAL]),
        disagreement=_figure(usual[:, DISAGREEMENT]) if corrected else None,
        code=_figure(_distances(usual, mean, std)),
        threshold=0,
        threshold_quick=0,
        percentile=percentile,
        slices=len(usual),
        source="held-out" if with_held_out else "training",
    )
    quick = usual.copy()
    quick[:, DISAGREEMENT] = np.nan
    thresholds = [float(np.percentile(found.numbers(one), percentile)) for one in (usual, quick)]
    return found.model_copy(update={"threshold": thresholds[0], "threshold_quick": thresholds[1]})


def note(unlike: Sequence[int], count: int) -> str:
    """A sentence on slices that look unlike the training; "" for none.

    Args:
        unlike: their numbers, from 0, rising.
        count: slices of the volume; people count them from 1.
    """
    if not unlike:
        return ""
    if count == 1:
        return "The slice looks unlike the training images of this model; check it."
    if len(unlike) == count:
        return f"All {count} slices look unlike the training images of this model; check them."
    one = len(unlike) == 1
    return (
        f"Slice{'' if one else 's'} {_listed(unlike)} of {count} look{'s' if one else ''} unlike the training"
        f" images of this model; check {'it' if one else 'them'}."
    )


def _listed(numbers: Sequence[int]) -> str:
    """ "2, 4 to 6 and 9", counted from 1."""
    starts = [numbers[0], *(b for a, b in pairwise(numbers) if b != a + 1)]
    ends = [*(a for a, b in pairwise(numbers) if b != a + 1), numbers[-1]]
    parts: list[str] = []
    for a, b in zip(starts, ends, strict=True):
        parts += [f"{a + 1} to {b + 1}"] if b > a + 1 else [str(n + 1) for n in range(a, b + 1)]
    return " and ".join(one for one in (", ".join(parts[:-1]), parts[-1]) if one)


def _distances(signatures: Signatures, mean: Sequence[float], std: Sequence[float]) -> Numbers:
    """Root mean square over the channels of how many deviations each is off [S]."""
    scaled = (signatures[:, CODE:] - np.asarray(mean)) / np.asarray(std)
    found: Numbers = np.sqrt((scaled**2).mean(axis=1))
    return found


def _figure(values: NDArray[np.floating]) -> Figure:
    logarithms = np.log(np.maximum(values.astype(np.float64), SMALLEST))
    return Figure(mean=float(logarithms.mean()), std=max(float(logarithms.std()), LEAST_SPREAD))
