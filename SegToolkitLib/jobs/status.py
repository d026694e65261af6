"""What a run is doing, derived from its folder and the live process, and the list of all runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs.event_file import (
    BestValidations,
    Event,
    first_event,
    newest_first,
    newest_start,
    no_run,
)
from SegToolkitLib.jobs.job_file import JOB_FILE, SETTINGS_FILE, runs_folder
from SegToolkitLib.jobs.queue import DeviceQueue
from SegToolkitLib.jobs.waiting import waiting_of
from SegToolkitLib.training.alive import Owner, last_owner, owner

CONSOLE_FILE = "console.txt"
STOP_FILE = "stop"
# Only so much of the end of events.jsonl is read.
TAIL_BYTES = 1 << 16
MOST_EVENTS = 200
ENDS = {"stopped": "stopped", "finished": "finished", "error": "failed"}
WORK = {"start", "metric", "validation", "checkpoint", *ENDS}
NOT_VALUES = {"t", "time", "step", "samples", "skipped", "learning_rate", "seconds_per_step"}

_best = BestValidations()


@dataclass(frozen=True)
class JobStatus:
    """What is known of a run.

    Attributes:
        folder: of the run.
        name: of the run.
        method: name of the method, "" where it is not known.
        state: "new", "waiting", "starting", "running", "stopping", "stopped", "finished", "failed" or
            "interrupted".
        step: steps done; None before the first.
        total: steps asked for, None where that is not known.
        started: when it first began, in seconds since 1970.
        updated: time of its last event.
        seconds_left: how long it will go on at its present speed; None unless it runs.
        device: where it runs, ran or shall run.
        reason: for what it waits, what it prepares, or why it ended, in a sentence; "" otherwise.
        error: {"code", "text", "hint"} of a failed run, else None.
        best: {"metric", "value", "step"} of the best validation, or None.
        values: the last logged values, by name.
        model: folder of the trained model, or None.
        pid: of the live process, or None.
        host: its machine, or the last one's.
        position: place among those that wait for the device, from 1 on; None unless it waits.
    """

    folder: str
    name: str
    method: str = ""
    state: str = "new"
    step: int | None = None
    total: int | None = None
    started: float | None = None
    updated: float | None = None
    seconds_left: float | None = None
    device: str = ""
    reason: str = ""
    error: dict[str, str] | None = None
    best: dict[str, Any] | None = None
    values: dict[str, float] = field(default_factory=dict)
    model: str | None = None
    pid: int | None = None
    host: str = ""
    position: int | None = None

    @property
    def alive(self) -> bool:
        """Whether a process works on it, or waits to."""
        return self.pid is not None

    def describe(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def list_jobs(root: Path | None = None) -> list[JobStatus]:
    """Every run in a folder, the newest first; a folder that is not there holds none.

    Raises:
        SegToolkitError: "unreadable": the folder cannot be listed.
    """
    root = root or runs_folder()
    try:
        with os.scandir(root) as entries:
            folders = [Path(one.path) for one in entries if not one.name.startswith(".") and _is_folder(one)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SegToolkitError(
            "unreadable",
            f"The runs in {root} cannot be listed: {error.strerror or error}.",
            "Choose another folder of runs.",
        ) from error
    places = _Places()
    found = [_status(folder, places) for folder in folders if is_run(folder)]
    runs = [status for status in found if status is not None]
    return sorted(runs, key=lambda one: (-(one.started or one.updated or 0.0), one.name))


def status(folder: Path) -> JobStatus:
    """What the run in ``folder`` is doing.

    Raises:
        SegToolkitError: "no-run".
    """
    found = _status(folder, _Places()) if is_run(folder) else None
    if found is None:
        raise no_run(folder)
    return found


def is_run(folder: Path) -> bool:
    """Whether the folder holds a run, started by hand or as a job."""
    return (folder / JOB_FILE).is_file() or (folder / SETTINGS_FILE).is_file()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


class _Places:
    """Places in the queues, each queue read once."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[str]] = {}

    def of(self, folder: Path, device: str) -> int | None:
        if device not in self._waiting:
            waiting = [one.folder for one in DeviceQueue(device).entries() if not one.running]
            self._waiting[device] = waiting
        waiting = self._waiting[device]
        return waiting.index(str(folder)) + 1 if str(folder) in waiting else None


@dataclass
class _Tail:
    """The newest events of each kind that matter, and where the last one that tells of work begins."""

    work: Event | None = None
    offset: int = -1
    metric: Event | None = None
    start: Event | None = None
    newest: Event | None = None
    progress: Event | None = None
    progress_offset: int = -1

    @classmethod
    def read(cls, folder: Path) -> _Tail:
        tail = cls()
        for number, (offset, event) in enumerate(newest_first(folder, TAIL_BYTES)):
            kind = event["t"]
            tail.newest = tail.newest or event
            if kind == "progress" and tail.progress is None and tail.work is None:
                tail.progress, tail.progress_offset = event, offset
            if kind in WORK and tail.work is None:
                tail.work, tail.offset = event, offset
            if kind == "metric":
                tail.metric = event
            if (tail.metric and tail.work) or number >= MOST_EVENTS:
                break
        tail.start = newest_start(folder, TAIL_BYTES)
        return tail


