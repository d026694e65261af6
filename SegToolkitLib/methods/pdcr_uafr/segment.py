"""Segment a volume slice by slice, or a picture: prepare, predict, restore.

Example:
    >>> from SegToolkitLib.automatic.segmenter import AutomaticOptions
    >>> from SegToolkitLib.methods.pdcr_uafr import automatic
    >>> from SegToolkitLib.models.card import read_card
    >>> segmenter = automatic.load(folder, read_card(folder), torch.device("cpu"), "auto")  # doctest: +SKIP
    >>> segmenter.segment(read_volume("photo.jpg"), AutomaticOptions()).labels.shape  # doctest: +SKIP
    (1, 768, 1024)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib import heap
from SegToolkitLib.automatic.segmenter import AutomaticOptions, AutomaticResult, Progress
from SegToolkitLib.methods.pdcr_uafr.checkpoints import loaded_network
from SegToolkitLib.methods.pdcr_uafr.plan import ModelPlan
from SegToolkitLib.methods.pdcr_uafr.predict import predict
from SegToolkitLib.methods.pdcr_uafr.slices import Stack, stacked
from SegToolkitLib.models.card import Label
from SegToolkitLib.volume import Volume


class PdcrUafrSegmenter:
    """A model of this method, loaded.

    Args:
        plan: of the model.
        state: its tensors.
        labels: of the classes 1, 2, ..., in their order.
        device: where to compute.
        precision: see ``training.precision``.

    Attributes:
        device: where it computes.
        plan: of the model.
        network: in evaluation mode, on the device.
        precision: as given.

    Raises:
        SegToolkitError: "model-mismatch".
    """

    def __init__(
        self,
        plan: ModelPlan,
        state: Mapping[str, Tensor],
        labels: Sequence[Label],
        device: torch.device,
        precision: str = "auto",
    ) -> None:
        self.device, self.precision = device, precision
        self.plan = plan
        self._values = np.array([0, *(label.value for label in labels)], np.uint8)
        self.network = loaded_network(plan.network, len(labels) + 1, state, "The model").to(device)

    def segment(
        self, volume: Volume, options: AutomaticOptions | None = None, progress: Progress | None = None
    ) -> AutomaticResult:
        """Segment a volume of any orientation, spacing and size, or a picture; see ``AutomaticSegmenter``.

        Raises:
            SegToolkitError: "channels", "not-finite".
        """
        options, tell = options or AutomaticOptions(), progress or (lambda phase, step, total: None)
        seconds: dict[str, float] = {}
        with _timed(seconds, "prepare", tell):
            stack = stacked(volume, self.plan.input)
        with _timed(seconds, "slices"), heap.kept():
            outputs = predict(
                self.network,
                stack.pixels,
                self._plan(options),
                maps=options.maps,
                device=self.device,
                precision=self.precision,
                progress=lambda done, total: tell("slices", done, total),
            )
        with _timed(seconds, "restore", tell):
            labels = self._labels(stack, outputs.classes, options.labels)
            maps = {name: stack.restore(found, label=False) for name, found in outputs.maps.items()}
        return AutomaticResult(labels, maps, seconds)

    def _plan(self, options: AutomaticOptions) -> ModelPlan:
        if not options.small:
            return self.plan
        inference = self.plan.inference.model_copy(update={"chunk": 1})
        return self.plan.model_copy(update={"inference": inference})

    def _labels(self, stack: Stack, classes: NDArray[Any], wanted: Sequence[int] | None) -> Volume:
        values = self._values[classes]
        if wanted is not None:
            # Not before: structures compete for the pixels between them.
            values = np.where(np.isin(values, wanted), values, 0).astype(np.uint8)
        return stack.restore(values)


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
