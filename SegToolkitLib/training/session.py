"""A training run of any method, from its settings to the model folder in its result."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.training.alive import holding
from SegToolkitLib.training.distributed import Group
from SegToolkitLib.training.method import Context, Prepared, TrainingMethod
from SegToolkitLib.training.reporting import LoggedReporter, StopAskedError
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.settings import TrainingSettings
from SegToolkitLib.training.start import Start, described, stored_settings, stored_start

if TYPE_CHECKING:
    import torch

    from SegToolkitLib.training.loop import Ending
    from SegToolkitLib.training.task import Task

Resume = Literal["no", "must", "may"]


def run_training(
    method: TrainingMethod,
    folder: Path,
    settings: TrainingSettings | None,
    start: Start,
    device: torch.device | str,
    reporter: Reporter,
    resume: Resume = "no",
) -> Path | None:
    """Train, or go on training, and write the model to ``<folder>/result/model``.

    Args:
        method: what is trained.
        folder: run folder.
        settings: of a new run (None: the method's defaults); a resumed run keeps those it was started
            with and refuses others.
        start: data and further inputs; a resumed run keeps its own but for places that are given.
        device: where to train; the name of a device is looked up once the run has begun.
        reporter: hears of progress.
        resume: "must" goes on with the run in ``folder``, "may" does where there is one. Under torchrun
            a restarted process always may.

    Returns:
        The model folder, or None where the run was asked to stop, and for all processes but the first.

    Raises:
        SegToolkitError: "run-exists", "no-run", "run-busy" (another process works on it),
            "settings-fixed" where a resumed run is given other settings, and what reading, training
            and writing raise.
    """
    group = Group.from_environment()
    run = RunFolder(folder, writes=group.leader)
    if group.restarts:
        resume = "may"
    if resume == "must":
        RunFolder.open(folder)
    elif resume == "no" and group.leader:
        run.refuse_existing()
    session = _Session(method, run, settings, start, resume, group, reporter if group.leader else Reporter())
    with ExitStack() as stack:
        if group.leader:
            stack.enter_context(holding(folder))
        try:
            return session.go(device, stack)
        except SegToolkitError as error:
            _write_down(run, error)
            raise
        except BaseException as error:
            with suppress(SegToolkitError):
                run.log(f"Ended by {type(error).__name__}: {error}")
                if isinstance(error, Exception):
                    text = f"SegToolkit failed unexpectedly ({type(error).__name__}: {error})."
                    run.event("error", code=_code(error), text=text, hint="Look into the log.")
            raise


def _write_down(run: RunFolder, error: SegToolkitError) -> None:
    with suppress(SegToolkitError):  # on a full disk there is no room for this either
        run.log(f"Error: {error.message} {error.hint}".rstrip())
        run.event("error", code=error.code, text=error.message, hint=error.hint)


def _code(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "out-of-memory"
    return "out-of-gpu-memory" if type(error).__name__ == "OutOfMemoryError" else "internal"


@dataclass
class _Session:
    method: TrainingMethod
    run: RunFolder
    settings: TrainingSettings | None
    start: Start
    resume: Resume
    group: Group
    reporter: Reporter

    def go(self, device: torch.device | str, stack: ExitStack) -> Path | None:
        run, group = self.run, self.group
        run.forget_old_stop()
        # Before PyTorch is imported, which takes seconds: whoever watches sees that the run lives.
        run.event("progress", phase="starting", step=0, total=1)
        device = self._device(device)
        stack.enter_context(group.joined(device))
        reporter = LoggedReporter(run, self.reporter, stoppable=group.leader)
        try:
            settings, start, resumed = group.first(self._begin)
            context = self._context(settings, start, device, reporter, resumed)
            prepared = self._prepared(context)
        except StopAskedError:
            self._stopped_before_training()
            return None
        reporter.stoppable = False
        if group.leader:
            self._keep_data(prepared)
        ending = self._train(prepared.task, context)
        if not ending.finished or not group.leader:
            return None
        if settings.use_best:
            self._take_best(prepared.task)
        model = self.method.finish(context, prepared.task)
        run.event("finished", step=ending.step, early=ending.early, model=_within(model, run.path))
        with suppress(OSError):
            run.stop_file.unlink(missing_ok=True)
        return model

    def _device(self, device: torch.device | str) -> torch.device:
        from SegToolkitLib.device import choose_device

        found = choose_device(device) if isinstance(device, str) else device
        return self.group.device(found)

    def _begin(self) -> tuple[TrainingSettings, Start, bool]:
        """Settle what the run is, and write it into the folder of a new one."""
        from SegToolkitLib.training.checkpoint import checkpoints

        resumed = self.resume == "must" or (self.resume == "may" and self.run.settings_file.exists())
        if resumed:
            settings = stored_settings(self.run, self.settings, self.method)
            begun = bool(checkpoints(self.run.checkpoints))
            return settings, stored_start(self.run, self.start, self.method, begun), True
        settings = self.settings or self.method.settings()
        if self.method.needs_dataset and self.start.dataset is None:
            raise _no_dataset()
        RunFolder.create(
            self.run.path,
            self.method.name,
            settings.model_dump(mode="json"),
            None,
            described(self.start, self.method),
            settings.total_steps,
        )
        return settings, self.start, False

    def _context(
        self,
        settings: TrainingSettings,
        start: Start,
        device: torch.device,
        reporter: Reporter,
        resumed: bool,
    ) -> Context:
        if self.method.needs_dataset and start.dataset is None:
            raise _no_dataset()
        return Context(
            run=self.run,
            settings=settings,
            dataset=Dataset.open(start.dataset, start.data) if start.dataset is not None else None,
            places=dict(start.places),
            name=start.name or self.run.path.resolve().name,
            command=start.command,
            device=device,
            reporter=reporter,
            resume=resumed,
            group=self.group,
        )

    def _prepared(self, context: Context) -> Prepared:
        """The leader makes what is missing (superpixels, caches); then the others find it made."""
        import torch

        stopped = False
        made: Prepared | None = None

        def prepare() -> bool:
            nonlocal made, stopped
            try:
                made = self.method.prepare(context)
                self._check_same_data(made.fingerprint)
            except StopAskedError:
                stopped = True
            return stopped

        if self.group.first(prepare):
            raise StopAskedError
        prepared = made or self.method.prepare(context)
        seed_everything(context.settings.seed + self.group.rank)
        if context.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
        return prepared

    def _check_same_data(self, fingerprint: dict[str, Any]) -> None:
        earlier = self.run.settings().get("data")
        if earlier and earlier.get("sha256", earlier) != fingerprint.get("sha256", fingerprint):
            raise SegToolkitError(
                "data-changed",
                f"The volumes differ from those that the run {self.run.path} was started with.",
                "Restore them, or start a new run.",
            )

    def _keep_data(self, prepared: Prepared) -> None:
        if self.run.settings().get("data") is None:
            self.run.keep_data(prepared.fingerprint)

    def _train(self, task: Task, context: Context) -> Ending:
        from SegToolkitLib.training.loop import Loop
        from SegToolkitLib.training.options import LoopOptions

        options = LoopOptions.of(context.settings, self.method.metric)
        return Loop(task, self.run, options, context.device, context.reporter, self.group).train()

    def _take_best(self, task: Task) -> None:
        from SegToolkitLib.training.checkpoint import best_checkpoint

        best = best_checkpoint(self.run.checkpoints)
        if best is None:
            return
        task.network.load_state_dict(best["network"])
        task.load_extra_state(best["extra"])
        self.run.log(f"The result takes the weights of step {best['step']}, the best validation")

    def _stopped_before_training(self) -> None:
        from SegToolkitLib.training.checkpoint import checkpoints

        if self.group.leader:
            self.run.stop_file.unlink(missing_ok=True)
        text = "Stopped as asked before the training began; resume to go on."
        reached = checkpoints(self.run.checkpoints)
        self.run.event("stopped", step=int(reached[-1].stem) if reached else 0)
        self.run.log(text)
        self.reporter.info(text)


def seed_everything(seed: int) -> None:
    """Seed the global generators of torch, numpy and Python; samples have generators of their own."""
    import random

    import numpy as np
    import torch

    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (the global state that other libraries use)
    random.seed(seed)


def _no_dataset() -> SegToolkitError:
    return SegToolkitError(
        "no-dataset", "No data set is given, and the run does not name one.", "Give --dataset."
    )


def _within(path: Path, folder: Path) -> str:
    """The path from the run folder, so that the folder can be moved."""
    with suppress(ValueError):
        return path.relative_to(folder).as_posix()
    return str(path)
