"""A new run of a method, made and started; what cannot work is refused before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.jobs import control
from SegToolkitLib.jobs.job_file import check_name, create, folder_of
from SegToolkitLib.jobs.status import JobStatus, is_run, status
from SegToolkitLib.training.method import TrainingMethod
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.start import place_named


def begin(
    method: TrainingMethod,
    root: Path | None,
    name: str,
    dataset: str | None,
    settings: Mapping[str, Any],
    places: Mapping[str, str] | None = None,
    device: str = "auto",
    memory_mb: float | None = None,
    data: str | None = None,
) -> JobStatus:
    """Make a run and start it in a process of its own.

    The name of a run that failed at its start, before it had read its data, is free: it can be begun again.

    Args:
        method: to be trained.
        root, name, dataset, settings, places, device, memory_mb, data: as ``job_file.create`` takes them.

    Raises:
        SegToolkitError: "no-dataset", "no-cases", "unknown-place", "no-place"; as ``create`` and
            ``control.start``.
    """
    check_inputs(method, dataset, places or {}, data)
    metric = method.metric[0] if method.metric else None
    given = (method.name, dataset, settings, places, device, memory_mb, metric)
    return control.start(create(root, name, *given, again=_failed_at_start(root, name), data=data))


def _failed_at_start(root: Path | None, name: str) -> bool:
    check_name(name)
    folder = folder_of(root, name)
    return is_run(folder) and status(folder).state == "failed" and not RunFolder(folder).begun


def check_inputs(
    method: TrainingMethod, dataset: str | None, places: Mapping[str, str], data: str | None = None
) -> None:
    """Refuse data and further inputs that are not there.

    Raises:
        SegToolkitError: "no-dataset", "no-cases", "unknown-place", "no-place"; the data set's description
            is wrong.
    """
    from SegToolkitLib.dataset.dataset import Dataset

    if dataset is not None:
        # A description whose volumes lie elsewhere opens, too: its cases are what is missing then.
        _ = Dataset.open(Path(dataset).expanduser(), None if data is None else Path(data).expanduser()).cases
    elif method.needs_dataset:
        raise SegToolkitError(
            "no-dataset", f"{method.title} trains on a data set, and none is given.", "Give --dataset."
        )
    for name, path in places.items():
        place, found = place_named(name, method), Path(path).expanduser()
        there = found.is_file() if place.kind == "file" else found.is_dir()
        if not there and not (place.made and not found.exists()):
            raise SegToolkitError(
                "no-place", f"{name}: {path} is no {place.kind}.", f"{name} is: {place.help}."
            )
