"""Network, samples and steps of the toy."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from SegToolkitLib.atomic import replacing
from SegToolkitLib.training.distributed import ALONE, Group
from SegToolkitLib.training.task import StepResult

from .settings import ToySettings

# "RANK:NUMBER": that process dies on its sample of that number, unless torchrun has restarted it.
DIE = "TOY_DIES"


class ToyTask:
    """Finds bright discs in noise."""

    def __init__(self, settings: ToySettings, device: torch.device, group: Group = ALONE) -> None:
        generator = torch.Generator().manual_seed(settings.seed)
        self.settings, self.device, self.group = settings, device, group
        self.network = nn.Sequential(
            nn.Conv2d(1, settings.channels, 3, padding=1),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Conv2d(settings.channels, 1, 3, padding=1),
        )
        for parameter in self.network.parameters():
            parameter.data.copy_((torch.rand(parameter.shape, generator=generator) - 0.5) * 0.4)
        self.network.to(device)
        self.optimiser = torch.optim.SGD(self.network.parameters(), settings.learning_rate, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, settings.steps)
        self.seen = 0

    def samples(self, numbers: Sequence[int]) -> Iterator[tuple[int, Tensor, Tensor]]:
        for number in numbers:
            pairs = [self._draw(number * self.settings.batch + n) for n in range(self.settings.batch)]
            yield number, torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])

    def step(self, sample: tuple[int, Tensor, Tensor]) -> StepResult:
        number, pictures, masks = sample
        if os.environ.get(DIE) == f"{self.group.rank}:{number}" and not self.group.restarts:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.settings.delay:
            time.sleep(self.settings.delay)
        if number in self.settings.skip:
            return StepResult(None, {}, 1, 1, "the settings say so")
        self.seen += 1
        scores = self.network(pictures.to(self.device))
        loss = F.binary_cross_entropy_with_logits(scores, masks.to(self.device))
        return StepResult(loss, {"loss": float(loss.detach())})

    def validate(self) -> dict[str, float]:
        torch.rand(7)  # a method may draw here; the training must not notice
        pictures, masks = self._fixed()
        scores = self.network(pictures.to(self.device)).cpu()
        loss = float(F.binary_cross_entropy_with_logits(scores, masks))
        found = scores.sigmoid()  # soft, so that it moves from the first step
        dice = float(2 * (found * masks).sum() / (found.sum() + masks.sum()).clamp(min=1))
        if self.settings.peak is not None:
            dice = 1 - abs(self.scheduler.last_epoch - self.settings.peak) / self.settings.steps
        return {"dice": dice, "loss": loss}

    def pictures(self, folder: Path, step: int) -> list[Path]:
        pictures, masks = self._fixed()
        with torch.no_grad():
            found = (self.network(pictures.to(self.device)).cpu() > 0).float()
        grey = ((pictures - pictures.min()) / (pictures.max() - pictures.min())).repeat(1, 3, 1, 1)
        grey[:, 0] = torch.maximum(grey[:, 0], masks[:, 0])
        grey[:, 1] = torch.maximum(grey[:, 1], found[:, 0])
        row = np.concatenate([(one.permute(1, 2, 0) * 255).byte().numpy() for one in grey], axis=1)
        path = folder / f"{step:08d}.png"
        with replacing(path) as temporary:
            Image.fromarray(row).resize((row.shape[1] * 4, row.shape[0] * 4)).save(temporary)
        return [path]

    def extra_state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.seen = state.get("seen", 0)

    def _fixed(self) -> tuple[Tensor, Tensor]:
        pairs = [self._draw(10**9 + n) for n in range(4)]
        return torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])

    def _draw(self, number: int) -> tuple[Tensor, Tensor]:
        """A disc in noise: picture and mask [1, size, size], from seed and number alone."""
        rng = np.random.default_rng([self.settings.seed, number])
        size = self.settings.size
        row, column = rng.uniform(0.3 * size, 0.7 * size, 2)
        y, x = np.mgrid[:size, :size]
        mask = np.hypot(y - row, x - column) < rng.uniform(0.15, 0.3) * size
        picture = mask + rng.normal(0, 0.3, mask.shape)
        return (
            torch.from_numpy(picture.astype(np.float32))[None],
            torch.from_numpy(mask.astype(np.float32))[None],
        )
