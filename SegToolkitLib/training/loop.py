"""The training loop: steps, mixed precision, checkpoints, events, skipped samples, stop and resume."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.training.checkpoint import latest_checkpoint, restore_random_state, save_checkpoint
from SegToolkitLib.training.run_folder import RunFolder

SKIP_WINDOW = 100
NOT_FINITE_IN_A_ROW = 10


@dataclass(frozen=True)
class StepResult:
    """What a method makes of one step's sample.

    Attributes:
        loss: scalar to be minimised, or None where every sample of the step was skipped.
        values: named numbers to log (their means are).
        samples: samples of the step.
        skipped: those of them that gave no loss.
        reason: why they were skipped.
    """

    loss: Tensor | None
    values: dict[str, float]
    samples: int = 1
    skipped: int = 0
    reason: str = ""


class Task(Protocol):
    """What a method brings to the loop."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""
        ...

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Its optimiser."""
        ...

    @property
    def scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        """Stepped after every update."""
        ...

    def samples(self, first: int, last: int) -> Iterator[Any]:
        """Samples of steps ``first`` to ``last - 1``; they depend on the step alone."""
        ...

    def step(self, sample: Any) -> StepResult:
        """Forward pass and losses of one step."""
        ...

    def extra_state(self) -> dict[str, Any]:
        """What checkpoints keep besides the states of network, optimiser and scheduler."""
        ...

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`extra_state`."""
        ...


@dataclass
class Progress:
    """Counts that a resumed run needs to log what an uninterrupted one would have logged."""

    skipped: int = 0
    samples: int = 0
    updates: int = 0
    values: list[dict[str, float]] = field(default_factory=list)
    recent_skips: list[list[int]] = field(default_factory=list)

    def add(self, result: StepResult) -> None:
        """Take in one step."""
        self.skipped += result.skipped
        self.samples += result.samples
        self.recent_skips = [*self.recent_skips[1 - SKIP_WINDOW :], [result.skipped, result.samples]]
        if result.loss is not None and all(map(math.isfinite, result.values.values())):
            self.values.append(result.values)

    def means(self) -> dict[str, float]:
        """Means of the logged values since the last call."""
        values, self.values = self.values, []
        return {name: sum(v[name] for v in values) / len(values) for name in values[0]} if values else {}

    def check_skips(self, limit: float, reason: str, step: int, last: bool = False) -> None:
        """Stop a run that mostly skips, instead of letting it end with an untrained network."""
        if len(self.recent_skips) < SKIP_WINDOW and not last:
            return
        skipped, samples = (sum(column) for column in zip(*self.recent_skips, strict=True))
        if skipped > limit * samples:
            raise SegToolkitError(
                "too-many-skips",
                f"{skipped} of the last {samples} samples (to step {step}) gave no loss: {reason}.",
                "Look at the preview of the superpixels: they may be too small or too large for the pooling"
                " window, or the patient mask may be wrong.",
            )

    def check_updates(self) -> None:
        """Refuse to call a run finished that changed nothing."""
        if not self.updates:
            raise SegToolkitError(
                "no-update",
                "The run made no update at all, so the network is as untrained as it was.",
                "Take more steps (optimiser.steps), or train in float32 (precision=float32).",
            )


