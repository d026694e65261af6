"""Training of one stage: a step, the optimiser and its schedule, averaged weights, validation.

Source: released trainers of SemiSeg-CSSN; Chen et al., cross pseudo supervision, CVPR 2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from SegToolkitLib.methods.cssn.coarse import Coarse
from SegToolkitLib.methods.cssn.data import Sample, Sampler
from SegToolkitLib.methods.cssn.loss import segmentation_loss
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.pseudo import cross_losses
from SegToolkitLib.methods.cssn.scans import Scan
from SegToolkitLib.methods.cssn.settings import CssnSettings, OptimiserSettings
from SegToolkitLib.methods.cssn.validation import examples_picture, validate
from SegToolkitLib.training.drawing import drawn
from SegToolkitLib.training.task import StepResult

AVERAGE = "average_"
# Shares of the epochs up to which the released schedule keeps a rate, and the factors.
RELEASED_SHARES = ((0.66, 1.0), (0.86, 0.1), (1.0, 0.05))
# Rates above this much for each image of a batch are multiplied by the batch's size.
RATE_PER_IMAGE = 1e-3
RAMP_STEEPNESS = 5.0


def build_networks(settings: CssnSettings, organs: int) -> nn.ModuleDict:
    """The networks "a" and, for cross supervision, "b", with independent weights; with averaged weights also
    "average_a" and "average_b"."""
    names = ("a", "b") if settings.cross.enabled else ("a",)
    networks = {
        name: build_network(settings.plan, organs, seed=settings.seed + index)
        for index, name in enumerate(names)
    }
    if settings.cross.ema is not None:
        for index, name in enumerate(names):
            average = build_network(settings.plan, organs, seed=settings.seed + index)
            networks[AVERAGE + name] = average.requires_grad_(False)
    return nn.ModuleDict(networks)


@dataclass
class CssnTask:
    """What the training loop needs to know of this method.

    Args:
        network: of :func:`build_networks`, on the CPU; the loop moves it.
        sampler: draws the samples.
        settings: of the run.
        device: where to train.
        held_out: scans of the validation; none does not validate.
        organs: value -> name, in the order of the channels.
        world: processes that train together.
        coarse: the model that showed a fine stage where the organs are, and becomes part of the result.
    """

    network: nn.ModuleDict
    sampler: Sampler
    settings: CssnSettings
    device: torch.device
    held_out: Sequence[Scan] = ()
    organs: Mapping[int, str] = field(default_factory=dict)
    world: int = 1
    coarse: Coarse | None = None
    better: str = "a"

    def __post_init__(self) -> None:
        self.network.to(self.device)
        images = self.settings.optimiser.batch * self.settings.accumulate * self.world
        self.optimiser = build_optimiser(self.network, self.settings.optimiser, images)
        self.scheduler = build_scheduler(self.optimiser, self.settings.optimiser)
        if self.settings.cross.ema is not None:
            self.optimiser.register_step_post_hook(lambda *_: self._average())
        self._examples: Any = None

    def samples(self, numbers: Sequence[int]) -> Iterator[Sample]:
        """The samples of these numbers, drawn ahead by worker processes where there are any."""
        return drawn(self.sampler.draw, numbers, self.settings.workers)

    def step(self, sample: Sample) -> StepResult:
        """Supervised losses, and with two networks what they teach each other.

        Labelled and unlabelled images share a forward pass: instance norm looks at each alone, so the
        result is that of separate passes.
        """
        settings, cross = self.settings, self.settings.cross
        images = sample.images.to(self.device, non_blocking=True)
        target = one_hot(sample.labels.to(self.device, non_blocking=True), self.sampler.organs)
        a = predicted(self.network["a"], images)
        if not cross.enabled:
            loss = segmentation_loss(a, target, settings.loss)
            return StepResult(loss, {"loss": float(loss.detach())})
        b = self.network["b"](images)
        weight = cross.weight * ramp(self.scheduler.last_epoch, cross.ramp_steps)
        losses = cross_losses(a, b, target, settings.loss, cross, weight)
        values = {
            "supervised_a": losses.supervised_a,
            "supervised_b": losses.supervised_b,
            "cross_a": losses.cross_a,
            "cross_b": losses.cross_b,
        }
        loss = losses.a + losses.b
        shown = {name: float(value.detach()) for name, value in {"loss": loss, **values}.items()}
        return StepResult(loss, shown | ({"cross_weight": weight} if cross.ramp_steps else {}))

    @property
    def milestones(self) -> tuple[int, ...]:
        """Steps whose weights are kept, to judge unlabelled images by how far they agree."""
        total = self.settings.total_steps
        return tuple(sorted({max(1, round(share * total)) for share in self.settings.keep_shares}))

    @property
    def judged(self) -> dict[str, nn.Module]:
        """The networks that validate and are kept, "a" and "b": the averaged ones where there are."""
        prefix = AVERAGE if self.settings.cross.ema is not None else ""
        names = ("a", "b") if self.settings.cross.enabled else ("a",)
        return {name: self.network[prefix + name] for name in names}

    def validate(self) -> dict[str, float]:
        """Mean Dice of the held-out scans; the better network's, which is remembered."""
        self._examples = None
        if not self.held_out:
            return {}
        figures, self.better, self._examples = validate(
            self.judged, self.held_out, self.settings, self.organs, self.device
        )
        return figures

    def pictures(self, folder: Path, step: int) -> list[Path]:
        """Slices of the validation's scans, with truth and prediction."""
        if not self._examples:
            return []
        return [examples_picture(self._examples, self.organs, folder / f"{step:08d}.png")]

    def extra_state(self) -> dict[str, Any]:
        """Which network was the better one at the last validation."""
        return {"better": self.better}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.better = str(state.get("better", "a"))

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights a little towards the trained ones; early on faster, as usual."""
        decay = self.settings.cross.ema
        assert decay is not None
        step = self.scheduler.last_epoch
        decay = min(decay, (1 + step) / (10 + step))
        for name, average in self.network.items():
            if name.startswith(AVERAGE):
                trained = self.network[name.removeprefix(AVERAGE)]
                torch._foreach_lerp_(list(average.parameters()), list(trained.parameters()), 1 - decay)


def predicted(network: nn.Module, images: Tensor) -> Tensor:
    """Logits of a batch; on a CPU a batch of one goes through as two copies, of which one counts.

    PyTorch takes its slow convolution for a small batch of one: for 100,000 voxels two copies cost 0.4 of it.
    """
    if images.device.type != "cpu" or len(images) > 1:
        logits: Tensor = network(images)
        return logits
    doubled: Tensor = network(images.expand(2, -1, -1, -1, -1))
    return doubled[:1]


def one_hot(labels: Tensor, organs: int) -> Tensor:
    """[N, Z, Y, X] of channel numbers from 1 on -> float32 [N, organs, Z, Y, X] without the background."""
    channels = torch.arange(1, organs + 1, device=labels.device, dtype=labels.dtype)
    return (labels[:, None] == channels[:, None, None, None]).float()


def ramp(step: int, steps: int) -> float:
    """Factor of the pseudo-supervised loss after ``step`` updates: exp(-5 (1 - t)^2), 1 from ``steps`` on.

    Source: Laine and Aila, Temporal Ensembling, ICLR 2017.
    """
    if step >= steps:
        return 1.0
    return math.exp(-RAMP_STEEPNESS * (1 - step / steps) ** 2)


def build_optimiser(
    network: nn.Module, settings: OptimiserSettings, images: int = 1
) -> torch.optim.Optimizer:
    """One optimiser for both networks, which makes the steps of two: it treats each weight by itself.

    Args:
        network: its trainable weights.
        settings: of the run.
        images: labelled ones of an update, of all processes.
    """
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    rate = settings.learning_rate
    if settings.schedule == "released" and rate > images * RATE_PER_IMAGE:
        rate *= images
    if settings.name == "sgd":
        return torch.optim.SGD(trained, rate, settings.momentum, weight_decay=settings.weight_decay)
    return torch.optim.Adam(trained, rate, settings.betas, weight_decay=settings.weight_decay)


def build_scheduler(
    optimiser: torch.optim.Optimizer, settings: OptimiserSettings
) -> torch.optim.lr_scheduler.LRScheduler:
    """The released steps, or a short warm-up and a cosine to zero."""
    factor = _cosine if settings.schedule == "cosine" else _released
    return torch.optim.lr_scheduler.LambdaLR(optimiser, partial(factor, settings=settings))


def released_factor(epoch: int, epochs: int) -> float:
    """Factor of the learning rate in an epoch of the released schedule, which has epochs 0 to ``epochs``."""
    return next(
        (factor for share, factor in RELEASED_SHARES if epoch <= share * epochs), RELEASED_SHARES[-1][1]
    )


def _released(step: int, settings: OptimiserSettings) -> float:
    return released_factor(step // settings.steps_per_epoch, settings.epochs)


def _cosine(step: int, settings: OptimiserSettings) -> float:
    """Linear over the first twentieth, then half a cosine."""
    total = settings.epochs * settings.steps_per_epoch
    warm = max(1, total // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
