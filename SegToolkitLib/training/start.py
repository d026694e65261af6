"""Where a run begins besides its settings, and what its folder keeps of that."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from SegToolkitLib.dataset.checksum import told_sha256
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.training.method import Place, TrainingMethod
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.settings import TrainingSettings
from SegToolkitLib.validation import validated


@dataclass(frozen=True)
class Start:
    """Data and further inputs of a run.

    A resumed run knows all this; what is given again says where the files lie now.

    Attributes:
        dataset: description file or folder; ``data`` is the folder of the volumes if not the described.
        places: the method's further inputs that were given, by name.
        name: of the resulting model; empty takes the run folder's.
        command: that started the run, for the card.
    """

    dataset: str | None = None
    data: Path | None = None
    places: Mapping[str, Path] = field(default_factory=dict)
    name: str = ""
    command: str = ""


def described(start: Start, method: TrainingMethod) -> dict[str, Any]:
    """What settings.json keeps of the start, so that the run can be resumed from its folder alone.

    Raises:
        SegToolkitError: a place is not one of the method's, or its file is missing.
    """
    import torch

    return {
        "dataset": _absolute(start.dataset),
        "data": _absolute(start.data),
        "places": {name: _absolute(path) for name, path in start.places.items()},
        "sha256": {
            name: told_sha256(path)
            for name, path in start.places.items()
            if place_named(name, method).kind == "file"
        },
        "name": start.name,
        "command": start.command,
        "threads": torch.get_num_threads(),
    }


def stored_start(run: RunFolder, given: Start, method: TrainingMethod, begun: bool) -> Start:
    """The start that a run was given, with the places that are given now instead of its own.

    Args:
        run: to be resumed.
        given: now.
        method: of the run.
        begun: the run has checkpoints, so files that it began with are not needed any more.

    Raises:
        SegToolkitError: "settings-fixed": a file is given that the run was started without, or another data
            set without the folder of its volumes, where the run has one;
            "place-changed": a file is another one than at the start.
    """
    import torch

    kept = run.settings().get("start")
    if not kept:
        return given  # a run from before starts were kept
    _check_data(run, kept, given)
    places, checksums = _kept_places(kept, method)
    for name in given.places:
        if place_named(name, method).kind == "file" and name not in places:
            raise SegToolkitError(
                "settings-fixed",
                f"The run {run.path} was started without {name}.",
                f"Resume it without {name}, or start a new run with it in another folder.",
            )
    # The number of threads decides the order of sums, so another one gives other last digits.
    torch.set_num_threads(max(1, min(int(kept["threads"]), os.cpu_count() or 1)))
    places |= dict(given.places)
    if not begun:
        for name, sha256 in checksums.items():
            _check_unchanged(name, places[name], sha256)
    return replace(
        given,
        dataset=given.dataset or kept["dataset"],
        data=given.data or (Path(kept["data"]) if kept["data"] else None),
        places=places,
        name=kept["name"],
        command=kept["command"],
    )


def _check_data(run: RunFolder, kept: dict[str, Any], given: Start) -> None:
    """Another description must not be read with the folder of the old one's volumes."""
    if given.dataset is None or given.data is not None or not kept.get("data"):
        return
    if _absolute(given.dataset) == kept.get("dataset"):
        return
    raise SegToolkitError(
        "settings-fixed",
        f"The run {run.path} reads the volumes in {kept['data']} (--data), which {kept['dataset']} describes;"
        f" {given.dataset} was given without a folder.",
        "A run is bound to the volumes that it began with. Resume it without --dataset, or give --data, too,"
        " if they were moved.",
    )


def _kept_places(kept: dict[str, Any], method: TrainingMethod) -> tuple[dict[str, Path], dict[str, str]]:
    """Places and checksums of the run; earlier versions kept each under its own name."""
    if "places" in kept:
        return {name: Path(path) for name, path in kept["places"].items()}, dict(kept["sha256"])
    names = [place.name for place in method.places]
    places = {name: Path(kept[name]) for name in names if kept.get(name)}
    return places, {name: kept[f"{name}_sha256"] for name in names if kept.get(f"{name}_sha256")}


def stored_settings(
    run: RunFolder, asked: TrainingSettings | None, method: TrainingMethod
) -> TrainingSettings:
    """Settings that a run was started with.

    Raises:
        SegToolkitError: "other-method": the run is another method's; "settings-fixed": ``asked`` differs.
    """
    content = run.settings()
    if content.get("method") != method.name:
        raise SegToolkitError(
            "other-method",
            f"The run {run.path} trains {content.get('method')}, not {method.name}.",
            "Choose another folder.",
        )
    kept = validated(method.settings, content["settings"], str(run.settings_file))
    if asked is not None and asked != kept:
        old, new = (_flat(one.model_dump(mode="json")) for one in (kept, asked))
        differing = [f"{name}={old.get(name)}, not {new[name]}" for name in new if old.get(name) != new[name]]
        raise SegToolkitError(
            "settings-fixed",
            f"The run {run.path} was started with {'; '.join(differing)}.",
            "Resume it without settings, or start a new run with these in another folder.",
        )
    return kept


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def place_named(name: str, method: TrainingMethod) -> Place:
    """One of a method's further inputs.

    Raises:
        SegToolkitError: "unknown-place".
    """
    for place in method.places:
        if place.name == name:
            return place
    known = ", ".join(place.name for place in method.places)
    raise SegToolkitError(
        "unknown-place",
        f"{method.title} reads no further input called {name!r}.",
        f"It reads {known}." if known else "It reads nothing but the data set.",
    )


def _absolute(path: str | Path | None) -> str | None:
    """Whoever resumes may start in another folder."""
    if path is None or not Path(path).exists():
        return None if path is None else str(path)
    return str(Path(path).absolute())


def _check_unchanged(name: str, file: Path, sha256: str) -> None:
    if not file.is_file() or told_sha256(file) != sha256:
        raise SegToolkitError(
            "place-changed",
            f"{file} is not the file that the run was started with as {name}, or is missing.",
            f"Say where it lies now (--place {name}=FILE).",
        )
