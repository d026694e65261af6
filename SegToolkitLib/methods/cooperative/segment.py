"""Segment a volume slice by slice: prepare, predict, restore.

Source: released prediction code of cooperative training; the way back to any grid, the choice of structures,
maps and warnings are ours.

Example:
    >>> from SegToolkitLib.automatic.segmenter import AutomaticOptions
    >>> from SegToolkitLib.methods.cooperative import automatic
    >>> from SegToolkitLib.models.card import read_card
    >>> segmenter = automatic.load(folder, read_card(folder), torch.device("cpu"), "auto")  # doctest: +SKIP
    >>> segmenter.segment(volume, AutomaticOptions()).labels.same_grid(volume)  # doctest: +SKIP
    True
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib import heap
from SegToolkitLib.automatic.segmenter import AutomaticOptions, AutomaticResult, Progress
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative.plan import DISAGREEMENT, ModelPlan
from SegToolkitLib.methods.cooperative.predict import Outputs, predict
from SegToolkitLib.methods.cooperative.prepare import Stack, stacked
from SegToolkitLib.methods.cooperative.typicality import note
from SegToolkitLib.methods.cooperative.weights import loaded_networks
from SegToolkitLib.models.card import Label
from SegToolkitLib.volume import Volume

NO_DISAGREEMENT = (
    "The quick mode leaves out the shape correction, so there is no map of what that disagrees with."
)
CUT_OFF = (
    "The result reaches the border of what the model looks at (the middle of each slice, {size} mm wide), and"
    " may be cut off there."
)


class CooperativeSegmenter:
    """A model of this method, loaded.

    Args:
        plan: of the model.
        state: tensors "<network>.<key>".
        labels: of the classes 1, 2, ..., in their order.
        device: where to compute.
        precision: see ``training.precision``.

    Attributes:
        device: where it computes.
        plan: of the model.
        networks: in evaluation mode, on the device.

    Raises:
        SegToolkitError: "model-mismatch"; "image-channels": the networks want more than one number a pixel.
    """

    def __init__(
        self,
        plan: ModelPlan,
        state: Mapping[str, Tensor],
        labels: Sequence[Label],
        device: torch.device,
        precision: str = "auto",
    ) -> None:
        if plan.network.image_channels != 1:
            raise SegToolkitError(
                "image-channels",
                f"The networks want images of {plan.network.image_channels} channels; volumes have one.",
                "Choose another model.",
            )
        self.device = device
        self.plan, self._precision = plan, precision
        self._values = np.array([0, *(label.value for label in labels)], np.uint8)
        networks = loaded_networks(plan.network, len(labels) + 1, state, "The model")
        self.networks = networks.to(device)

    def segment(
        self, volume: Volume, options: AutomaticOptions | None = None, progress: Progress | None = None
    ) -> AutomaticResult:
        """Segment one volume of any orientation, spacing and size; see ``AutomaticSegmenter``.

        Slices are those of its coarsest axis. The quick mode leaves out the shape correction.

        Raises:
            SegToolkitError: "colour-volume", "not-finite".
        """
        options, tell = options or AutomaticOptions(), progress or (lambda phase, step, total: None)
        seconds: dict[str, float] = {}
        with _timed(seconds, "prepare", tell):
            stack = stacked(volume, self.plan.input)
        with _timed(seconds, "slices"), heap.kept():
            outputs = self.predict(stack, options, lambda done, total: tell("slices", done, total))
        with _timed(seconds, "restore", tell):
            labels = self._restored(stack, outputs, options.labels)
            maps = {name: stack.restore(found, label=False) for name, found in outputs.maps.items()}
        return AutomaticResult(labels, maps, seconds, tuple(self._notes(stack, outputs, options)))

    def predict(
        self,
        stack: Stack,
        options: AutomaticOptions,
        progress: Callable[[int, int], None] = lambda done, total: None,
        passes: int | None = None,
    ) -> Outputs:
        """What the networks make of prepared slices, on their own grid; classes, not yet labels.

        Args:
            stack: the slices.
            options: labels apart, those of :meth:`segment`.
            progress: hears of slices done.
            passes: in place of the plan's, for the mode "full".
        """
        plan, quick = self.plan.inference, options.mode == "quick"
        passes = 1 if quick else passes or plan.passes
        return predict(
            self.networks,
            stack.pixels,
            plan.model_copy(update={"chunk": 1}) if options.small else plan,
            passes,
            maps=[name for name in options.maps if passes > 1 or name != DISAGREEMENT],
            signatures=self.plan.typicality is not None,
            device=self.device,
            precision=self._precision,
            progress=progress,
        )

    def classes_of(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Labels with the values of the card as classes; other values are background. Any shape."""
        classes = np.zeros(values.shape, np.uint8)
        for number, value in enumerate(self._values):
            classes[values == value] = number
        return classes

    def _restored(self, stack: Stack, outputs: Outputs, wanted: Sequence[int] | None) -> Volume:
        found = stack.restore(self._values[outputs.labels])
        voxels = found.voxels.astype(np.uint8, copy=False)
        if wanted is not None:
            # Not before: structures compete for the pixels between them.
            voxels = np.where(np.isin(voxels, wanted), voxels, 0).astype(np.uint8)
        return stack.volume.with_voxels(voxels)

    def _notes(self, stack: Stack, outputs: Outputs, options: AutomaticOptions) -> Iterator[str]:
        if self.plan.typicality is not None:
            unlike = self.plan.typicality.unlike(outputs.signatures)
            if unlike:
                yield note(unlike, len(stack))
        if DISAGREEMENT in options.maps and DISAGREEMENT not in outputs.maps:
            yield NO_DISAGREEMENT
        if _cut_off(stack, outputs.labels):
            spacing = stack.prepared.volume.spacing[0]
            yield CUT_OFF.format(size=round(self.plan.input.crop * spacing))


def _cut_off(stack: Stack, labels: NDArray[np.uint8]) -> bool:
    """Whether a structure touches a border of [S, Y, X] that the volume goes on beyond."""
    whole, seen = stack.upright, stack.prepared.volume.grid
    beyond = [
        whole.size[axis] * whole.spacing[axis] > (seen.size[axis] + 1) * seen.spacing[axis] for axis in (0, 1)
    ]
    return bool((beyond[0] and labels[:, :, [0, -1]].any()) or (beyond[1] and labels[:, [0, -1], :].any()))


@contextmanager
def _timed(seconds: dict[str, float], part: str, tell: Progress | None = None) -> Iterator[None]:
    """Note what a part of the work takes; ``tell`` of its start and end."""
    started = time.perf_counter()
    if tell is not None:
        tell(part, 0, 1)
    yield
    if tell is not None:
        tell(part, 1, 1)
    seconds[part] = time.perf_counter() - started
