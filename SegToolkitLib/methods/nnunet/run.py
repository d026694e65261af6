"""This method's part of a training run: from the data to a task, and from weights to a model folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from SegToolkitLib.anatomy import tell_of_mirroring
from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.classes import structures_of
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.labelled import CASES_FILE, Roles, roles_of, tell_roles
from SegToolkitLib.dataset.splits import NNUNET_NAME, file_identifier
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet.given import check_cases, check_dataset, checksums_of
from SegToolkitLib.methods.nnunet.home import FOLDER, NUMBER, Home
from SegToolkitLib.methods.nnunet.preparing import (
    Tell,
    make_fingerprint,
    make_plans,
    preprocess,
    title_in,
)
from SegToolkitLib.methods.nnunet.raw import write_raw
from SegToolkitLib.methods.nnunet.result import write_model, write_results
from SegToolkitLib.methods.nnunet.settings import NnunetSettings
from SegToolkitLib.methods.nnunet.train import NnunetTask
from SegToolkitLib.methods.nnunet.trainer import begin_trainer
from SegToolkitLib.training.method import Context, Prepared
from SegToolkitLib.validation import read_json

# What nnU-Net's folder was made from: other data or another plan begin it anew.
MADE_FILE = "made.json"


def prepare(context: Context) -> Prepared:
    """Bring the cases to nnU-Net's folders below the run's, plan, preprocess, and build the task.

    Raises:
        SegToolkitError: "pictures", "several-images", "no-configuration", "data-changed", "cases-failed", and
            what folds, labels and reading raise.
    """
    settings: NnunetSettings = context.settings
    dataset, tell = dataset_of(context), context.reporter.progress
    roles = roles_of(dataset, settings.data, settings.seed)
    check_dataset(dataset, roles.used)
    tell_roles(roles, bool(settings.validate_every), context.reporter)
    if settings.augment.mirror:
        structures = structures_of(dataset).values()
        tell_of_mirroring(structures, "Set augment.mirror=false.", context.reporter)
    checksums = checksums_of(dataset, roles.used, tell)
    home = _home(context, dataset, roles, checksums)
    make_fingerprint(home, settings.workers, tell)
    tell("planning", 0, 1)
    plans = make_plans(home, settings.plan)
    tell("planning", 1, 1)
    preprocess(home, settings.plan, settings.workers, tell)
    train, held_out = _identifiers(dataset, roles.train), _identifiers(dataset, roles.held_out)
    trainer = begin_trainer(home, settings, train, held_out, context.device, context.group.leader)
    _tell_plan(context, settings, plans)
    if context.run.writes:
        listed = {"train": roles.train, "held_out": roles.held_out, "not_drawn": roles.not_drawn}
        drawn_by = {"fraction": settings.data.fraction, "seed": settings.seed}
        write_json(context.run.path / CASES_FILE, {**drawn_by, **{k: list(v) for k, v in listed.items()}})
    names = dict(enumerate(structures_of(dataset).values(), start=1))
    fingerprint = {
        "dataset": dataset.description.name,
        "train": list(roles.train),
        "held_out": list(roles.held_out),
        "sha256": checksums,
    }
    return Prepared(NnunetTask(trainer, settings, home, held_out, names), fingerprint)


def _home(context: Context, dataset: Dataset, roles: Roles, checksums: dict[str, str]) -> Home:
    """nnU-Net's folders with the checked data set; begun anew where they were made from something else."""
    settings: NnunetSettings = context.settings
    folder, tell = context.run.path / FOLDER, context.reporter.progress
    key = {
        "files": checksums,
        "train": list(roles.train),
        "plan": settings.plan.model_dump(mode="json"),
    }
    file = folder / MADE_FILE
    made: dict[str, Any] = read_json(file) if file.is_file() else {}
    if made.get("key") != key:
        if context.run.begun and made:
            raise SegToolkitError(
                "data-changed",
                f"The volumes differ from those that the run {context.run.path} was started with.",
                "Restore them, or start a new run.",
            )
        _remove(folder)
        made = {"key": key, "orientation": check_cases(dataset, roles.used, tell)}
        write_json(file, made)
    title = title_in(folder)
    if title is None:
        _write_raw(context, dataset, roles, folder, tell)
        title = title_in(folder)
        assert title is not None
    return Home(folder.resolve(), title, context.run.log)


def _write_raw(context: Context, dataset: Dataset, roles: Roles, folder: Path, tell: Tell) -> None:
    place = write_raw(
        dataset, folder, NUMBER, progress=lambda done, total: tell("copying", done, total), only=roles.used
    )
    fold = context.settings.data.fold
    if fold is not None:
        sides = {
            "train": _identifiers(dataset, roles.train),
            "val": _identifiers(dataset, roles.held_out),
        }
        # nnU-Net's own programs count folds from 0 and find this one under its number.
        write_json(folder / "preprocessed" / place.name / NNUNET_NAME, [sides] * (fold + 1))


def _remove(folder: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise SegToolkitError(
            "write-failed",
            f"{folder} could not be removed: {error.strerror or error}.",
            "Remove it, or choose another folder for the run.",
        ) from error


def _tell_plan(context: Context, settings: NnunetSettings, plans: dict[str, Any]) -> None:
    one = plans["configurations"][settings.plan.configuration]
    if "inherits_from" in one:
        return
    size = " x ".join(str(n) for n in reversed(one["patch_size"]))
    spacing = " x ".join(f"{mm:.3g}" for mm in reversed(one["spacing"]))
    context.reporter.info(
        f"nnU-Net plans {one['batch_size']} patches of {size} voxels a step, voxels of {spacing} mm."
    )


def finish(context: Context, task: NnunetTask) -> Path:
    """Write nnU-Net's own folder of results, and the model's folder from it."""
    made = read_json(task.home.folder / MADE_FILE)
    results = write_results(task)
    return write_model(context, task, dataset_of(context), results, made["orientation"])


def dataset_of(context: Context) -> Dataset:
    """The data set of the run."""
    assert context.dataset is not None  # the method says that it needs one
    return context.dataset


def _identifiers(dataset: Dataset, ids: Sequence[str]) -> list[str]:
    """nnU-Net's names of cases."""
    return [file_identifier(dataset.case(id)) for id in ids]
