"""What the process of a job does: take the folder, wait for the device, train, and say how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs import waiting
from SegToolkitLib.jobs.devices import Device
from SegToolkitLib.jobs.event_file import newest_first
from SegToolkitLib.jobs.job_file import read_job, train_arguments
from SegToolkitLib.jobs.queue import DeviceQueue, Entry, refuse_too_large
from SegToolkitLib.jobs.status import ENDS, STOP_FILE, TAIL_BYTES, status
from SegToolkitLib.training.alive import Owner, holding, owner
from SegToolkitLib.training.run_folder import RunFolder

LOOK_SECONDS = 0.5

# Runs ``segtoolkit`` with these arguments in this process.
Train = Callable[[list[str]], object]
Resolve = Callable[[str], Device]


def run_job(
    folder: Path,
    train: Train,
    resolve: Resolve,
    told: Callable[[Exception], SegToolkitError],
    seen: int | None = None,
) -> None:
    """Run the job in ``folder`` to its end; returns early where it was asked to stop while it waited.

    Args:
        folder: of the run.
        train: starts or resumes the training, in this process; may load torch, which nothing before it does.
        resolve: finds the device that job.json asks for.
        told: turns any failure into a sentence.
        seen: bytes of events.jsonl when the run was started; None where that is not known.

    Raises:
        SegToolkitError: "run-busy", "no-run", or what ended the training; the run's last event says so too.
    """
    folder = folder.resolve()
    read_job(folder)  # before the lock would make a folder
    if status(folder).state == "finished":
        raise SegToolkitError("run-finished", f"{folder.name} is finished.", "Clone it to train again.")
    with holding(folder):
        own = owner(folder)
        assert own is not None
        _refuse_what_was_done_meanwhile(folder, own, seen)
        try:
            job = read_job(folder)
            asked = job.device if job else status(folder).device
            device = resolve(asked or "auto")
            name, memory = (job.name, job.memory_mb) if job else (folder.name, None)
            refuse_too_large(name, memory, device)
            entry = Entry(str(folder), name, own.pid, memory)
            queue = DeviceQueue(device.name)
            try:
                if _wait(folder, queue, entry, device, own):
                    train(train_arguments(folder, device.name))
            finally:
                queue.leave(folder)
        except Exception as error:
            sentence = told(error)
            _tell_error(folder, own, sentence)
            raise sentence from error


def _refuse_what_was_done_meanwhile(folder: Path, own: Owner, seen: int | None) -> None:
    """Two may start a run at once, and this process may have come so late that the other's has ended."""
    if seen is not None and own.events != seen:
        raise SegToolkitError(
            "run-busy",
            f"{folder.name} was started by another process meanwhile.",
            "Look at what it is doing.",
        )


def _wait(folder: Path, queue: DeviceQueue, entry: Entry, device: Device, own: Owner) -> bool:
    """Wait for the turn; False where the job was asked to stop instead."""
    queue.enter(entry)
    said: str | None = None
    try:
        while (reason := queue.ask(entry, device)) is not None:
            if reason != said:
                waiting.tell(folder, own, waiting.Waiting(device.name, reason))
                said = reason
            if (folder / STOP_FILE).exists():
                (folder / STOP_FILE).unlink(missing_ok=True)
                _event(folder, "stopped", step=status(folder).step or 0)
                return False
            if not folder.is_dir():
                return False  # somebody removed it: there is nothing to wait for
            time.sleep(LOOK_SECONDS)
        return True
    finally:
        waiting.end(folder)


def _tell_error(folder: Path, own: Owner, error: SegToolkitError) -> None:
    """Let the run's events end with the error, unless the training saw to that itself."""
    for offset, event in newest_first(folder, TAIL_BYTES):
        if offset >= own.events and event["t"] in ENDS:
            return
        break
    _event(folder, "error", code=error.code, text=error.message, hint=error.hint)


def _event(folder: Path, kind: str, **fields: object) -> None:
    if folder.is_dir():
        RunFolder(folder).event(kind, **fields)
