"""Corrupted copies of volumes, to see what a model makes of worse images than it was trained on.

What is drawn is data of its own: it can be kept, and applied again. A copy lies on its volume's own grid.
Source of the kinds and ranges: TorchIO's defaults, as the test set ACDC-C of Chen et al., MICCAI 2021, has
them. Ours by default: the whole volume in its own intensities, and motion in millimetres about its centre.

Example:
    >>> import numpy as np
    >>> from SegToolkitLib.volume import Volume
    >>> scan = Volume(np.random.default_rng(0).random((6, 32, 32)), (1.4, 1.4, 8), (0, 0, 0), np.eye(3))
    >>> copy = corrupted(scan, "ghosting", CorruptionSettings(), np.random.default_rng(1))
    >>> copy.volume.same_grid(scan), copy.drawn.kind
    (True, 'ghosting')
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from SegToolkitLib.evaluation import artefacts
from SegToolkitLib.evaluation.corruption_draws import AnyDrawn, Bias, Ghosting, Motion, Spike
from SegToolkitLib.settings import Settings
from SegToolkitLib.volume import Step, Volume, check_finite, prepare
from SegToolkitLib.volume.grid import Triple
from SegToolkitLib.volume.slicewise import FitInPlane, SlicesLast, rescaled_slices

Kind = Literal["bias", "spike", "ghosting", "motion"]
KINDS: tuple[Kind, ...] = ("bias", "spike", "ghosting", "motion")
Range = tuple[float, float]
# How far a movement's time may be off its even place, as a part of their distance.
TIME_SPREAD = 0.3


class BiasSettings(Settings):
    """Ranges of a bias field."""

    coefficient: float = Field(default=0.5, ge=0, le=10, description="largest of the polynomial, either sign")
    order: int = Field(default=3, ge=0, le=6, description="of the polynomial")

    def draw(self, rng: np.random.Generator, shape: Sequence[int]) -> Bias:
        """Draw the coefficients."""
        count = len(artefacts.terms(self.order))
        drawn = rng.uniform(-self.coefficient, self.coefficient, count)
        return Bias(coefficients=tuple(drawn.tolist()), order=self.order)


class SpikeSettings(Settings):
    """Ranges of k-space spikes."""

    count: int = Field(default=1, ge=1, le=100, description="spikes in the spectrum")
    intensity: Range = Field(default=(1.0, 3.0), description="of the spectrum's largest number")

    def draw(self, rng: np.random.Generator, shape: Sequence[int]) -> Spike:
        """Draw the positions, then the intensity."""
        positions = _triples(rng.random((self.count, 3)))
        return Spike(positions=positions, intensity=rng.uniform(*self.intensity))


class GhostingSettings(Settings):
    """Ranges of ghosts."""

    ghosts: tuple[int, int] = Field(default=(4, 10), description="fewest and most, both included")
    axes: tuple[Annotated[int, Field(ge=0, le=2)], ...] = Field(
        default=(0, 1, 2), min_length=1, description="that may be drawn: 0 slices, 1 rows, 2 columns"
    )
    intensity: Range = Field(default=(0.5, 1.0), description="0 to 1: how far planes are weakened")

    def draw(self, rng: np.random.Generator, shape: Sequence[int]) -> Ghosting:
        """Draw the number, the axis, then the intensity."""
        ghosts = int(rng.integers(self.ghosts[0], self.ghosts[1], endpoint=True))
        # Along an axis of one voxel there is no room for a ghost.
        axes = [axis for axis in self.axes if shape[axis] > 1] or list(self.axes)
        axis = axes[int(rng.integers(len(axes)))]
        return Ghosting(ghosts=ghosts, axis=axis, intensity=rng.uniform(*self.intensity))

    @model_validator(mode="after")
    def _rises(self) -> GhostingSettings:
        if not 1 <= self.ghosts[0] <= self.ghosts[1]:
            raise ValueError(f"the numbers of ghosts {self.ghosts} must rise from 1 on")
        return self


class MotionSettings(Settings):
    """Ranges of movements."""

    degrees: float = Field(default=30.0, ge=0, le=180, description="largest turn about each axis")
    translation: float = Field(default=10.0, ge=0, description="largest along each axis, in mm")
    movements: int = Field(default=2, ge=1, le=20)
    frame: Literal["volume", "voxels"] = Field(
        default="volume",
        description="volume: about its centre, in mm; voxels: about its corner, in voxels, as published",
    )

    def draw(self, rng: np.random.Generator, shape: Sequence[int]) -> Motion:
        """Draw all turns, all translations, then the times."""
        degrees = rng.uniform(-self.degrees, self.degrees, (self.movements, 3))
        translation = rng.uniform(-self.translation, self.translation, (self.movements, 3))
        if shape[0] == 1 and self.frame == "volume":
            # A single slice shows nothing of movements out of its plane but emptiness.
            degrees[:, :2] = translation[:, 2] = 0
        step = 1 / (self.movements + 1)
        times = step * (np.arange(1, self.movements + 1) + rng.uniform(-1, 1, self.movements) * TIME_SPREAD)
        return Motion(
            degrees=_triples(degrees),
            translation=_triples(translation),
            times=tuple(times.tolist()),
            frame=self.frame,
        )


class CorruptionSettings(Settings):
    """All kinds, and what part of a volume they are applied to."""

    bias: BiasSettings = BiasSettings()
    spike: SpikeSettings = SpikeSettings()
    ghosting: GhostingSettings = GhostingSettings()
    motion: MotionSettings = MotionSettings()
    canvas: int | None = Field(
        default=None,
        ge=1,
        description="rows and columns of the centre that is corrupted, each slice brought to [0, 1] before"
        " and after, and 0 around it, as published (192); null: the whole volume in its own intensities",
    )

    def as_published(self) -> CorruptionSettings:
        """The same ranges, applied as in ACDC-C."""
        return self.model_copy(
            update={"canvas": 192, "motion": self.motion.model_copy(update={"frame": "voxels"})}
        )


@dataclass(frozen=True)
class Corrupted:
    """A corrupted copy on its volume's grid (float32), and what was drawn for it."""

    volume: Volume
    drawn: AnyDrawn


