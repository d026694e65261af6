"""Training samples: labelled images with their labels, and unlabelled ones, at the network's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.methods.cssn import augment
from SegToolkitLib.methods.cssn.layers import normalised
from SegToolkitLib.methods.cssn.scans import Scan
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.training.rounds import order_of_round

LABELLED, UNLABELLED = 0, 1


@dataclass(frozen=True)
class Sample:
    """What one step of one process takes.

    Attributes:
        images: float32 [L + U, 1, Z, Y, X], normalised; labelled ones first.
        labels: uint8 [L, Z, Y, X]: channel numbers from 1 on, 0 background.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Sampler:
    """Draws samples; each depends on the run's seed and the sample's number alone.

    Attributes:
        labelled, unlabelled: the scans; each list is gone through in a new order again and again.
        settings: of the run.
        organs: how many there are.
        swaps: label -> its counterpart on the other side, as channel numbers.
    """

    labelled: Sequence[Scan]
    unlabelled: Sequence[Scan]
    settings: CssnSettings
    organs: int
    swaps: dict[int, int]

    def draw(self, number: int) -> Sample:
        """The sample of this number, from 0 on."""
        each = self.settings.optimiser.batch
        images, labels = [], []
        for index in range(number * each, (number + 1) * each):
            image, label = self._draw(self.labelled, LABELLED, index)
            images.append(image)
            labels.append(label)
        if self.unlabelled:
            images += [
                self._draw(self.unlabelled, UNLABELLED, index)[0]
                for index in range(number * each, (number + 1) * each)
            ]
        return Sample(torch.stack(images)[:, None], torch.from_numpy(np.stack(labels)))

    def _draw(self, scans: Sequence[Scan], kind: int, index: int) -> tuple[Tensor, Any]:
        seed, count = self.settings.seed, len(scans)
        scan = scans[order_of_round(seed, kind, index // count, count)[index % count]]
        return self.sample(scan, np.random.default_rng((seed, kind, index)))

    def sample(self, scan: Scan, rng: np.random.Generator) -> tuple[Tensor, NDArray[np.uint8] | None]:
        """One image, augmented and normalised, float32 [Z, Y, X], and its label map."""
        settings, changes = self.settings, self.settings.augment
        arrays = self._cropped(scan, rng)
        image = arrays["image"].astype(np.float32)
        label = arrays.get("label")
        if settings.stage == "fine":
            width = self._width(image)
            if label is not None:
                augment.shift_organs(image, label, self.organs, width, changes, rng)
            else:
                augment.shift_all(image, width, changes, rng)
        image, label = augment.flip(image, label, self.swaps, changes, rng)
        image, label = augment.move(image, label, arrays["voxel"], changes, rng)
        # The released training divides by the population's standard deviation.
        result = normalised(torch.from_numpy(np.ascontiguousarray(image)), settings.intensity, unbiased=False)
        noise = augment.noise_of(image.shape, changes, rng)
        if noise is not None:
            result = result + torch.from_numpy(noise)
        return result, None if label is None else np.ascontiguousarray(label)

    def _cropped(self, scan: Scan, rng: np.random.Generator) -> Any:
        settings = self.settings
        if settings.stage == "fine" and rng.random() < settings.augment.crop_probability:
            whole = scan.whole
            low, high = (tuple(map(int, end)) for end in whole["extent"])
            box = augment.random_crop(
                low,  # type: ignore[arg-type]
                high,  # type: ignore[arg-type]
                whole["image"].shape,
                whole["spacing"].tolist(),
                settings.augment,
                rng,
            )
            if box is not None:
                return scan.cut(box)
        return scan.fitted

    def _width(self, image: NDArray[np.float32]) -> float:
        intensity = self.settings.intensity
        if intensity.mode == "window":
            return intensity.window[1] - intensity.window[0]
        low, high = np.percentile(image, intensity.percentiles)
        return float(high - low)


def fitted_image(scan: Scan, settings: CssnSettings) -> Tensor:
    """The plain image of a scan, normalised as in training; float32 [Z, Y, X]."""
    image = torch.from_numpy(scan.fitted["image"].astype(np.float32))
    return normalised(image, settings.intensity, unbiased=False)
