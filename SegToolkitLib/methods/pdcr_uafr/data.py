"""Training batches: images that were changed at random; each depends on the seed and its number alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from SegToolkitLib.methods.pdcr_uafr.augment import augmented
from SegToolkitLib.methods.pdcr_uafr.plan import InputPlan
from SegToolkitLib.methods.pdcr_uafr.reading import Scan
from SegToolkitLib.methods.pdcr_uafr.settings import AugmentSettings, DataSettings
from SegToolkitLib.methods.pdcr_uafr.slices import normalised
from SegToolkitLib.training.rounds import order_of_round, some_slices

# What is drawn, apart from each other.
ORDER, CHANGES = 0, 1


@dataclass(frozen=True)
class Batch:
    """What one step takes.

    Attributes:
        number: of the batch, which seeds what is drawn in its step.
        images: float32 [N, 3, rows, columns], normalised.
        masks: int64 [N, rows, columns], classes.
    """

    number: int
    images: Tensor
    masks: Tensor


@dataclass(frozen=True)
class Sampler:
    """Draws batches.

    Attributes:
        scans: of the training; all their slices are gone through in a new order again and again.
        settings: whether slices without a structure count.
        augment: ranges; None changes no image.
        plan: of the run.
        batch: images in a batch. Rounds follow each other without a smaller batch between them.
        seed: of the run.
    """

    scans: Sequence[Scan]
    settings: DataSettings
    augment: AugmentSettings | None
    plan: InputPlan
    batch: int
    seed: int

    @cached_property
    def index(self) -> list[tuple[int, int]]:
        """Scan and slice of every training slice of a round.

        Raises:
            SegToolkitError: "no-slices".
        """
        keep = self.settings.empty_slices == "keep"
        index = [
            (number, int(k))
            for number, scan in enumerate(self.scans)
            for k in (range(len(scan.arrays["image"])) if keep else scan.arrays["filled"])
        ]
        return some_slices(index)

    @property
    def batches(self) -> int:
        """Batches of a round through all slices (an epoch), rounded."""
        return max(1, round(len(self.index) / self.batch))

    def draw(self, number: int) -> Batch:
        """The batch of this number, from 0 on."""
        images, masks = [], []
        for position in range(number * self.batch, (number + 1) * self.batch):
            turn, place = divmod(position, len(self.index))
            scan, k = self.index[order_of_round(self.seed, ORDER, turn, len(self.index))[place]]
            arrays = self.scans[scan].arrays
            image, mask = np.asarray(arrays["image"][k]), np.asarray(arrays["mask"][k])
            if self.augment is not None:
                rng = np.random.default_rng((self.seed, CHANGES, position))
                image, mask = augmented(image, mask, self.augment, rng)
            images.append(image)
            masks.append(mask)
        return Batch(
            number,
            normalised(np.stack(images), self.plan),
            torch.from_numpy(np.stack(masks).astype(np.int64)),
        )
