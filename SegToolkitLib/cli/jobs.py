"""``segtoolkit jobs``: trainings in processes of their own, on this machine or a cluster."""

from __future__ import annotations

import time
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegToolkitLib.cli import jobs_submit
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import METHODS, Command

if TYPE_CHECKING:
    from SegToolkitLib.jobs.status import JobStatus

RUN = "name of a run in the folder of runs, or its folder"


def _add_arguments(parser: ArgumentParser) -> None:
    common = ArgumentParser(add_help=False)
    common.add_argument(
        "--json", action="store_true", default=SUPPRESS, help="report to a program: JSON lines"
    )
    common.add_argument(
        "--root", type=Path, default=SUPPRESS, metavar="FOLDER", help="folder of the runs (default: your own)"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = [common]
    actions.add_parser("list", parents=add, help="list the runs and what they are doing").set_defaults(
        act=_list
    )
    one = {name: actions.add_parser(name, parents=add, help=text) for name, text in ONE_RUN.items()}
    for name, sub in one.items():
        sub.add_argument("run", metavar="RUN", help=RUN)
        sub.set_defaults(act=ACTS[name])
    one["stop"].add_argument(
        "--keep", action="store_true", help="also write the model, from the best weights so far"
    )
    one["clone"].add_argument("name", help="of the new run")
    one["clone"].add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting that differs; repeatable"
    )
    one["clone"].add_argument("--no-start", action="store_true", help="make it, but do not start it")
    one["run"].add_argument("--seen", type=int, metavar="BYTES", help=SUPPRESS)
    one["move"].add_argument("position", type=int, help="1 is the next to have its turn")
    start = actions.add_parser("start", parents=add, help="start a training in the background")
    _add_start(start)
    start.set_defaults(act=_start)
    jobs_submit.add_arguments(actions.add_parser("submit", parents=add, help=jobs_submit.HELP))


def _add_start(parser: ArgumentParser) -> None:
    parser.add_argument("method", choices=METHODS, metavar="METHOD", help=f"one of {', '.join(METHODS)}")
    parser.add_argument("--dataset", metavar="DESCRIPTION", help="description file, or a data set's folder")
    parser.add_argument("--data", metavar="FOLDER", help="folder of the volumes, if not the described one")
    parser.add_argument("--name", help="of the run (default: method, preset and date)")
    parser.add_argument(
        "--preset", default="default", help='"quick", "default", "published", ... (default: default)'
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="JSON or YAML file, settings that differ")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    parser.add_argument(
        "--place", action="append", default=[], metavar="NAME=PATH", help="a further input of the method"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: auto)")
    parser.add_argument(
        "--memory-mb", type=float, metavar="MB", help="what it needs on the device (see segtoolkit estimate)"
    )


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    outputs: dict[str, object] = options.act(options, reporter)
    return outputs


