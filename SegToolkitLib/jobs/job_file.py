"""job.json and config.json: how a run is started, whoever starts it and whenever."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from SegToolkitLib.atomic import write_json
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.home import home_folder
from SegToolkitLib.jobs.event_file import no_run
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import read_json, validated

JOB_FILE = "job.json"
CONFIG_FILE = "config.json"
SETTINGS_FILE = "settings.json"
FORMAT = 1
# What a folder's name may not hold on one system or another, and names that Windows keeps for devices.
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
LONGEST_NAME = 80


class Job(Settings):
    """Content of job.json.

    Attributes:
        format: version of the file's form.
        name: of the run and of its model.
        method: name of the method.
        dataset: its description file or folder, or None.
        data: folder of the volumes, if not the described one.
        places: further inputs, by name.
        device: "auto", "cpu", "cuda:0", ...
        memory_mb: what it needs on the device; None where that is not known.
        created: seconds since 1970.
        metric: name of the figure that decides which validation is the best, where the method has one.
    """

    format: int = FORMAT
    name: str = Field(min_length=1)
    method: str = Field(min_length=1)
    dataset: str | None = None
    data: str | None = None
    places: dict[str, str] = Field(default_factory=dict)
    device: str = "auto"
    memory_mb: float | None = Field(default=None, ge=0)
    created: float = 0.0
    metric: str | None = None


def runs_folder() -> Path:
    """Where runs lie unless another folder is named: ``runs`` in the home folder of SegToolkit."""
    return home_folder() / "runs"


def folder_of(root: Path | None, name: str) -> Path:
    """Where the run of that name lies, or would lie."""
    return (root or runs_folder()).expanduser().resolve() / name


def create(
    root: Path | None,
    name: str,
    method: str,
    dataset: str | None,
    settings: Mapping[str, Any],
    places: Mapping[str, str] | None = None,
    device: str = "auto",
    memory_mb: float | None = None,
    metric: str | None = None,
    again: bool = False,
    data: str | None = None,
) -> Path:
    """Make the folder of a new run, which :func:`control.start` can start.

    Args:
        root: folder of the runs; None takes :func:`runs_folder`.
        name: of the run; its folder is called so.
        method: name of the method.
        dataset: description file or folder of the data.
        settings: all settings of the method, as plain values; not checked here.
        places: further inputs of the method, by name.
        device: where to train.
        memory_mb: what it needs there, if that is known.
        metric: figure of the validations to show.
        again: take the folder of an earlier run of that name, and keep what it told.
        data: folder of the volumes, if not the described one.

    Returns:
        The folder.

    Raises:
        SegToolkitError: "bad-name", "run-exists", "write-failed".
    """
    check_name(name)
    folder = folder_of(root, name)
    job = validated(
        Job,
        {
            "name": name,
            "method": method,
            "dataset": None if dataset is None else _absolute(dataset),
            "data": None if data is None else _absolute(data),
            "places": {place: _absolute(path) for place, path in (places or {}).items()},
            "device": device or "auto",
            "memory_mb": memory_mb,
            "created": round(time.time(), 3),
            "metric": metric,
        },
        "The job",
    )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=again)
    except OSError as error:
        if isinstance(error, FileExistsError) and folder.parent.is_dir():
            raise SegToolkitError(
                "run-exists", f"There is a run {name} in {folder.parent} already.", "Choose another name."
            ) from error
        raise SegToolkitError(
            "write-failed",
            f"The run {name} cannot be made in {folder.parent}: {error.strerror or error}.",
            "Choose a folder of runs where you may write.",
        ) from error
    write_json(folder / CONFIG_FILE, dict(settings))
    # Last, so that a folder with a job.json is complete.
    write_json(folder / JOB_FILE, job.model_dump(mode="json"))
    return folder


def check_name(name: str) -> None:
    """Refuse what cannot be a folder's name on every system.

    Raises:
        SegToolkitError: "bad-name".
    """
    if FORBIDDEN.search(name) or DEVICES.fullmatch(name) or name != name.strip() or name[-1:] in ("", "."):
        problem = "holds a character that no folder's name may hold" if name.strip() else "is empty"
    elif name.startswith((".", "-")):
        problem = "begins with a dot or a dash"
    elif len(name.encode("utf-8")) > LONGEST_NAME * 2 or len(name) > LONGEST_NAME:
        problem = f"is longer than {LONGEST_NAME} characters"
    else:
        return
    raise SegToolkitError(
        "bad-name", f"The name {name!r} {problem}.", "Use letters, digits, dots, dashes and blanks."
    )


def read_job(folder: Path) -> Job | None:
    """job.json of a run; None where it was started by hand and has none.

    Raises:
        SegToolkitError: "no-run", or the file is damaged.
    """
    if (folder / JOB_FILE).is_file():
        return validated(Job, read_json(folder / JOB_FILE), str(folder / JOB_FILE))
    if not (folder / SETTINGS_FILE).is_file():
        raise no_run(folder)
    return None


def train_arguments(folder: Path, device: str) -> list[str]:
    """Arguments of ``segtoolkit`` that start the run, or go on with it.

    Args:
        folder: of the run.
        device: where it is its turn.

    Raises:
        SegToolkitError: as :func:`read_job`.
    """
    job = read_job(folder)
    if job is None:  # started by hand: settings.json knows the rest
        method = str(read_json(folder / SETTINGS_FILE).get("method", ""))
        return ["train", method, "--run", str(folder), "--start-or-resume", "--device", device]
    arguments = ["train", job.method, "--run", str(folder), "--start-or-resume"]
    arguments += ["--config", str(folder / CONFIG_FILE), "--device", device, f"--name={job.name}"]
    if job.dataset is not None:
        arguments += ["--dataset", job.dataset]
    if job.data is not None:
        arguments += ["--data", job.data]
    for place, path in job.places.items():
        arguments += ["--place", f"{place}={path}"]
    return arguments


def settings_of(folder: Path) -> dict[str, Any]:
    """Settings that a run was or will be started with, as plain values.

    Raises:
        SegToolkitError: there are none.
    """
    if (folder / SETTINGS_FILE).is_file():
        return dict(read_json(folder / SETTINGS_FILE)["settings"])
    if (folder / CONFIG_FILE).is_file():
        return read_json(folder / CONFIG_FILE)
    raise no_run(folder)


def _absolute(path: str) -> str:
    """The job runs elsewhere; what is no path (a name of a known data set) stays."""
    given = Path(path).expanduser()
    return str(given.resolve()) if given.exists() or given.is_absolute() else path
