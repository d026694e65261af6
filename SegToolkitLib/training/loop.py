"""The training loop: steps, validations, checkpoints, events, stop and resume; the same for every method."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from SegToolkitLib import heap
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.training.board import Board
from SegToolkitLib.training.checkpoint import (
    latest_checkpoint,
    random_state,
    restore_random_state,
    save_best,
    save_checkpoint,
    save_milestone,
    sweep,
)
from SegToolkitLib.training.distributed import ALONE, Group
from SegToolkitLib.training.options import LoopOptions as LoopOptions
from SegToolkitLib.training.precision import autocast as autocast
from SegToolkitLib.training.progress import Progress, Taken
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.task import Milestones, Pictures, StepResult, Task, Validates, ValidatesBetween
from SegToolkitLib.training.update import Updater
from SegToolkitLib.training.validation import Judge, evaluating

__all__ = ["Ending", "Loop", "LoopOptions", "StepResult", "Task", "autocast", "train"]

NOT_FINITE_IN_A_ROW = 10


@dataclass(frozen=True)
class Ending:
    """How a training ended.

    Attributes:
        step: finished steps.
        finished: the result can be made; False where the run is to go on later.
        early: it is finished before its last step.
    """

    step: int
    finished: bool
    early: bool = False


def train(task: Task, run: RunFolder, options: LoopOptions, device: torch.device, reporter: Reporter) -> bool:
    """Train in this process alone; see :class:`Loop`. Returns whether the run is finished."""
    return Loop(task, run, options, device, reporter).train().finished


class Loop:
    """Trains until the last step, until patience ends, or until a file ``stop`` lies in the run folder.

    A run that has checkpoints goes on from the newest one, with the losses it would have had. Of several
    processes, the leader writes; all take the same decisions, because all know everybody's samples.

    Args:
        task: what is trained.
        run: its folder.
        options: length, cadence and precision.
        device: where to train.
        reporter: hears of progress.
        group: of processes that train together.
    """

    def __init__(
        self,
        task: Task,
        run: RunFolder,
        options: LoopOptions,
        device: torch.device,
        reporter: Reporter,
        group: Group = ALONE,
    ) -> None:
        self._task, self._run, self._options, self._device = task, run, options, device
        self._reporter, self._group = reporter, group
        self._progress, self._judge = Progress(), Judge()
        self._not_finite = 0
        self._state: dict[str, Any] | None = None

    def train(self) -> Ending:
        """Train, or go on training.

        Raises:
            SegToolkitError: too many samples gave no loss, no update was made, the loss is not finite, or
                writing failed.
        """
        first = self._restore()
        self._updater = Updater(self._task, self._options, self._device, self._group)
        self._restore_scaler()
        self._board = Board(self._board_folder(), first)
        try:
            # On a CPU a step's tensors come and go in memory that would be cleared anew each time.
            with heap.kept() if self._device.type == "cpu" else contextlib.nullcontext():
                return self._train(first)
        finally:
            self._board.close()

    def _train(self, first: int) -> Ending:
        options, total = self._options, self._options.steps
        self._task.network.train()
        device, world = str(self._device), self._group.world
        self._run.event("start", step=first, total=total, device=device, world=world)
        self._run.log(f"{'Resumed' if first else 'Started'} at step {first} of {total} on {self._device}")
        impatient = self._judge.is_out_of_patience(options.patience)
        samples = _fetched(iter(self._task.samples(self._numbers(first))))
        started = time.monotonic()
        for step in range(first, first if impatient else total):
            taken, updated = self._updater.update(samples)
            self._check_finite(taken, step)
            self._progress.updates += updated
            self._progress.add(taken)
            done, last = step + 1, step + 1 == total
            self._progress.check_skips(options.max_skip_share, _reason(taken), step, last=last)
            shown: dict[str, Any] = {}
            if done % options.log_every == 0 or last:
                shown = self._log(done, (time.monotonic() - started) / (done - first))
            self._reporter.progress("training", done, total, **shown)
            if options.validate_every and (last or self._is_due(done)):
                self._validate(done)
            order = self._group.share(self._run.asked_to_stop() if self._group.leader else None)
            impatient = self._judge.is_out_of_patience(options.patience) and not last
            if done % options.snapshot_every == 0 or last or order or impatient:
                self._save(done)
            self._keep(done, ends=last or order == "finish" or impatient)
            if order == "stop" and not last and not impatient:
                return self._stopped(done)
            if order or impatient:
                return self._finished(done, early=not last)
        return self._finished(first if impatient else total, early=impatient)

    def _is_due(self, done: int) -> bool:
        between = isinstance(self._task, ValidatesBetween) and self._task.validates_after(done)
        return between or done % self._options.validate_every == 0

    def _numbers(self, first: int) -> Sequence[int]:
        """Numbers of this process's samples: disjoint from the other processes', and no gaps between."""
        world, each = self._group.world, self._options.accumulate
        start, stop = (step * each * world for step in (first, self._options.steps))
        return range(start + self._group.rank, stop, world)

    def _stopped(self, step: int) -> Ending:
        text = f"Stopped as asked after step {step}; resume to go on."
        if self._group.leader:
            self._run.stop_file.unlink(missing_ok=True)
        self._run.event("stopped", step=step)
        self._run.log(text)
        self._reporter.info(text)
        return Ending(step, finished=False)

    def _finished(self, step: int, early: bool) -> Ending:
        self._progress.check_updates()
        self._run.log(f"Finished after step {step}" + (" (early)" if early else ""))
        return Ending(step, finished=True, early=early)

    def _check_finite(self, taken: Sequence[Taken], step: int) -> None:
        """float16 overflows now and then, which the scaler mends; more than that is a failure."""
        if not any(one.weight for one in taken):
            return
        broken = [one.loss for one in taken if not one.finite]
        self._not_finite = self._not_finite + 1 if broken else 0
        if self._not_finite > (NOT_FINITE_IN_A_ROW if self._updater.scaler.is_enabled() else 0):
            raise SegToolkitError(
                "loss-not-finite",
                f"The loss became {broken[0]} at step {step}.",
                "Lower the learning rate (optimiser.learning_rate) or train in float32 (precision=float32).",
            )

    def _log(self, done: int, seconds: float) -> dict[str, Any]:
        shown = {**self._progress.means(), "skipped": self._progress.skipped}
        self._run.log(f"Step {done}: " + ", ".join(f"{name} {value:.5g}" for name, value in shown.items()))
        rate = self._task.optimiser.param_groups[0]["lr"]
        self._run.event(
            "metric",
            step=done,
            **shown,
            samples=self._progress.samples,
            learning_rate=rate,
            seconds_per_step=seconds,
        )
        self._board.add("training", {**shown, "learning_rate": rate}, done)
        return shown

    def _validate(self, done: int) -> None:
        """Validate on the leader; the others wait for what it found."""
        if not isinstance(self._task, Validates):
            return
        values, pictures = self._group.first(lambda: self._validation(done))
        if not values:
            return
        best = False
        if self._options.metric is not None:
            name, mode = self._options.metric
            best = self._judge.take(values.get(name), mode, done)
        # First the weights, then the word that they are the best.
        if best:
            state = self._everything()
            if self._group.leader:
                save_best(self._run.checkpoints, done, state)
        self._run.event("validation", step=done, **values, best=best, pictures=pictures)
        told = ", ".join(f"{name} {value:.5g}" for name, value in values.items())
        self._run.log(f"Validation after step {done}: {told}" + (" (best)" if best else ""))
        self._board.add("validation", values, done)
        for name, value in values.items():
            self._reporter.metric(name, value, step=done, validation=True, best=best)

    def _validation(self, done: int) -> tuple[dict[str, float], list[str]]:
        task = self._task
        assert isinstance(task, Validates)
        with evaluating(task.network), autocast(self._device, self._options.precision):
            values = {name: float(value) for name, value in task.validate().items()}
            files = []
            if isinstance(task, Pictures):
                self._run.pictures.mkdir(parents=True, exist_ok=True)
                files = task.pictures(self._run.pictures, done)
        return values, [file.relative_to(self._run.path).as_posix() for file in files]

    def _save(self, done: int) -> None:
        state = self._everything()
        if self._group.leader:
            path = save_checkpoint(self._run.checkpoints, done, state, self._options.keep_checkpoints)
            self._run.event("checkpoint", step=done, file=path.name)

    def _keep(self, done: int, ends: bool) -> None:
        """Keep the network for good where the task asks for it, and as it is at the end."""
        task = self._task
        wanted = task.milestones if isinstance(task, Milestones) else ()
        if wanted and (done in wanted or ends) and self._group.leader:
            state = {"network": task.network.state_dict(), "extra": task.extra_state()}
            path = save_milestone(self._run.checkpoints, done, state)
            self._run.event("milestone", step=done, file=path.name)

    def _everything(self) -> dict[str, Any]:
        """All that the run needs to go on; every process contributes its random states."""
        states = self._group.gather(random_state())
        return {
            "network": self._task.network.state_dict(),
            "optimiser": self._task.optimiser.state_dict(),
            "scheduler": self._task.scheduler.state_dict(),
            "scaler": self._updater.scaler.state_dict(),
            "progress": asdict(self._progress),
            "judge": asdict(self._judge),
            "extra": self._task.extra_state(),
            "random": states[0],
            "others": states[1:],
        }

    def _restore(self) -> int:
        """Load the newest checkpoint, if there is one; return the step to go on from."""
        if self._group.leader:
            sweep(self._run.checkpoints)
        self._task.network.to(self._device)
        self._state = state = latest_checkpoint(self._run.checkpoints)
        # Nobody may write a newer one before all have read this one.
        steps = self._group.gather(None if state is None else int(state["step"]))
        if state is None:
            return 0
        if set(steps) != {state["step"]}:
            raise SegToolkitError(
                "checkpoints-differ",
                f"The processes see different checkpoints (steps {steps}).",
                "The run folder must be one that every machine shares.",
            )
        self._task.network.load_state_dict(state["network"])
        self._task.optimiser.load_state_dict(state["optimiser"])
        self._task.scheduler.load_state_dict(state["scheduler"])
        self._task.load_extra_state(state.get("extra", {}))
        self._judge = Judge(**state.get("judge", {}))
        # Checkpoints from before updates were counted.
        self._progress = Progress(**{"updates": int(state["step"]), **state["progress"]})
        return int(state["step"])

    def _restore_scaler(self) -> None:
        """What has to wait until the other processes are joined: the scaler, and the random states."""
        state, self._state = self._state, None
        if state is None:
            return
        if state["scaler"]:  # empty where the run had none, on another device
            self._updater.scaler.load_state_dict(state["scaler"])
        states = [state["random"], *state.get("others", [])]
        with contextlib.suppress(IndexError):  # there are more processes than before
            restore_random_state(states[self._group.rank])

    def _board_folder(self) -> Any:
        wanted = self._options.tensorboard and self._group.leader
        return self._run.path / "tensorboard" if wanted else None


def _fetched(samples: Iterator[Any]) -> Iterator[Any]:
    """The samples, the first of them fetched: loaders draw a seed then, which must not change what a
    resumed run draws."""
    states = random_state()
    head = list(itertools.islice(samples, 1))
    restore_random_state(states)
    return itertools.chain(head, samples)


def _reason(taken: Sequence[Taken]) -> str:
    return next(itertools.chain((one.reason for one in taken if one.skipped), [""]))
