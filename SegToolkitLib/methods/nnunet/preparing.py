"""From a data set to nnU-Net's preprocessed volumes: each step is done once, and told case by case.

The work of each step is nnU-Net's own; only the going through the cases is ours, so that a run can be stopped
between two of them and goes on with the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.batch import for_each_case, raise_failures
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet.home import Home, planner_of
from SegToolkitLib.methods.nnunet.package import quiet
from SegToolkitLib.methods.nnunet.settings import PlanSettings
from SegToolkitLib.validation import read_json

Tell = Callable[[str, int, int], None]
# Voxels of structures whose intensities are looked at, of all cases together: as many as nnU-Net takes.
VOXELS = 10**8
PERCENTILES = {"percentile_00_5": 0.5, "median": 50.0, "percentile_99_5": 99.5}


@dataclass(frozen=True)
class _Job:
    """A case for another process; ``more`` is what the step needs besides."""

    images: tuple[str, ...]
    label: str
    more: tuple[Any, ...]


def make_fingerprint(home: Home, workers: int, tell: Tell) -> None:
    """Measure the cases of the raw folder, where that has not been done.

    Args:
        home: holds the raw data set.
        workers: processes besides this one; 0 works in this one.
        tell: hears of phase, cases done and in all; what it raises ends the work.

    Raises:
        SegToolkitError: "empty-label": no case shows a structure; "cases-failed".
    """
    if home.fingerprint.is_file():
        return
    cases = _raw_cases(home)
    each = VOXELS // len(cases)
    jobs = {name: _Job(*files, (home.raw / "dataset.json", each)) for name, files in cases.items()}
    found: dict[str, Any] = {}
    failures = for_each_case(
        _measured,
        jobs,
        found.__setitem__,
        workers or 1,
        lambda done, total, _: tell("measuring", done, total),
    )
    raise_failures(failures, len(jobs), "measured")
    write_json(home.fingerprint, _summary([found[name] for name in jobs]))


def _measured(job: _Job) -> tuple[Any, ...]:
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import (
        DatasetFingerprintExtractor,
    )
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    file, voxels = job.more
    with quiet():
        reader = determine_reader_writer_from_dataset_json(read_json(file), job.images[0], verbose=False)
        found: tuple[Any, ...] = DatasetFingerprintExtractor.analyze_case(
            list(job.images), job.label, reader, voxels
        )
    return found


def _summary(measured: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """What nnU-Net keeps of (shape, spacing, intensities by channel, _, part that was cut) of each case."""
    shapes, spacings, intensities, _, parts = zip(*measured, strict=True)
    channels = {}
    for channel, each in enumerate(zip(*intensities, strict=True)):
        seen = np.concatenate(each)
        if not len(seen):
            raise SegToolkitError(
                "empty-label",
                "No case shows a structure.",
                "Check the labels, and the values under 'labels' in the dataset.json.",
            )
        marks = np.percentile(seen, list(PERCENTILES.values()))
        channels[str(channel)] = {
            **{name: float(mark) for name, mark in zip(PERCENTILES, marks, strict=True)},
            **{name: float(getattr(seen, name)()) for name in ("mean", "std", "min", "max")},
        }
    return {
        "spacings": [[float(mm) for mm in one] for one in spacings],
        "shapes_after_crop": [[int(n) for n in one] for one in shapes],
        "foreground_intensity_properties_per_channel": channels,
        "median_relative_size_after_cropping": float(np.median(parts)),
    }


def make_plans(home: Home, settings: PlanSettings) -> dict[str, Any]:
    """nnU-Net's plans, made where they are not there yet.

    Args:
        home: holds the raw data set and the fingerprint.
        settings: what is asked for.

    Raises:
        SegToolkitError: "no-configuration": the plans do not have the one that is asked for.
    """
    file = home.plans(settings)
    if not file.is_file():
        # Of processes that augment: planning takes it for threads.
        with home.active(nnUNet_n_proc_DA="1"):
            asked = {} if settings.memory_gb is None else {"gpu_memory_target_in_gb": settings.memory_gb}
            planner = planner_of(settings)(home.title, **asked)
            planner.UNet_base_num_features = settings.features
            # Written below, as a whole or not at all.
            planner.save_plans = lambda plans: None
            made = planner.plan_experiment()
        plans = json.loads(json.dumps(made, default=_plain))
        if settings.batch is not None:
            for configuration in plans["configurations"].values():
                if "batch_size" in configuration:
                    configuration["batch_size"] = settings.batch
        write_json(file, plans)
    plans = read_json(file)
    known = [name for name in plans["configurations"] if "cascade" not in name]
    if settings.configuration not in known:
        raise SegToolkitError(
            "no-configuration",
            f"nnU-Net plans no {settings.configuration} for these volumes: it would bring nothing.",
            f"Choose plan.configuration among {', '.join(known)}.",
        )
    return plans


def preprocess(home: Home, settings: PlanSettings, workers: int, tell: Tell) -> None:
    """Bring the cases to the configuration's grid, those that are not there yet.

    Args:
        home: holds the raw data set and the plans.
        settings: configuration and planner.
        workers, tell: as in :func:`make_fingerprint`.

    Raises:
        SegToolkitError: "cases-failed".
    """
    plans = read_json(home.plans(settings))
    out = home.preprocessed / plans["configurations"][settings.configuration]["data_identifier"]
    cases = _raw_cases(home)
    # A case that a killed process was writing has files already: only the marks count.
    marks = {name: out / "done" / name for name in cases}
    missing = [name for name in cases if not marks[name].is_file()]
    (out / "done").mkdir(parents=True, exist_ok=True)
    more = (home.plans(settings), settings.configuration, home.raw / "dataset.json")
    failures = for_each_case(
        _preprocessed,
        {name: _Job(*cases[name], (*more, out / name)) for name in missing},
        lambda name, _result: marks[name].touch(),
        workers or 1,
        lambda done, total, _: tell("preprocessing", done, total),
        len(cases) - len(missing),
    )
    raise_failures(failures, len(cases), "preprocessed")


def _preprocessed(job: _Job) -> None:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans, configuration, dataset, out = job.more
    for ending in (".b2nd", "_seg.b2nd", ".pkl"):  # what a killed process left would be in the way
        out.with_name(out.name + ending).unlink(missing_ok=True)
    with quiet():
        manager = PlansManager(read_json(plans))
        chosen = manager.get_configuration(configuration)
        chosen.preprocessor_class(verbose=False).run_case_save(
            str(out), list(job.images), job.label, manager, chosen, read_json(dataset)
        )


def _raw_cases(home: Home) -> dict[str, tuple[tuple[str, ...], str]]:
    """nnU-Net's name of each case -> its images and its label."""
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    found: Mapping[str, Any] = get_filenames_of_train_images_and_targets(
        str(home.raw), read_json(home.raw / "dataset.json")
    )
    return {name: (tuple(map(str, one["images"])), str(one["label"])) for name, one in found.items()}


def _plain(value: Any) -> Any:
    """A number or list of numpy as JSON has it."""
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)


def title_in(folder: Path) -> str | None:
    """Name of the data set in a folder's ``raw``, where it is there as a whole."""
    return next((place.name for place in sorted((folder / "raw").glob("Dataset*"))), None)