def _list(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs.status import list_jobs

    found = list_jobs(_root(options))
    for status in found:
        reporter.info(line(status))
    if not found:
        reporter.info(f"There are no runs in {_root(options)}.")
    return {"jobs": [status.describe() for status in found], "root": str(_root(options))}


def _show(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs.status import status

    found = status(_folder(options))
    for name, value in found.describe().items():
        if value not in (None, "", {}):
            reporter.info(f"{name}: {_moment(value) if name in ('started', 'updated') else value}")
    return found.describe()


def _start(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs.begin import begin
    from SegToolkitLib.methods.registry import training_of
    from SegToolkitLib.settings import load

    method = training_of(options.method)
    base = _preset(method.presets, options.preset)
    settings = load(method.settings, base, options.config, options.set)
    status = begin(
        method,
        _root(options),
        options.name or f"{options.method}-{options.preset}-{time.strftime('%Y-%m-%d-%H%M%S')}",
        options.dataset,
        settings.model_dump(mode="json"),
        dict(_pair(text) for text in options.place),
        options.device,
        options.memory_mb,
        options.data,
    )
    return _told(status, reporter)


def _watch(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs.control import watch
    from SegToolkitLib.jobs.status import status

    folder = _folder(options)
    shown = {"metric", "validation", "warning", "stopped", "finished", "error"}
    for event in watch(folder):
        if event["t"] == "progress":
            reporter.progress(str(event["phase"]), int(event["step"]), int(event["total"]))
        elif event["t"] in shown:
            facts = {name: value for name, value in event.items() if name not in ("t", "time", "pictures")}
            told = ", ".join(f"{name} {_short(value)}" for name, value in facts.items())
            reporter.info(f"{_moment(event.get('time'))} {event['t']}: {told}")
    return _told(status(folder), reporter)


def _stop(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs.control import stop

    return _told(stop(_folder(options), options.keep), reporter)


def _kill(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs.control import kill

    return _told(kill(_folder(options)), reporter)


def _resume(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs.control import resume

    return _told(resume(_folder(options)), reporter)


def _clone(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs import control
    from SegToolkitLib.jobs.job_file import settings_of
    from SegToolkitLib.jobs.status import status
    from SegToolkitLib.methods.registry import training_of
    from SegToolkitLib.settings import load
    from SegToolkitLib.validation import validated

    source = _folder(options)
    kind = training_of(status(source).method).settings
    base = validated(kind, settings_of(source), f"The settings of {source.name}")
    changed = load(kind, base, None, options.set).model_dump(mode="json") if options.set else {}
    folder = control.clone(source, options.name, changed)
    return _told(status(folder) if options.no_start else control.start(folder), reporter)


def _delete(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs.control import delete

    folder = _folder(options)
    delete(folder)
    reporter.info(f"Deleted {folder}")
    return {"folder": str(folder)}


def _move(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.jobs.control import move

    return _told(move(_folder(options), options.position), reporter)


def _process(options: Namespace, reporter: Reporter) -> dict[str, object]:
    """What ``start`` starts in a process of its own."""
    from SegToolkitLib.cli.jobs_process import run_here

    run_here(_folder(options), reporter, options.seen)
    return {"folder": str(_folder(options))}


ONE_RUN = {
    "show": "show what is known of a run",
    "watch": "show a run's events until it ends",
    "stop": "finish the step, save and end; a waiting run leaves the queue",
    "kill": "end a run's process at once",
    "resume": "go on with a run that was stopped or interrupted",
    "clone": "make a run with the same data, and other settings",
    "delete": "delete a run that has no process",
    "move": "give a waiting run another place in the queue",
    "run": "run a job in this process, when it is its turn (what start starts)",
}
ACTS = {
    "show": _show,
    "watch": _watch,
    "stop": _stop,
    "kill": _kill,
    "resume": _resume,
    "clone": _clone,
    "delete": _delete,
    "move": _move,
    "run": _process,
}


def line(status: JobStatus) -> str:
    """A run in one line."""
    done = "" if status.step is None else f" {status.step}" + (f"/{status.total}" if status.total else "")
    left = "" if status.seconds_left is None else f", {_duration(status.seconds_left)} left"
    best = status.best or {}
    figure = f", best {best['metric']} {_short(best['value'])}" if best.get("value") is not None else ""
    place = f" (place {status.position})" if status.position else ""
    return f"{status.name}  {status.state}{place}{done}{left}{figure}  {status.reason}".rstrip()


def _told(status: JobStatus, reporter: Reporter) -> dict[str, object]:
    reporter.info(line(status))
    return status.describe()


def _root(options: Namespace) -> Path:
    from SegToolkitLib.jobs.job_file import runs_folder

    root: Path | None = getattr(options, "root", None)
    return (root or runs_folder()).expanduser().absolute()


def _folder(options: Namespace) -> Path:
    """A run by its name in the folder of runs, or by its path."""
    named = _root(options) / options.run
    return named if named.is_dir() else Path(options.run).expanduser().absolute()


def _preset(presets: Mapping[str, Any], name: str) -> Any:
    from SegToolkitLib.errors import SegToolkitError

    if name not in presets:
        raise SegToolkitError(
            "unknown-preset", f"There is no preset {name!r}.", f"The presets are {', '.join(presets)}."
        )
    return presets[name].settings


def _pair(text: str) -> tuple[str, str]:
    from SegToolkitLib.errors import SegToolkitError

    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise SegToolkitError(
            "bad-place", f"{text!r} is not of the form NAME=PATH.", "Write, say, --place superpixels=FOLDER."
        )
    return name, path


def _moment(value: object) -> str:
    if not isinstance(value, (int, float)):
        return str(value)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


COMMAND = Command("start, list, watch, stop and resume trainings in the background", _add_arguments, _run)
