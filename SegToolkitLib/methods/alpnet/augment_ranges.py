"""Ranges of the authors' augmentations; apart from the augmentation itself, because settings name them and
need no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AugmentRanges:
    """Ranges of the uniform draws; angles in degrees, shifts in pixels, elastic sigma in pixels."""

    rotate: float
    shift: float
    shear: float
    zoom: tuple[float, float]
    elastic_alpha: float
    elastic_sigma: float
    gamma: tuple[float, float]


AUGMENTATIONS = {
    "sabs_aug": AugmentRanges(5, 5, 5, (0.9, 1.2), 10, 5, (0.5, 1.5)),
    "aug_v3": AugmentRanges(30, 30, 30, (0.8, 1.3), 20, 5, (0.2, 1.8)),
}
