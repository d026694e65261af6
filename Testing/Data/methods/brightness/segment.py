"""A voxel belongs to the structure in whose band its brightness lies."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np
import torch

from SegToolkitLib.automatic.segmenter import AutomaticOptions, AutomaticResult, Progress
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import Label
from SegToolkitLib.volume import Volume

from .settings import BrightnessSettings

STEPS = 4
PHASES = ("coarse", "fine")
# Brightness from a band's edge at which there is no doubt left.
SURE = 50.0


class BrightnessSegmenter:
    """See :class:`SegToolkitLib.automatic.segmenter.AutomaticSegmenter`."""

    def __init__(
        self, labels: Sequence[Label], limits: np.ndarray, settings: BrightnessSettings, device: torch.device
    ) -> None:
        self.device = device
        self._labels, self._limits, self._settings = labels, limits, settings

    def segment(
        self, volume: Volume, options: AutomaticOptions, progress: Progress | None = None
    ) -> AutomaticResult:
        started = time.monotonic()
        for phase in PHASES[: 1 if options.mode == "quick" else 2]:
            for step in range(STEPS + 1):
                if step:
                    time.sleep(self._settings.delay)
                if progress is not None:
                    progress(phase, step, STEPS)
        self._fail(options)
        voxels = volume.voxels
        if options.mode == "quick":  # blocks of two voxels, as bright as their first one
            voxels = voxels[::2, ::2, ::2].repeat(2, 0).repeat(2, 1).repeat(2, 2)
            voxels = voxels[tuple(slice(n) for n in volume.shape)]
        labels = np.zeros(volume.shape, np.uint8)
        doubt = np.zeros(volume.shape, np.float32)
        for label, (low, high) in zip(self._labels, self._limits, strict=True):
            if options.labels is None or label.value in options.labels:
                inside = (voxels >= low) & (voxels <= high)
                labels[inside] = label.value
                edge = np.minimum(voxels - low, high - voxels)[inside]
                doubt[inside] = np.clip(1 - edge / SURE, 0, 1)
        span = float(volume.voxels.max() - volume.voxels.min())
        darkness = (volume.voxels.max() - volume.voxels).astype(np.float32) / np.float32(span)
        maps = {"uncertainty": doubt, "darkness": darkness}
        result = volume.with_voxels(labels, "brightness")
        if self._settings.fails == "shifted":
            origin = tuple(x + 3 for x in volume.origin)
            result = Volume(labels, volume.spacing, origin, volume.direction)  # type: ignore[arg-type]
        return AutomaticResult(
            result,
            {name: volume.with_voxels(maps[name], name) for name in options.maps},
            {"fine" if options.mode == "full" else "coarse": time.monotonic() - started},
            ("Computed on every second voxel.",) if options.mode == "quick" else (),
        )

    def _fail(self, options: AutomaticOptions) -> None:
        fails = self._settings.fails
        if fails == "dies":
            os._exit(9)
        if fails == "memory":
            raise MemoryError
        if fails == "gpu-memory" and not options.small:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if fails == "error":
            raise SegToolkitError("too-dark", "The volume is too dark.", "Give a brighter one.")
        if fails == "internal":
            raise RuntimeError("a fault of the method")