def _status(folder: Path, places: _Places) -> JobStatus | None:
    """None where the folder vanished meanwhile."""
    live = owner(folder)
    # Read after the owner: what a process wrote before it ended is seen when it is seen to have ended.
    tail = _Tail.read(folder)
    job, settings = _read(folder / JOB_FILE), _read(folder / SETTINGS_FILE)
    if not job and not settings and not folder.is_dir():
        return None
    last = live or last_owner(folder)
    mine = tail.offset >= (last.events if last else 0)
    state = _state_alive(folder, tail, mine) if live else _state_ended(folder, tail, mine, last)
    waiting = waiting_of(folder, live) if live and state == "starting" else None
    step = _step(tail)
    total = _whole((tail.start or {}).get("total")) or _whole(settings.get("steps"))
    error = _error(folder, tail) if state == "failed" else None
    device = (waiting.device if waiting else "") or str((tail.start or {}).get("device") or "")
    began = first_event(folder)
    model = folder / str((tail.work or {}).get("model") or "result/model")
    return JobStatus(
        folder=str(folder),
        name=str(job.get("name") or _start_of(settings).get("name") or folder.name),
        method=str(job.get("method") or settings.get("method") or ""),
        state="waiting" if waiting else state,
        step=step,
        total=total,
        started=_number((began or {}).get("time")) or _number(job.get("created")),
        updated=_number((tail.newest or {}).get("time")),
        seconds_left=_seconds_left(tail, step, total) if state == "running" else None,
        device=device or str(job.get("device") or ""),
        reason=waiting.reason if waiting else _reason(state, tail, mine, error, last),
        error=error,
        best=_best_of(folder, job, settings),
        values=_values(tail.metric),
        model=str(model) if state == "finished" and model.is_dir() else None,
        pid=live.pid if live else None,
        host=last.host if last else "",
        position=places.of(folder, waiting.device) if waiting else None,
    )


def _state_alive(folder: Path, tail: _Tail, mine: bool) -> str:
    if mine and tail.work is not None and tail.work["t"] in ENDS:
        return ENDS[tail.work["t"]]  # it has only to leave
    if (folder / STOP_FILE).exists():
        return "stopping"
    return "running" if mine and tail.work is not None else "starting"


def _state_ended(folder: Path, tail: _Tail, mine: bool, last: Owner | None) -> str:
    if last is not None and not mine:
        return "interrupted"  # it was killed before it told anything
    if tail.work is not None:
        if tail.work.get("code") == "interrupted":
            return "interrupted"
        return ENDS.get(tail.work["t"], "interrupted")
    if last is not None:
        return "interrupted"
    if not (folder / JOB_FILE).exists():
        return "interrupted"
    return "failed" if _last_words(folder) else "new"


def _reason(state: str, tail: _Tail, mine: bool, error: Mapping[str, str] | None, last: Owner | None) -> str:
    if error is not None:
        return f"{error['text']} {error['hint']}".strip()
    if state == "starting":
        if tail.progress is None or tail.progress_offset < (last.events if last else 0):
            return ""
        return "Prepares: {phase}, {step} of {total}.".format_map(
            {"step": "?", "total": "?", **tail.progress}
        )
    if state == "finished" and tail.work is not None and tail.work.get("early"):
        return "Finished early."
    return ""


def _error(folder: Path, tail: _Tail) -> dict[str, str]:
    if tail.work is not None and tail.work["t"] == "error":
        return {name: str(tail.work.get(name, "")) for name in ("code", "text", "hint")}
    return {
        "code": "start-failed",
        "text": f"The process ended before it began: {_last_words(folder)}",
        "hint": f"See {folder / CONSOLE_FILE}.",
    }


def _last_words(folder: Path) -> str:
    try:
        text = (folder / CONSOLE_FILE).read_text(encoding="utf-8", errors="replace")[-4000:]
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _step(tail: _Tail) -> int | None:
    found = [_whole(event.get("step")) for event in (tail.work, tail.metric, tail.start) if event]
    known = [step for step in found if step is not None]
    return known[0] if known else None


def _seconds_left(tail: _Tail, step: int | None, total: int | None) -> float | None:
    speed = _number((tail.metric or {}).get("seconds_per_step"))
    if speed is None or step is None or total is None:
        return None
    return round(max(0.0, speed * (total - step)), 1)


def _best_of(folder: Path, job: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any] | None:
    asked = settings.get("settings")
    if isinstance(asked, Mapping) and asked.get("validate_every") == 0:
        return None  # spares reading the whole file, which an old run may keep on a slow drive
    event = _best.of(folder)
    if event is None:
        return None
    values = _values(event)
    metric = job.get("metric") or settings.get("metric")
    if metric not in values:
        metric = next((name for name in ("dice", "loss", *values) if name in values), None)
    return {"metric": metric, "value": values.get(metric or ""), "step": event.get("step")}


def _values(event: Event | None) -> dict[str, float]:
    numbers = {name: _number(value) for name, value in (event or {}).items() if name not in NOT_VALUES}
    return {name: value for name, value in numbers.items() if value is not None}


def _start_of(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    start = settings.get("start")
    return start if isinstance(start, Mapping) else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