def copy_seed(seed: int, kind: Kind, case: str, repeat: int) -> int:
    """A copy's own seed: what else is asked for, and in which order, changes nothing about it."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{kind}:{case}:{repeat}".encode()).digest()[:8], "big")


def corrupted(
    volume: Volume, kind: Kind, settings: CorruptionSettings, rng: np.random.Generator
) -> Corrupted:
    """Draw a corruption of this kind and apply it.

    Raises:
        SegToolkitError: "colour-volume", "not-finite".
    """
    slices = SlicesLast().apply(volume)[0].shape
    drawn: AnyDrawn = getattr(settings, kind).draw(rng, slices)
    return Corrupted(apply(volume, drawn, settings.canvas), drawn)


def apply(volume: Volume, drawn: AnyDrawn, canvas: int | None = None) -> Volume:
    """The volume, float32 on its own grid, with what was drawn.

    Args:
        volume: any orientation; its slices are along its coarsest axis.
        drawn: the corruption.
        canvas: of :class:`CorruptionSettings`.

    Raises:
        SegToolkitError: "colour-volume", "not-finite".
    """
    steps: list[Step] = [SlicesLast(), *([] if canvas is None else [FitInPlane((canvas, canvas))])]
    prepared = prepare(check_finite(volume), steps)
    array = prepared.volume.voxels.astype(np.float32)
    if canvas is None:
        array = drawn.apply(array, prepared.volume.grid)
    else:
        array = rescaled_slices(drawn.apply(rescaled_slices(array), prepared.volume.grid))
    return prepared.restore(prepared.volume.with_voxels(array), label=False)


def _triples(rows: NDArray[np.float64]) -> tuple[Triple, ...]:
    return tuple(_triple(row) for row in rows)


def _triple(row: NDArray[np.float64]) -> Triple:
    return cast(Triple, tuple(row.tolist()))
