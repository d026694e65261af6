"""Prepare a volume step by step, and bring results back onto the grid it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.checks import as_label, check_label
from SegToolkitLib.volume.grid import Grid
from SegToolkitLib.volume.placing import onto_grid
from SegToolkitLib.volume.volume import Volume


class Step(Protocol):
    """One step of preparation: a frozen dataclass whose fields are its settings."""

    geometric: ClassVar[bool]

    def apply(self, volume: Volume, *, label: bool = False) -> tuple[Volume, dict[str, Any]]:
        """The volume after the step, and what the step found out (for the history)."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared volume that knows the way back.

    Args:
        volume: the result of all steps.
        input: the grid of the volume before the first step.
        steps: the steps, in order.
        history: one JSON-able entry a step: name, settings, what it found, the grid after it; the first
            entry is the input.
    """

    volume: Volume
    input: Grid
    steps: tuple[Step, ...]
    history: list[dict[str, Any]]

    def label(self, label: Volume) -> Volume:
        """A label on the input's grid, sent through the steps that move voxels (new voxels are 0).

        Raises:
            SegToolkitError: "label-grid", "label-values".
        """
        result = check_label(label, self.input)
        for step in self.steps:
            if step.geometric:
                result, _ = step.apply(result, label=True)
        return result

    def restore(self, volume: Volume, *, label: bool = True) -> Volume:
        """A result on the prepared grid, carried back onto the input's grid.

        Exact where only axes, crops and pads moved; otherwise interpolated once, straight from the
        prepared grid to the input's (linear; labels one at a time with smooth outlines).
        What was cropped away becomes 0.

        Args:
            volume: on the grid of ``self.volume``; integers if ``label``.
            label: False for maps of numbers (confidence), which are interpolated as such.

        Raises:
            SegToolkitError: "not-on-prepared-grid", "label-values".
        """
        if not volume.same_grid(self.volume):
            raise SegToolkitError(
                "not-on-prepared-grid",
                f"{volume.name or 'The result'} ({volume.grid.size} voxels) is not on the grid of the"
                f" prepared {self.volume.name or 'volume'} ({self.volume.grid.size} voxels).",
                "Make results with prepared.volume.with_voxels(array).",
            )
        if label and volume.voxels.dtype.kind == "f":
            volume = as_label(volume)
        return onto_grid(volume, self.input, label=label, smooth=label)


def prepare(volume: Volume, steps: Sequence[Step]) -> Prepared:
    """Apply the steps in order and remember them.

    Example:
        >>> import numpy as np
        >>> from SegToolkitLib.volume import CropPad, Reorient, Volume, prepare
        >>> scan = Volume(np.arange(24.0).reshape(2, 3, 4), (1, 1, 5), (10, 20, 30), np.eye(3))
        >>> prepared = prepare(scan, [Reorient("RAS"), CropPad((8, 8, None))])
        >>> prepared.volume.shape, prepared.volume.orientation
        ((2, 8, 8), 'RAS')
        >>> bool((prepared.restore(prepared.volume, label=False).voxels == scan.voxels).all())
        True
    """
    history: list[dict[str, Any]] = [{"step": "input", "name": volume.name, **volume.grid.describe()}]
    current = volume
    for step in steps:
        current, found = step.apply(current)
        settings = asdict(step)  # type: ignore[call-overload]
        history.append(
            {"step": type(step).__name__, "settings": settings, "found": found, **current.grid.describe()}
        )
    return Prepared(current, volume.grid, tuple(steps), history)
