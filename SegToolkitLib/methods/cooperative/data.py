"""Training batches: slices that were changed at random, and the same slices as they are.

Source: released loader of cooperative training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.methods.cooperative.augment import augmented
from SegToolkitLib.methods.cooperative.data_settings import AugmentSettings, DataSettings
from SegToolkitLib.methods.cooperative.plan import InputPlan
from SegToolkitLib.methods.cooperative.scans import Scan
from SegToolkitLib.methods.cooperative.slices import Size, centre, fitted, padded, rescaled
from SegToolkitLib.training.rounds import order_of_round, some_slices
from SegToolkitLib.volume.slicewise import rescaled_slices

# What is drawn, apart from each other.
ORDER, REPLACEMENT, CHANGES = 0, 1, 2


@dataclass(frozen=True)
class Batch:
    """What one step takes.

    Attributes:
        images: float32 [N, 1, rows, columns], 0 to 1; the augmented ones first.
        labels: int64 [N, rows, columns], classes.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Sampler:
    """Draws batches; each depends on the seed and the batch's number alone.

    Attributes:
        scans: of the training; all their slices are gone through in a new order again and again.
        settings, augment, plan: of the run.
        batch: images in a batch; with the originals, half of them are augmented. The last batch of a round
            may be smaller.
        seed: of the run.
    """

    scans: Sequence[Scan]
    settings: DataSettings
    augment: AugmentSettings
    plan: InputPlan
    batch: int
    seed: int

    @cached_property
    def index(self) -> list[tuple[int, int]]:
        """Scan and slice of every training slice of a round.

        Raises:
            SegToolkitError: "no-slices".
        """
        index = [
            (number, k)
            for number, scan in enumerate(self.scans)
            for k in _chosen(scan, self.settings.empty_slices, (self.seed, REPLACEMENT, number))
        ]
        return some_slices(index)

    @property
    def slices(self) -> int:
        """Slices that are drawn for a whole batch."""
        return max(1, self.batch // 2) if self.settings.originals else self.batch

    @property
    def batches(self) -> int:
        """Batches of a round through all slices (an epoch)."""
        return -(-len(self.index) // self.slices)

    def draw(self, number: int) -> Batch:
        """The batch of this number, from 0 on."""
        turn, place = divmod(number, self.batches)
        order = order_of_round(self.seed, ORDER, turn, len(self.index))
        drawn = range(place * self.slices, min((place + 1) * self.slices, len(order)))
        size = (self.plan.crop, self.plan.crop)
        changed, originals = [], []
        for position in drawn:
            scan, k = self.index[order[position]]
            arrays = self.scans[scan].arrays
            image, label = arrays["image"][k], arrays["label"][k]
            rng = np.random.default_rng((self.seed, CHANGES, turn, position))
            changed.append(augmented(image, label, self.augment, size, rng))
            if self.settings.originals:
                originals.append(as_inference_sees(image[None], label[None], self.plan))
        pairs = changed + [(image[0], label[0]) for image, label in originals]
        return _batch([image for image, _ in pairs], [label for _, label in pairs])


def as_inference_sees(
    image: NDArray[np.float32], label: NDArray[Any], plan: InputPlan
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Slices [n, rows, columns] of a scan cropped and scaled as those of a volume that is segmented."""
    size = (plan.crop, plan.crop)
    image, label = (np.stack([fitted(plane, size) for plane in one]) for one in (image, label))
    return rescaled_slices(image) if plan.rescale == "slice" else image, label


def validation_slices(scan: Scan, settings: DataSettings, plan: InputPlan, pad: int, seed: int) -> Batch:
    """All slices of a held-out scan, unchanged.

    Args:
        scan: with a label.
        settings: whether slices look as in inference, or as in the released validation: each padded, cropped
            and brought to [0, 1], and those without a structure replaced.
        plan: of the run.
        pad: of its augmentation.
        seed: of the run; draws the replacements.
    """
    arrays = scan.arrays
    if settings.validation == "inference":
        seen, classes = as_inference_sees(arrays["image"], arrays["label"], plan)
        return _batch(list(seen), list(classes))
    size: Size = (plan.crop, plan.crop)
    images, labels = [], []
    for k in _chosen(scan, "replace", (seed, REPLACEMENT)):
        wide = (max(pad, plan.crop),) * 2
        image, label = padded(arrays["image"][k], arrays["label"][k], wide)
        box = centre(image.shape, size)
        images.append(rescaled(image[box]))
        labels.append(label[box])
    return _batch(images, labels)


def _chosen(scan: Scan, empty: str, seed: tuple[int, ...]) -> list[int]:
    """The slices of a scan; those without a structure are kept, dropped or replaced by another one."""
    filled: list[int] = scan.arrays["filled"].tolist()
    count = len(scan.arrays["label"])
    if empty == "keep":
        return list(range(count))
    if empty == "drop":
        return filled
    stand_ins = np.random.default_rng(seed).choice(filled, count).tolist()
    there = set(filled)
    return [k if k in there else stand_ins[k] for k in range(count)]


def _batch(images: Sequence[NDArray[Any]], labels: Sequence[NDArray[Any]]) -> Batch:
    return Batch(
        torch.from_numpy(np.stack(images)[:, None].astype(np.float32, copy=False)),
        torch.from_numpy(np.stack(labels).astype(np.int64)),
    )
