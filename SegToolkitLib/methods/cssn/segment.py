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

NOTHING_FOUND = "The coarse stage found no organ{}"
WHOLE = ", so the whole volume was segmented; look closely at the result."
EMPTY = ": the result is empty."
NO_REGION = "The model has no coarse stage: the whole volume was brought to the network's size."


@dataclass
class Scan:
    """A volume as the stages see it.

    Attributes:
        voxels: canonical view [z, y, x].
        frame: how it was made.
        small: memory counts more than time.
        seconds: part of the work -> seconds.
        limits: stage -> mm3 that a part must exceed.
        lost: stage -> label -> mm3 of its largest part, where none exceeds that.
    """

    voxels: NDArray
    frame: Frame
    small: bool = False
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    limits: dict[Stage, float] = field(default_factory=dict)
    lost: dict[Stage, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def voxel_mm3(self) -> float:
        """Of one of its voxels."""
        return math.prod(self.frame.spacing)

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
        self._plan = plan
        self._values = [label.value for label in labels]
        self._names = {label.value: label.name for label in labels}
        self._kind = computing_type(device, precision)
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
                if region is None:
                    region = scan.whole if self._plan.inference.on_empty == "whole" else None
                    notes.append(self._nothing_found(scan) + (WHOLE if region else EMPTY))
            else:
                notes.append(NO_REGION)
            tell("coarse", 1, 1)
        maps: dict[str, Volume] = {}
        stage: Stage = "coarse" if quick else "fine"
        chosen = [c for c, value in enumerate(self._values) if value in (options.labels or self._values)]
        if region is not None:
            tell(stage, 0, 1)
            logits = self._logits(scan, stage, region)
            tell(stage, 1, 1)
            tell("restore", 0, 1)
            with scan.timed("restore", self.device):
                self._paint(scan, labels, logits, chosen, stage, region)
                if UNCERTAINTY in options.maps:
                    maps[UNCERTAINTY] = self._doubt(scan, volume, logits[chosen], stage, region)
            tell("restore", 1, 1)
            notes += self._left_out(scan, stage, [self._values[c] for c in chosen], labels)
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
            rules = self._plan.rules("coarse")
            masks = (logits >= _logit(rules.threshold)).cpu().numpy()
            least = least_voxels(rules, "coarse", scan.frame.spacing, shape, size)
            network_voxel = scan.voxel_mm3 * math.prod(zoom)
            scan.limits["coarse"] = least * network_voxel
            for value, mask in zip(self._values, masks, strict=True):
                lost = paint_parts(found, mask, value, rules.components.get(value, 1), least)
                if lost:
                    scan.lost["coarse"][value] = lost * network_voxel
            height = rules.half_height_mm
            organs = organ_box(found, None if height is None else height / (scan.frame.spacing[0] * zoom[0]))
            if organs is None:
                return None
            return region_box(organs, zoom, shape, scan.frame.spacing, self._plan.inference.margin_mm)

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
        rules = self._plan.rules(stage)
        least = least_voxels(rules, stage, scan.frame.spacing, region.shape, size)
        scan.limits[stage] = least * scan.voxel_mm3
        threshold = _logit(rules.threshold)
        if rules.exclusive:
            # All organs compete, also those that were not asked for.
            winners = slabs.best_organ(logits, region.shape, threshold)
        for channel in chosen:
            value = self._values[channel]
            keep = rules.components.get(value, 1)
            lost = 0
            if rules.exclusive:
                lost = paint_parts(out, winners == channel + 1, value, keep, least)
            elif found := slabs.organ_mask(logits[channel], region.shape, threshold):
                lost = paint_parts(out[found[0].slices], found[1], value, keep, least)
            if lost:
                scan.lost[stage][value] = lost * scan.voxel_mm3

    def _nothing_found(self, scan: Scan) -> str:
        """The beginning of a note; what it tells of is not told again."""
        lost = scan.lost.pop("coarse", {})
        return NOTHING_FOUND.format(
            f" of more than {_mm3(scan.limits['coarse'])} ({self._told(lost)})" if lost else ""
        )

    def _left_out(
        self, scan: Scan, stage: Stage, wanted: Sequence[int], labels: NDArray[np.uint8]
    ) -> list[str]:
        """Notes on organs that are not in the result because their parts are too small.

        Args:
            scan: painted.
            stage: of the result.
            wanted: labels that were asked for.
            labels: of the result.
        """
        notes = []
        if lost := scan.lost[stage]:
            notes.append(
                f"Found, but left out, as no part exceeds the limit of {_mm3(scan.limits[stage])}:"
                f" {self._told(lost)}. The model's card sets that limit ({stage}_least_mm3)."
            )
        unseen = {
            value: size
            for value, size in scan.lost["coarse"].items()
            if stage == "fine" and value in wanted and value not in lost and not (labels == value).any()
        }
        if unseen:
            notes.append(
                f"Not in the result: {self._told(unseen)}. The coarse stage saw no part of it above its limit"
                f" of {_mm3(scan.limits['coarse'])} (coarse_least_mm3), so it may lie beyond the region."
            )
        return notes

    def _told(self, sizes: Mapping[int, float]) -> str:
        return ", ".join(f"{self._names[value]} (largest part {_mm3(size)})" for value, size in sizes.items())

    def _doubt(self, scan: Scan, volume: Volume, logits: Tensor, stage: Stage, region: Box) -> Volume:
        """The map of doubt, on the region's part of the volume's grid."""
        values = slabs.doubt(logits, region.shape, _logit(self._plan.rules(stage).threshold))
        low, size = scan.frame.box(region, volume.grid)
        grid = sub_grid(volume.grid, low, size)
        back = np.empty(grid.shape, dtype=np.float32)
        scan.frame.view(back)[:] = values
        return Volume(back, grid.spacing, grid.origin, grid.direction, volume.name)


def _logit(probability: float) -> float:
    """A sigmoid reaches a probability where its argument reaches this."""
    return math.log(probability / (1 - probability))


def _mm3(volume: float) -> str:
    return f"{volume:,.0f} mm³" if volume >= 10 else f"{volume:.2g} mm³"
