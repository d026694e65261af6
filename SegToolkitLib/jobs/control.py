"""Start, stop, kill, resume, copy, move and delete runs, from any process; the runs do not depend on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from SegToolkitLib import processes
from SegToolkitLib.atomic import write_text
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs.event_file import Event, events, size_of
from SegToolkitLib.jobs.job_file import create, read_job, settings_of
from SegToolkitLib.jobs.queue import DeviceQueue, has_place, not_waiting
from SegToolkitLib.jobs.status import CONSOLE_FILE, ENDS, STOP_FILE, JobStatus, is_run, status
from SegToolkitLib.jobs.waiting import waiting_of
from SegToolkitLib.training.alive import owner
from SegToolkitLib.validation import read_json

LIBRARY = Path(__file__).resolve().parents[2]
# Until the new process has the run; a virus scanner or a network drive may slow Python's start.
START_SECONDS = 60.0
# Until it has its place in a queue; looking for the GPUs can take longer.
PLACE_SECONDS = 3.0
END_SECONDS = 15.0
DELETED = ".deleted-"


def start(folder: Path) -> JobStatus:
    """Start a run, or go on with it, in a process of its own; returns when that process has the run.

    The process waits in the queue of its device where that is in use. It outlives this one.

    Raises:
        SegToolkitError: "no-run", "run-busy", "run-finished", "start-failed", "write-failed".
    """
    folder = folder.resolve()
    _wait_until_left(folder)
    seen = size_of(folder)  # before it is seen that nobody works on it
    found = status(folder)
    if found.alive:
        raise SegToolkitError(
            "run-busy", f"{found.name} is {found.state} already.", "Stop it first, or let it go on."
        )
    if found.state == "finished":
        raise SegToolkitError(
            "run-finished", f"{found.name} is finished.", "Clone it to train again, with other settings."
        )
    read_job(folder)
    try:
        # A request to stop that the last process did not live to see is not meant for this one.
        (folder / STOP_FILE).unlink(missing_ok=True)
        process = processes.detached(
            [sys.executable, "-m", "SegToolkitLib", "jobs", "run", str(folder), "--seen", str(seen)],
            LIBRARY,
            folder / CONSOLE_FILE,
            _environment(),
        )
    except OSError as error:
        raise SegToolkitError(
            "start-failed",
            f"{found.name} could not be started: {error.strerror or error}.",
            "Check that its folder may be written and that the disk is not full.",
        ) from error
    return _wait_until_taken(folder, process)


def resume(folder: Path) -> JobStatus:
    """Go on with a run that was stopped, interrupted or has failed; the same as :func:`start`."""
    return start(folder)


def stop(folder: Path, keep: bool = False) -> JobStatus:
    """Ask a run to finish its step, save and end; a waiting one leaves the queue. Returns at once.

    Args:
        folder: of the run.
        keep: also write the model, from the best weights so far; the run is finished then.

    Raises:
        SegToolkitError: "no-run", "not-running", "write-failed".
    """
    folder = folder.resolve()
    found = status(folder)
    if not found.alive:
        raise _not_running(found)
    write_text(folder / STOP_FILE, "finish" if keep else "")
    if owner(folder) is None:  # it ended meanwhile
        with suppress(OSError):
            (folder / STOP_FILE).unlink(missing_ok=True)
    return status(folder)


def kill(folder: Path) -> JobStatus:
    """End a run's process and its children at once; what came after the last checkpoint is lost.

    Raises:
        SegToolkitError: "no-run", "not-running", "other-host", "kill-failed".
    """
    folder = folder.resolve()
    found = status(folder)
    live = owner(folder)
    if live is None:
        raise _not_running(found)
    if not live.here:
        raise SegToolkitError(
            "other-host",
            f"{found.name} runs on {live.host}.",
            "Kill it there, or ask it to stop, which works from here.",
        )
    try:
        processes.kill(live.pid, live.born)
    except OSError as error:
        raise _kill_failed(found, error.strerror or str(error)) from error

    def is_gone() -> bool:
        # While its threads end, the lock is held by a process that is none any more: pid 0.
        now = owner(folder)
        return now is None or now.pid not in (0, live.pid)

    if not _until(is_gone, END_SECONDS):
        raise _kill_failed(found, "it does not end")
    return status(folder)


def clone(folder: Path, name: str, changes: Mapping[str, Any]) -> Path:
    """Make a new run beside this one, with the same data and settings that differ in ``changes``.

    Args:
        folder: of the run to copy; whatever it is doing.
        name: of the new run.
        changes: settings that differ, nested; not checked here.

    Returns:
        The folder of the new run, which is not started.

    Raises:
        SegToolkitError: "no-run", "bad-name", "run-exists", "write-failed".
    """
    folder = folder.resolve()
    job = read_job(folder)
    settings = merged(settings_of(folder), changes)
    if job is not None:
        # What it needs on the device may change with the settings.
        memory = None if changes else job.memory_mb
        given = (job.dataset, settings, job.places, job.device, memory, job.metric)
        return create(folder.parent, name, job.method, *given, data=job.data)
    kept = read_json(folder / "settings.json")
    start_ = kept.get("start") or {}
    places = start_.get("places") or {}
    device = status(folder).device or "auto"
    given_ = (str(kept["method"]), start_.get("dataset"), settings, places, device)
    return create(folder.parent, name, *given_, data=start_.get("data"))


def delete(folder: Path) -> None:
    """Delete a run with everything in its folder.

    Raises:
        SegToolkitError: "no-run"; "run-busy": its process lives; "delete-failed".
    """
    folder = folder.absolute()
    if not is_run(folder):
        status(folder)
    _wait_until_left(folder)
    found = owner(folder)
    if found is not None:
        raise SegToolkitError(
            "run-busy", f"{folder.name} has a live process ({found.pid}).", "Stop or kill it first."
        )
    if folder.is_symlink():
        raise SegToolkitError(
            "delete-failed",
            f"{folder} is a link to another folder.",
            "Remove the link, or its target, by hand.",
        )
    # Away in one step: half a run is never in the list.
    grave = folder.with_name(f"{DELETED}{uuid.uuid4().hex[:8]}")
    try:
        folder.rename(grave)
    except OSError as error:
        raise SegToolkitError(
            "delete-failed",
            f"{folder} could not be deleted: {error.strerror or error}.",
            "Close what uses files of it, and check that you may write there.",
        ) from error
    for old in [grave, *folder.parent.glob(f"{DELETED}*")]:
        shutil.rmtree(old, ignore_errors=True)


def move(folder: Path, position: int) -> JobStatus:
    """Give a waiting job another place in its queue; 1 is the next to have its turn.

    Raises:
        SegToolkitError: "no-run", "not-waiting", "bad-position".
    """
    folder = folder.resolve()
    status(folder)
    live = owner(folder)
    waits = waiting_of(folder, live) if live else None
    if waits is None:
        raise not_waiting(folder)
    DeviceQueue(waits.device).move(folder, position)
    return status(folder)


def watch(folder: Path, every_seconds: float = 0.5, offset: int = 0) -> Iterator[Event]:
    """Events of a run as they come, those of before first, until its process has ended.

    Of the progress of before the newest is told where the process lives, and none where it has ended: whoever
    shows how fast it goes would take the steps of hours for those of a moment.

    Args:
        folder: of the run.
        every_seconds: how often to look.
        offset: in bytes; events of the file's beginning are passed over.

    Raises:
        SegToolkitError: "no-run".
    """
    before = True
    while True:
        alive = owner(folder) is not None
        found, offset = events(folder, offset)
        yield from _without_old_progress(found, alive) if before else found
        before = False
        if not alive:
            return
        time.sleep(every_seconds)


def _without_old_progress(found: list[Event], alive: bool) -> Iterator[Event]:
    newest = next((event for event in reversed(found) if event["t"] == "progress"), None) if alive else None
    return (event for event in found if event["t"] != "progress" or event is newest)


def _environment() -> dict[str, str]:
    paths = [str(LIBRARY), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(paths)}
    return {**os.environ, **own}


def _wait_until_taken(folder: Path, process: subprocess.Popen[bytes]) -> JobStatus:
    _until(lambda: owner(folder) is not None or process.poll() is not None, START_SECONDS)
    # The place in the queue is settled in the order of the starts.
    _until(lambda: has_place(folder) or process.poll() is not None, PLACE_SECONDS)
    found = status(folder)
    if process.poll() not in (None, 0) and not found.alive and found.state in ("new", "interrupted"):
        raise SegToolkitError(
            "start-failed",
            f"The process of {found.name} ended before it began.",
            f"See {folder / CONSOLE_FILE}.",
        )
    return found


def _wait_until_left(folder: Path) -> None:
    """A process that has told its end needs a moment to leave."""
    if owner(folder) is not None and is_run(folder) and status(folder).state in ENDS.values():
        _until(lambda: owner(folder) is None, END_SECONDS)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with changes."""
    result = dict(values)
    for name, value in changes.items():
        old = result.get(name)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        result[name] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def _not_running(found: JobStatus) -> SegToolkitError:
    return SegToolkitError(
        "not-running", f"{found.name} does not run; it is {found.state}.", "There is nothing to stop."
    )


def _kill_failed(found: JobStatus, why: str) -> SegToolkitError:
    return SegToolkitError(
        "kill-failed",
        f"The process of {found.name} could not be ended: {why}.",
        "End it with the system's task manager.",
    )
