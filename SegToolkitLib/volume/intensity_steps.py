"""Steps of preparation that change values and leave voxels where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.volume import Volume

Found = dict[str, Any]
# A volume without contrast is divided by one instead of by zero.
SMALLEST_DEVIATION = 1e-8


@dataclass(frozen=True)
class Window:
    """Clip to [low, high], in the volume's own unit (Hounsfield for CT); the number type stays.

    Raises:
        SegToolkitError: "bad-window".
    """

    low: float
    high: float
    geometric: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise SegToolkitError(
                "bad-window",
                f"The window from {self.low} to {self.high} is empty.",
                "Give the lower bound first; it must be below the upper one.",
            )

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume clipped."""
        return _clipped(volume, self.low, self.high), {}


@dataclass(frozen=True)
class ClipPercentile:
    """Clip above at a percentile of the whole volume, and below at another if given; number type stays.

    Raises:
        SegToolkitError: "bad-window".
    """

    top: float = 99.5
    bottom: float | None = None
    geometric: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= (self.bottom or 0) < self.top <= 100:
            raise SegToolkitError(
                "bad-window",
                f"The percentiles {self.bottom} to {self.top} do not enclose anything.",
                "Give percentiles between 0 and 100, the lower one below the upper one.",
            )

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume clipped; what the percentiles were is in the history."""
        high = float(np.percentile(volume.voxels, self.top))
        low = None if self.bottom is None else float(np.percentile(volume.voxels, self.bottom))
        return _clipped(volume, low, high), {"low": low, "high": high}


@dataclass(frozen=True)
class ZScore:
    """(x - mean) / standard deviation as float32.

    Args:
        mean: of the training set, if the values are absolute (CT); None takes the volume's own.
        std: the same; the volume's own is the population standard deviation over all voxels.
    """

    mean: float | None = None
    std: float | None = None
    geometric: ClassVar[bool] = False

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, Found]:
        """The volume normalised; mean and deviation are in the history."""
        mean = float(volume.voxels.mean(dtype=np.float64)) if self.mean is None else self.mean
        std = float(volume.voxels.std(dtype=np.float64)) if self.std is None else self.std
        divisor = std if std > SMALLEST_DEVIATION else 1.0
        array = ((volume.voxels.astype(np.float64) - mean) / divisor).astype(np.float32)
        return volume.with_voxels(array), {"mean": mean, "std": std}


def _clipped(volume: Volume, low: float | None, high: float | None) -> Volume:
    voxels = volume.voxels
    if voxels.dtype.kind in "iu":
        # Bounds beyond the type clip nothing and would overflow; fractions are cut as the array is integer.
        limits = np.iinfo(voxels.dtype)
        low = None if low is None else int(max(low, limits.min))
        high = None if high is None else int(min(high, limits.max))
    if low is None and high is None:
        return volume
    return volume.with_voxels(np.clip(voxels, low, high).astype(voxels.dtype, copy=False))
