"""The two-stage inference exactly as the specification tells it, step after step, in float32 at full size.

It is what the fast one is held against, for its results (tests) and for its time (``bench_cssn.py``).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from SegToolkitLib.methods.cssn.plan import ModelPlan, StagePlan
from SegToolkitLib.volume import Reorient, Volume
from SegToolkitLib.volume.placing import onto_grid

FULL = np.ones((3, 3, 3), int)


class PlainPipeline:
    """Both networks, run one after the other.

    Args:
        plan: with both stages; only the released rules are followed.
        coarse, fine: networks in evaluation mode.
        values: labels of the channels.
    """

    def __init__(self, plan: ModelPlan, coarse: nn.Module, fine: nn.Module, values: Sequence[int]) -> None:
        assert plan.coarse is not None
        assert plan.fine is not None
        self.coarse_plan, self.fine_plan, self.rules = plan.coarse, plan.fine, plan.inference
        self.coarse, self.fine, self.values = coarse, fine, values
        self.seconds: dict[str, float] = defaultdict(float)
        self.clock: Callable[[], float] = time.perf_counter

    def segment(self, volume: Volume) -> NDArray[np.uint8]:
        """Labels [k, j, i] of a volume."""
        canonical = Reorient("RAS").apply(volume)[0]
        raw = canonical.voxels.astype(np.float32)
        spacing = np.array(canonical.spacing[::-1])

        started = self.clock()
        whole = tuple(slice(0, n) for n in raw.shape)
        logits = self.logits(self.coarse, self.coarse_plan, raw, whole)
        self._add("coarse", started)
        started = self.clock()
        zoom = np.array(raw.shape) / self.coarse_plan.size
        masks = 1 / (1 + np.exp(-logits)) >= self.rules.threshold
        found = self._painted(masks, self.rules.coarse_least_mm3 / (spacing * zoom).prod())
        box = self._region(found, raw.shape, zoom, spacing)
        self._add("box", started)

        started = self.clock()
        logits = self.logits(self.fine, self.fine_plan, raw, box)
        self._add("fine", started)
        started = self.clock()
        factors = np.array(raw[box].shape) / self.fine_plan.size
        full = np.stack([ndimage.zoom(channel, factors, order=1) for channel in logits])
        masks = 1 / (1 + np.exp(-full)) >= self.rules.threshold
        del full
        labels = np.zeros(raw.shape, np.uint8)
        labels[box] = self._painted(masks, self.rules.fine_least_mm3 / (spacing * factors).prod())
        result = onto_grid(canonical.with_voxels(labels), volume, label=True).voxels
        self._add("restore", started)
        return result

    def logits(
        self, network: nn.Module, plan: StagePlan, raw: NDArray[np.float32], box: tuple[slice, ...]
    ) -> NDArray[np.float32]:
        """Of a part of the volume, [C, z, y, x] at the network's size."""
        image = raw[box]
        small = ndimage.zoom(image, np.array(plan.size) / image.shape, order=1)
        x = torch.from_numpy(np.clip(small, *plan.intensity.window))[None, None]
        x = (x - x.mean()) / (1e-5 + x.std())
        started = self.clock()
        with torch.no_grad():
            logits = network(x)[0].numpy()
        self._add("networks", started)
        return logits

    def _painted(self, masks: NDArray[np.bool_], least: float) -> NDArray[np.uint8]:
        labels = np.zeros(masks.shape[1:], np.uint8)
        for value, mask in zip(self.values, masks, strict=True):
            parts, count = ndimage.label(mask, FULL)
            sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
            order = np.argsort(-sizes, kind="stable")[: self.rules.components.get(value, 1)]
            for part in order:
                if sizes[part] > least:
                    labels[parts == part + 1] = value
        return labels

    def _region(
        self, labels: NDArray[np.uint8], shape: tuple[int, ...], zoom: NDArray, spacing: NDArray
    ) -> tuple[slice, ...]:
        places = np.argwhere(labels)
        if not len(places):
            return tuple(slice(0, n) for n in shape)
        low, high = places.min(0), places.max(0)
        if self.rules.half_height_mm is not None:
            largest: NDArray = places[:0]
            for value in self.values:
                parts, count = ndimage.label(labels == value, FULL)
                for part in range(1, count + 1):
                    inside = np.argwhere(parts == part)
                    largest = inside if len(inside) > len(largest) else largest
            centre = round(float(largest[:, 0].mean()))
            reach = round(self.rules.half_height_mm / (spacing[0] * zoom[0]))
            low[0], high[0] = max(low[0], centre - reach), min(high[0], centre + reach)
        margin = self.rules.margin_mm / spacing
        start = np.maximum(0, ((low * zoom).astype(int) - margin).astype(int))
        stop = np.minimum(shape, ((high * zoom).astype(int) + margin).astype(int))
        return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))

    def _add(self, part: str, started: float) -> None:
        self.seconds[part] += self.clock() - started
