"""One update of the weights: from the samples of one or several processes to a step of the optimiser."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from SegToolkitLib.training.distributed import Group
from SegToolkitLib.training.precision import autocast, scales
from SegToolkitLib.training.progress import Taken
from SegToolkitLib.training.task import StepResult, Task

if TYPE_CHECKING:
    from torch.nn.parallel import DistributedDataParallel

    from SegToolkitLib.training.options import LoopOptions


class Updater:
    """Takes samples and updates the task's network.

    The gradient is the mean over all that contributed, in every micro-batch of every process: so two
    processes make the update that one process makes of twice the samples.

    Args:
        task: whose network lies on ``device`` and is restored already.
        options: accumulation, clipping and precision.
        device: of this process.
        group: of processes that train together.
    """

    def __init__(self, task: Task, options: LoopOptions, device: torch.device, group: Group) -> None:
        self.scaler = torch.amp.GradScaler(device.type, enabled=scales(device, options.precision))
        self._task, self._options, self._device, self._group = task, options, device, group
        self._parts = options.accumulate * group.world
        self._forward = _Forward(task)
        self._shared = _shared(self._forward, device) if group.world > 1 else None

    def update(self, samples: Iterator[Any]) -> tuple[list[Taken], bool]:
        """Take this process's samples of one step; return what became of everybody's, and whether the
        weights were updated.

        They are not where nothing contributed or a loss is not finite; with gradient scaling, the
        running statistics are then put back as well.
        """
        self._task.optimiser.zero_grad(set_to_none=True)
        buffers = [b.clone() for b in self._task.network.buffers()] if self.scaler.is_enabled() else []
        own = [
            self._take(next(samples), last=index == self._options.accumulate - 1)
            for index in range(self._options.accumulate)
        ]
        # In the order in which one process would have taken them.
        everyone = [one for together in zip(*self._group.gather(own), strict=True) for one in together]
        weight = sum(one.weight for one in everyone)
        if not all(one.finite for one in everyone):
            for buffer, kept in zip(self._task.network.buffers(), buffers, strict=bool(buffers)):
                buffer.data.copy_(kept)
            if not self.scaler.is_enabled():
                return everyone, False
        return everyone, bool(weight) and self._step(weight)

    def _take(self, sample: Any, last: bool) -> Taken:
        wait = contextlib.nullcontext() if last or self._shared is None else self._shared.no_sync()
        with wait:
            with autocast(self._device, self._options.precision):
                loss = (self._shared or self._forward)(sample)
            result = self._forward.result
            # A lone sample needs no weight, which would change its last digits.
            weight = 0 if result.loss is None else max(1, result.samples - result.skipped)
            if loss is not None:
                factor = weight if self._parts > 1 and weight > 1 else 1
                self.scaler.scale(loss * factor if factor > 1 else loss).backward()
        number = 0.0 if result.loss is None else float(result.loss.detach())
        return Taken(
            weight,
            math.isfinite(number),
            number,
            result.values,
            result.samples,
            result.skipped,
            result.reason,
        )

    def _step(self, weight: int) -> bool:
        """A step of the optimiser, unless the scaler leaves it out."""
        optimiser = self._task.optimiser
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        if self._parts > 1 and weight != self._group.world:
            # The processes' gradients were averaged, those of the micro-batches added.
            gradients = [p.grad for p in parameters if p.grad is not None]
            torch._foreach_mul_(gradients, self._group.world / weight)
        if self._options.clip_gradient is not None:
            self.scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(parameters, self._options.clip_gradient)
        self.scaler.step(optimiser)
        scale = self.scaler.get_scale()
        self.scaler.update()
        if self.scaler.get_scale() < scale:  # the gradients had no finite values: the optimiser stood still
            return False
        self._task.scheduler.step()
        return True


class _Forward(nn.Module):
    """The task's step as a module's forward pass, which is what DistributedDataParallel can wrap."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.network = task.network
        self.task = task
        self.distributed = False
        self.result = StepResult(None, {})

    def forward(self, sample: Any) -> Tensor | None:
        self.result = self.task.step(sample)
        if self.result.loss is None and self.distributed:
            # The other processes wait for this one's gradients; these are zero.
            trained = [p for p in self.network.parameters() if p.requires_grad]
            return torch.stack([p.sum() * 0 for p in trained]).sum()
        return self.result.loss


def _shared(forward: _Forward, device: torch.device) -> DistributedDataParallel:
    from torch.nn.parallel import DistributedDataParallel

    forward.distributed = True
    # A method may leave parameters out of a step, which must not make the others wait for ever.
    return DistributedDataParallel(forward, find_unused_parameters=True)
