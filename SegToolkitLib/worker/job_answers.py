"""Runs in the background, for a window: listed, started, stopped, copied, deleted; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from SegToolkitLib.events import Reporter
from SegToolkitLib.jobs import control
from SegToolkitLib.jobs.begin import begin
from SegToolkitLib.jobs.event_file import events
from SegToolkitLib.jobs.job_file import runs_folder, settings_of
from SegToolkitLib.jobs.status import list_jobs, status
from SegToolkitLib.methods.registry import Verb, training_of
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import validated


class _Request(Settings):
    id: str | int = ""
    do: str = ""


class _List(_Request):
    root: str | None = None


class _Start(_Request):
    name: str
    method: str
    dataset: str | None = None
    data: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    places: dict[str, str] = Field(default_factory=dict)
    device: str = "auto"
    memory_mb: float | None = None
    root: str | None = None


class _One(_Request):
    folder: str = Field(min_length=1)


class _Stop(_One):
    keep: bool = False


class _Clone(_One):
    name: str
    settings: dict[str, Any] = Field(default_factory=dict)
    start: bool = True


class _Move(_One):
    position: int


class _Events(_One):
    offset: int = Field(default=0, ge=0)


def _jobs(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    asked = _read(_List, values)
    root = _root(asked.root)
    return {"jobs": [one.describe() for one in list_jobs(root)], "root": str(root)}


def _start(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answers with the new run's status; settings that are left out are the method's own."""
    asked = _read(_Start, values)
    method = training_of(asked.method)
    settings = validated(method.settings, asked.settings, "The settings").model_dump(mode="json")
    begun = begin(
        method,
        _root(asked.root),
        asked.name,
        asked.dataset,
        settings,
        asked.places,
        asked.device,
        asked.memory_mb,
        asked.data,
    )
    return begun.describe()


def _show(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    return status(_folder(values)).describe()


def _stop(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    asked = _read(_Stop, values)
    return control.stop(Path(asked.folder), asked.keep).describe()


def _kill(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    return control.kill(_folder(values)).describe()


def _resume(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    return control.resume(_folder(values)).describe()


def _clone(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    """Answers with the new run's status; ``settings`` are those that differ."""
    asked = _read(_Clone, values)
    source = Path(asked.folder)
    method = training_of(status(source).method)
    together = control.merged(settings_of(source), asked.settings)
    validated(method.settings, together, "The settings")
    folder = control.clone(source, asked.name, asked.settings)
    return (control.start(folder) if asked.start else status(folder)).describe()


def _delete(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    control.delete(_folder(values))
    return {}


def _move(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    asked = _read(_Move, values)
    return control.move(Path(asked.folder), asked.position).describe()


def _events(values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
    asked = _read(_Events, values)
    found, offset = events(Path(asked.folder), asked.offset)
    return {"events": found, "offset": offset}


def _read(kind: type[Any], values: Mapping[str, Any]) -> Any:
    return validated(kind, values, f"The request {values.get('do', '')}".rstrip())


def _folder(values: Mapping[str, Any]) -> Path:
    return Path(_read(_One, values).folder)


def _root(named: str | None) -> Path:
    return Path(named).expanduser().absolute() if named else runs_folder().expanduser().absolute()


VERBS: dict[str, Verb] = {
    "jobs": _jobs,
    "job_show": _show,
    "job_start": _start,
    "job_stop": _stop,
    "job_kill": _kill,
    "job_resume": _resume,
    "job_clone": _clone,
    "job_delete": _delete,
    "job_move": _move,
    "job_events": _events,
}