@dataclass(frozen=True)
class LoopOptions:
    """Length, cadence and precision of a run; see the method's settings for their meaning."""

    steps: int
    snapshot_every: int
    log_every: int
    precision: str = "auto"
    max_skip_share: float = 0.2
    keep_checkpoints: int = 2


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Mixed precision for a device; "auto" means float16 or bfloat16 on a GPU and float32 on a CPU."""
    if precision == "auto":
        if device.type != "cuda":
            return contextlib.nullcontext()
        precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


def train(task: Task, run: RunFolder, options: LoopOptions, device: torch.device, reporter: Reporter) -> bool:
    """Train until the last step or until a file named ``stop`` appears in the run folder.

    A run that has checkpoints goes on from the newest one, with the losses it would have had.

    Returns:
        Whether the run is finished (False: it was asked to stop).

    Raises:
        SegToolkitError: too many samples gave no loss, no update was made, the loss is not finite, or
            writing failed.
    """
    scaler = torch.amp.GradScaler(device.type, enabled=_scales(device, options.precision))
    first, progress = _restore(task, run, scaler, device)
    started = time.monotonic()
    task.network.train()
    run.event("start", step=first, total=options.steps, device=str(device))
    run.log(f"{'Resumed' if first else 'Started'} at step {first} of {options.steps} on {device}")
    not_finite = 0
    for step, sample in enumerate(task.samples(first, options.steps), start=first):
        done = step + 1
        # The running statistics must not keep what a float16 forward pass overflowed to.
        buffers = [b.clone() for b in task.network.buffers()] if scaler.is_enabled() else []
        with autocast(device, options.precision):
            result = task.step(sample)
        if result.loss is not None:
            finite = bool(torch.isfinite(result.loss))
            not_finite = 0 if finite else not_finite + 1
            if not_finite > (NOT_FINITE_IN_A_ROW if scaler.is_enabled() else 0):
                raise _not_finite(result.loss, step)
            if not finite:
                for buffer, kept in zip(task.network.buffers(), buffers, strict=True):
                    buffer.data.copy_(kept)
            progress.updates += _update(task, result.loss, scaler)
        progress.add(result)
        progress.check_skips(options.max_skip_share, result.reason, step, last=done == options.steps)
        shown: dict[str, Any] = {}
        if done % options.log_every == 0 or done == options.steps:
            shown = {**progress.means(), "skipped": progress.skipped}
            run.log(f"Step {done}: " + ", ".join(f"{name} {value:.5g}" for name, value in shown.items()))
            run.event(
                "metric",
                step=done,
                **shown,
                samples=progress.samples,
                learning_rate=task.optimiser.param_groups[0]["lr"],
                seconds_per_step=(time.monotonic() - started) / (done - first),
            )
        reporter.progress("training", done, options.steps, **shown)
        stop = run.stop_file.exists()
        if done % options.snapshot_every == 0 or done == options.steps or stop:
            _save(task, run, scaler, progress, done, options.keep_checkpoints)
        if stop and done < options.steps:
            run.stop_file.unlink(missing_ok=True)
            text = f"Stopped as asked after step {done}; resume to go on."
            run.event("stopped", step=done)
            run.log(text)
            reporter.info(text)
            return False
    progress.check_updates()
    run.event("finished", step=options.steps)
    run.log(f"Finished after step {options.steps}")
    return True


def _scales(device: torch.device, precision: str) -> bool:
    """Only float16 has a range so small that gradients need scaling."""
    if precision == "auto":
        return device.type == "cuda" and not torch.cuda.is_bf16_supported()
    return precision == "float16"


def _not_finite(loss: Tensor, step: int) -> SegToolkitError:
    return SegToolkitError(
        "loss-not-finite",
        f"The loss became {loss.item()} at step {step}.",
        "Lower the learning rate (optimiser.learning_rate) or train in float32 (precision=float32).",
    )


def _update(task: Task, loss: Tensor, scaler: torch.amp.GradScaler) -> bool:
    """One step of the optimiser, unless the scaler leaves it out; tell whether there was one."""
    task.optimiser.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.step(task.optimiser)
    scale = scaler.get_scale()
    scaler.update()
    if scaler.get_scale() < scale:  # the gradients had no finite values, so the optimiser stood still
        return False
    task.scheduler.step()
    return True


def _save(
    task: Task, run: RunFolder, scaler: torch.amp.GradScaler, progress: Progress, step: int, keep: int
) -> None:
    state = {
        "network": task.network.state_dict(),
        "optimiser": task.optimiser.state_dict(),
        "scheduler": task.scheduler.state_dict(),
        "scaler": scaler.state_dict(),
        "progress": asdict(progress),
        "extra": task.extra_state(),
    }
    path = save_checkpoint(run.checkpoints, step, state, keep)
    run.event("checkpoint", step=step, file=path.name)


def _restore(
    task: Task, run: RunFolder, scaler: torch.amp.GradScaler, device: torch.device
) -> tuple[int, Progress]:
    """Load the newest checkpoint, if there is one; return the step to go on from, and the counts."""
    task.network.to(device)
    state = latest_checkpoint(run.checkpoints)
    if state is None:
        return 0, Progress()
    task.network.load_state_dict(state["network"])
    task.optimiser.load_state_dict(state["optimiser"])
    task.scheduler.load_state_dict(state["scheduler"])
    if state["scaler"]:  # empty where the run had none, on another device
        scaler.load_state_dict(state["scaler"])
    task.load_extra_state(state.get("extra", {}))
    restore_random_state(state["random"])
    # Checkpoints from before updates were counted.
    return int(state["step"]), Progress(**{"updates": int(state["step"]), **state["progress"]})
