"""Segment a volume in two stages: find the region on a coarse grid of the whole, then label the region.

Source: released inference code of SemiSeg-CSSN; any orientation, single stages, choice of organs, uncertainty
and what happens where nothing is found are ours.

Example:
    >>> from SegToolkitLib.methods.cssn import automatic
    >>> from SegToolkitLib.automatic.segmenter import AutomaticOptions
    >>> from SegToolkitLib.models.card import read_card
    >>> segmenter = automatic.load(folder, read_card(folder), torch.device("cpu"), "auto")  # doctest: +SKIP
    >>> segmenter.segment(volume, AutomaticOptions()).labels.same_grid(volume)  # doctest: +SKIP
    True
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from SegToolkitLib import heap
from SegToolkitLib.automatic.segmenter import UNCERTAINTY, AutomaticOptions, AutomaticResult, Progress
from SegToolkitLib.methods.cssn import slabs
from SegToolkitLib.methods.cssn.forward import for_inference, forward
from SegToolkitLib.methods.cssn.frame import Frame, canonical_view
from SegToolkitLib.methods.cssn.layers import normalised
from SegToolkitLib.methods.cssn.plan import ModelPlan, StagePlan
from SegToolkitLib.methods.cssn.prepare import Box
from SegToolkitLib.methods.cssn.regions import least_voxels, organ_box, paint_parts, region_box
from SegToolkitLib.methods.cssn.weights import Stage, computing_type, loaded_network, of_stage
from SegToolkitLib.models.card import Label
from SegToolkitLib.volume import Volume, check_finite
from SegToolkitLib.volume.lattice import sub_grid

NOTHING_FOUND = (
    "The coarse stage found no organ, so the whole volume was segmented; look closely at the result."
)
EMPTY = "The coarse stage found no organ: the result is empty."
NO_REGION = "The model has no coarse stage: the whole volume was brought to the network's size."


@dataclass
class Scan:
    """A volume as the stages see it.

    Attributes:
        voxels: canonical view [z, y, x].
        frame: how it was made.
        small: memory counts more than time.
        seconds: part of the work -> seconds.
    """

    voxels: NDArray
    frame: Frame
    small: bool = False
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def whole(self) -> Box:
        """All of it."""
        return Box.whole(self.voxels.shape)

    @contextmanager
    def timed(self, part: str, device: torch.device) -> Iterator[None]:
        """Add what happens inside to a part of the work; in small mode, give unused memory back after it."""
        started = time.perf_counter()
        yield
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            if self.small:
                torch.cuda.empty_cache()
        self.seconds[part] += time.perf_counter() - started


class CssnSegmenter:
    """A model of this method, loaded.

    Args:
        plan: stages and rules.
        state: tensors "coarse.<key>" and "fine.<key>".
        labels: of the channels, in their order.
        device: where to compute.
        precision: "auto" is half precision on a GPU and float32 elsewhere; else "float32", "bfloat16" or
            "float16". Interpolation, norms and thresholds are computed in float32 whatever it is.

    Attributes:
        device: where it computes.

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
        self.device = device
        self._plan, self._rules = plan, plan.inference
        self._values = [label.value for label in labels]
        self._kind = computing_type(device, precision)
        # A probability at the threshold is this logit.
        self._threshold = math.log(self._rules.threshold / (1 - self._rules.threshold))
        stages: dict[Stage, StagePlan | None] = {"coarse": plan.coarse, "fine": plan.fine}
        self._networks: dict[Stage, nn.Module] = {}
        for stage, settings in stages.items():
            if settings is not None:
                what = f"The {stage} stage of the model"
                network = loaded_network(settings, len(labels), of_stage(state, stage), what)
                self._networks[stage] = for_inference(network, device, self._kind)

    def region_of(self, volume: Volume) -> Box:
        """Where the coarse stage sees the organs, margin included, in voxels of the canonical volume.

        Where it sees none, that is the whole volume.
        """
        scan = self._scan(volume)
        return self._region(scan) or scan.whole

    @torch.inference_mode()
    def segment(
        self, volume: Volume, options: AutomaticOptions | None = None, progress: Progress | None = None
    ) -> AutomaticResult:
        """Segment one volume of any orientation, spacing and size; see ``AutomaticSegmenter``.

        In quick mode, and for a model without a fine stage, the coarse stage's logits are the result.

        Raises:
            SegToolkitError: "colour-volume", "not-finite".
        """
        tell = progress or (lambda phase, step, total: None)
        with heap.kept():
            return self._segment(volume, options or AutomaticOptions(), tell)

    def _segment(self, volume: Volume, options: AutomaticOptions, tell: Progress) -> AutomaticResult:
        scan = self._scan(volume, options.small)
        labels = np.zeros(volume.grid.shape, dtype=np.uint8)
        notes: list[str] = []
        region: Box | None = scan.whole
        quick = "fine" not in self._networks or (options.mode == "quick" and "coarse" in self._networks)
        if not quick:
            tell("coarse", 0, 1)
            if "coarse" in self._networks:
                region = self._region(scan)
                if region is None and self._rules.on_empty == "whole":
                    region = scan.whole
                    notes.append(NOTHING_FOUND)
            else:
                notes.append(NO_REGION)
            tell("coarse", 1, 1)
        maps: dict[str, Volume] = {}
        if region is None:
            notes.append(EMPTY)
        else:
            stage: Stage = "coarse" if quick else "fine"
            tell(stage, 0, 1)
            logits = self._logits(scan, stage, region)
            tell(stage, 1, 1)
            tell("restore", 0, 1)
            with scan.timed("restore", self.device):
                chosen = [
                    c for c, value in enumerate(self._values) if value in (options.labels or self._values)
                ]
                self._paint(scan, labels, logits, chosen, stage, region)
                if UNCERTAINTY in options.maps:
                    maps[UNCERTAINTY] = self._doubt(scan, volume, logits[chosen], region)
            tell("restore", 1, 1)
        return AutomaticResult(volume.with_voxels(labels), maps, dict(scan.seconds), tuple(notes))

    def _scan(self, volume: Volume, small: bool = False) -> Scan:
        return Scan(*canonical_view(check_finite(volume)), small)

    def _stage(self, stage: Stage) -> StagePlan:
        settings = self._plan.coarse if stage == "coarse" else self._plan.fine
        assert settings is not None
        return settings

    def _logits(self, scan: Scan, stage: Stage, box: Box) -> Tensor:
        """Logits [C, z, y, x] of a part of the volume, at the network's size, on the device."""
        settings = self._stage(stage)
        with scan.timed("resample", self.device):
            image = slabs.resampled(scan.voxels[box.slices], settings.size, self.device)
            image = normalised(image, settings.intensity).to(self._kind)
        with scan.timed(stage, self.device):
            return forward(self._networks[stage], image[None, None])[0]

    @torch.inference_mode()
    def _region(self, scan: Scan) -> Box | None:
        """The box of the organs that the coarse stage finds, in voxels of the scan; None for none."""
        logits = self._logits(scan, "coarse", scan.whole)
        with scan.timed("box", self.device):
            shape, size = scan.voxels.shape, self._stage("coarse").size
            zoom = [n / coarse for n, coarse in zip(shape, size, strict=True)]
            found = np.zeros(size, dtype=np.uint8)
            masks = (logits >= self._threshold).cpu().numpy()
            least = least_voxels(self._rules, "coarse", scan.frame.spacing, shape, size)
            for value, mask in zip(self._values, masks, strict=True):
                paint_parts(found, mask, value, self._rules.components.get(value, 1), least)
            height = self._rules.half_height_mm
            organs = organ_box(found, None if height is None else height / (scan.frame.spacing[0] * zoom[0]))
            if organs is None:
                return None
            return region_box(organs, zoom, shape, scan.frame.spacing, self._rules.margin_mm)

    def _paint(
        self,
        scan: Scan,
        labels: NDArray[np.uint8],
        logits: Tensor,
        chosen: list[int],
        stage: Stage,
        region: Box,
    ) -> None:
        """Write the organs of a region into the labels [k, j, i], later ones over earlier ones."""
        out = scan.frame.view(labels)[region.slices]
        # A coarse result at full size is counted in the volume's own voxels, too.
        size = self._stage(stage).size if stage == "fine" else region.shape
        least = least_voxels(self._rules, stage, scan.frame.spacing, region.shape, size)
        if self._rules.exclusive:
            # All organs compete, also those that were not asked for.
            winners = slabs.best_organ(logits, region.shape, self._threshold)
        for channel in chosen:
            value = self._values[channel]
            keep = self._rules.components.get(value, 1)
            if self._rules.exclusive:
                paint_parts(out, winners == channel + 1, value, keep, least)
                continue
            found = slabs.organ_mask(logits[channel], region.shape, self._threshold)
            if found is not None:
                paint_parts(out[found[0].slices], found[1], value, keep, least)

    def _doubt(self, scan: Scan, volume: Volume, logits: Tensor, region: Box) -> Volume:
        """The map of doubt, on the region's part of the volume's grid."""
        values = slabs.doubt(logits, region.shape, self._threshold)
        low, size = scan.frame.box(region, volume.grid)
        grid = sub_grid(volume.grid, low, size)
        back = np.empty(grid.shape, dtype=np.float32)
        scan.frame.view(back)[:] = values
        return Volume(back, grid.spacing, grid.origin, grid.direction, volume.name)
