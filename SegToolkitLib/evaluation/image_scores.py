"""Dice, IoU and accuracy of single images from their tables of confusion, and their means over many.

The published papers of 2-D segmentation mean the foreground's classes by Dice and IoU; some code averages the
background in, which gives higher numbers. Here both have names of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.summary import Mean, mean_of

Absent = Literal["exclude", "released"]


@dataclass(frozen=True)
class ImageScores:
    """Of one image, or of many that were counted together; NaN where undefined.

    Attributes:
        foreground_dice, foreground_iou: means over the classes without the background: the figures to report.
        all_class_dice, all_class_iou: means over all classes, the background included.
        accuracy: share of pixels with their true class.
    """

    foreground_dice: float
    foreground_iou: float
    all_class_dice: float
    all_class_iou: float
    accuracy: float

    @classmethod
    def of(cls, confusion: Confusion, absent: Absent = "exclude") -> ImageScores:
        """Scores of a table.

        Args:
            confusion: of the image.
            absent: a class that neither reference nor result has is left out of both means; "released": it
                counts as a Dice of 0 and is left out of the IoU, as in the code of PDCR and UAFR.
        """
        dice, iou = confusion.dice, confusion.iou
        if absent == "released":
            dice = np.nan_to_num(dice, nan=0.0)
        return cls(_mean(dice[1:]), _mean(iou[1:]), _mean(dice), _mean(iou), confusion.accuracy)


@dataclass(frozen=True)
class ScoreTable:
    """Of many images.

    Attributes:
        macro: measure -> mean over the images that have a value.
        undefined: measure -> images that have none, as reference and result are both empty.
        micro: scores of all images' pixels in one table.
    """

    macro: Mapping[str, Mean]
    undefined: Mapping[str, int]
    micro: ImageScores


MEASURES = tuple(one.name for one in fields(ImageScores))


def score_table(
    confusions: Sequence[Confusion], absent: Absent = "exclude", decimals: int | None = None
) -> ScoreTable:
    """Sum up images.

    Args:
        confusions: one an image, of the same classes.
        absent: as in :meth:`ImageScores.of`.
        decimals: round each image's scores first, as some published tables do (4); None does not.
    """
    rows = [asdict(ImageScores.of(one, absent)) for one in confusions]
    columns = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in MEASURES}
    if decimals is not None:
        columns = {name: np.round(values, decimals) for name, values in columns.items()}
    joined = Confusion(confusions[0].classes if confusions else 1)
    for one in confusions:
        joined.counts = joined.counts + one.counts
    return ScoreTable(
        macro={name: mean_of(values.tolist()) for name, values in columns.items()},
        undefined={name: int(np.isnan(values).sum()) for name, values in columns.items()},
        micro=ImageScores.of(joined, absent),
    )


def _mean(values: NDArray[np.float64]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")
