"""Training of ALPNet: one step, the optimiser and its schedule.

Source: Ouyang et al., ECCV 2020, section 4.1; released training script.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from SegToolkitLib.methods.alpnet.data import Episode, EpisodeSampler
from SegToolkitLib.methods.alpnet.loss import Pooling, episode_loss
from SegToolkitLib.methods.alpnet.network import ALPNet
from SegToolkitLib.methods.alpnet.prototypes import NoPrototypeError
from SegToolkitLib.methods.alpnet.settings import AlpnetSettings, OptimiserSettings
from SegToolkitLib.methods.alpnet.validation import UPRIGHT, Example, episodes_picture, validate
from SegToolkitLib.training.drawing import drawn
from SegToolkitLib.training.task import StepResult

NO_PROTOTYPE = "no pooling window lies wholly in the background of the support or of the predicted query"


@dataclass(frozen=True)
class _Episodes:
    """The episodes of sample n, for n = 0, 1, 2, ..."""

    sampler: EpisodeSampler
    pairs: int

    def __call__(self, number: int) -> list[Episode]:
        return [self.sampler.draw(number * self.pairs + index) for index in range(self.pairs)]


@dataclass
class AlpnetTask:
    """What the training loop needs to know of ALPNet.

    Args:
        network: on the CPU; the loop moves it.
        sampler: draws the episodes.
        settings: of the run.
        device: where to train.
        held_out: episodes of the validation; none does not validate.
        flips: rows and columns that pictures show reversed.
    """

    network: ALPNet
    sampler: EpisodeSampler
    settings: AlpnetSettings
    device: torch.device
    held_out: Sequence[Episode] = ()
    flips: tuple[bool, bool] = UPRIGHT

    def __post_init__(self) -> None:
        self.network.to(self.device)
        self._memory_format = _memory_format(self.settings, self.device)
        self.network.to(memory_format=self._memory_format)  # type: ignore[call-overload]
        self.optimiser = build_optimiser(self.network, self.settings.optimiser)
        self.scheduler = build_scheduler(self.optimiser, self.settings.optimiser)
        self._examples: list[Example] = []
        self._pooling = Pooling((self.settings.network.train_window,) * 2, self.settings.network.threshold)

    def samples(self, numbers: Sequence[int]) -> Iterator[list[Episode]]:
        """Episodes of the samples of these numbers, drawn ahead by worker processes where there are any."""
        episodes = _Episodes(self.sampler, self.settings.optimiser.pairs_per_step)
        return drawn(episodes, numbers, self.settings.workers)

    def step(self, sample: list[Episode]) -> StepResult:
        """Both losses, averaged over every structure of every pair.

        One encoder pass serves all: the batch statistics of its norms mix supports and queries, as in
        the authors' training.
        """
        pairs = len(sample)
        slices = [episode.support for episode in sample] + [episode.query for episode in sample]
        features = self.network(torch.stack([self._tensor(s) for s in slices])).float()
        segmentation: list[Tensor] = []
        alignment: list[Tensor] = []
        episodes = 0
        with torch.autocast(self.device.type, enabled=False):
            for index, episode in enumerate(sample):
                supports, queries = self._tensor(episode.support_masks), self._tensor(episode.query_masks)
                for structure in range(len(supports)):
                    episodes += 1
                    try:
                        losses = episode_loss(
                            features[pairs + index, None],
                            features[index, None],
                            queries[structure, None],
                            supports[structure, None],
                            self._pooling,
                            self.settings.episodes.background_weight,
                        )
                    except NoPrototypeError:
                        continue
                    segmentation.append(losses.segmentation)
                    alignment.append(losses.alignment)
        skipped = episodes - len(segmentation)
        if not segmentation:
            return StepResult(None, {}, episodes, skipped, NO_PROTOTYPE)
        seg, align = torch.stack(segmentation).mean(), torch.stack(alignment).mean()
        values = {"loss": float(seg.detach()), "alignment_loss": float(align.detach())}
        return StepResult(seg + align, values, episodes, skipped, NO_PROTOTYPE)

    def validate(self) -> dict[str, float]:
        """Mean loss and Dice of fixed superpixel episodes of the held-out scans; empty without any."""
        self._examples = []
        if not self.held_out:
            return {}
        figures, self._examples = validate(
            self.network, self.held_out, self._pooling, self.settings, self.device
        )
        return figures

    def pictures(self, folder: Path, step: int) -> list[Path]:
        """A few of the validation's episodes, with truth and prediction."""
        if not self._examples:
            return []
        return [episodes_picture(self._examples, folder / f"{step:08d}.png", self.flips)]

    def extra_state(self) -> dict[str, Any]:
        """The passengers of the COCO weights, which are no part of the network's own state."""
        return {"passengers": self.network.passengers}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Take the passengers back; a checkpoint from before they were kept has none."""
        self.network.passengers = dict(state.get("passengers", self.network.passengers))

    def _tensor(self, array: object) -> Tensor:
        return torch.as_tensor(array).to(self.device, non_blocking=True)


def build_optimiser(network: ALPNet, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """All parameters in one group, as the authors have it."""
    if settings.name == "sgd":
        return torch.optim.SGD(
            network.parameters(),
            settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    return torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)


def build_scheduler(
    optimiser: torch.optim.Optimizer, settings: OptimiserSettings
) -> torch.optim.lr_scheduler.LRScheduler:
    """The authors' steps (x decay every so many steps), or a short warm-up and a cosine to zero."""
    if settings.schedule == "cosine":
        return torch.optim.lr_scheduler.LambdaLR(optimiser, partial(_warm_cosine, steps=settings.steps))
    milestones = list(range(settings.decay_every, settings.steps, settings.decay_every))
    return torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones, settings.decay)


def _warm_cosine(step: int, steps: int) -> float:
    """Factor of the learning rate: linear over the first tenth, then half a cosine."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _memory_format(settings: AlpnetSettings, device: torch.device) -> torch.memory_format:
    """Channels-last suits tensor cores, and the reduced-precision kernels of CPUs."""
    mixed = settings.precision not in ("auto", "float32")
    return torch.channels_last if device.type == "cuda" or mixed else torch.contiguous_format
