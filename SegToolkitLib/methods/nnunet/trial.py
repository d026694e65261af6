"""A task on made-up volumes, for the estimate of a run's time and memory.

nnU-Net plans by the sizes of the data set's volumes, of which only the headers are read.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.classes import structures_of
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.in_place import header_of
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet.home import FOLDER, NUMBER, Home
from SegToolkitLib.methods.nnunet.package import quiet
from SegToolkitLib.methods.nnunet.preparing import make_plans
from SegToolkitLib.methods.nnunet.settings import NnunetSettings
from SegToolkitLib.methods.nnunet.train import NnunetTask
from SegToolkitLib.methods.nnunet.trainer import begin_trainer
from SegToolkitLib.volume import Volume, write_volume

HELD_OUT = 4
CASE = "trial"
# Where no data set is given.
SIZE, SPACING = (128, 128, 128), (1.0, 1.0, 1.0)
# The header of each file is read; a few hundred suffice for a median.
MOST_HEADERS = 200

Geometry = tuple[tuple[int, ...], tuple[float, ...]]


def trial(settings: NnunetSettings, dataset: Dataset | None, device: torch.device) -> NnunetTask:
    """A task on noise with as many structures and as large volumes as the data set has.

    Raises:
        SegToolkitError: "no-configuration", "unreadable".
    """
    names = {1: "structure"} if dataset is None else dict(enumerate(structures_of(dataset).values(), start=1))
    modality = "MR" if dataset is None else dataset.description.modality
    sizes: list[Geometry] = [(SIZE, SPACING)]
    if dataset is not None:
        sizes = [_size(case.image) for case in dataset.cases[:MOST_HEADERS]]
    place = tempfile.TemporaryDirectory(prefix="segtoolkit-", ignore_cleanup_errors=True)
    home = Home(Path(place.name) / FOLDER, f"Dataset{NUMBER}_Trial")
    _make_raw(home, names, modality, sizes)
    plans = make_plans(home, settings.plan)
    _make_case(home, plans, settings.plan.configuration, len(names))
    trainer = begin_trainer(home, settings, [CASE], [], device)
    held_out = [CASE] * HELD_OUT if settings.validate_every else []
    return NnunetTask(trainer, settings, home, held_out, names, place)


def _size(file: Path) -> Geometry:
    header = header_of(file)
    if header is None:
        raise SegToolkitError(
            "unreadable", f"The header of {file} could not be read.", "Check the file, or leave the case out."
        )
    size, spacing = (*header.size[:3], 1)[:3], (*header.spacing[:3], 1.0)[:3]
    return tuple(reversed(size)), tuple(reversed(spacing))


def _make_raw(home: Home, names: dict[int, str], modality: str, sizes: list[Geometry]) -> None:
    """What the planner reads: a description, a file to choose the reader by, and measurements."""
    for part in (home.raw / "imagesTr", home.preprocessed):
        part.mkdir(parents=True)
    content = {
        "channel_names": {"0": modality},
        "labels": {"background": 0, **{name: value for value, name in names.items()}},
        "numTraining": len(sizes),
        "file_ending": ".nii.gz",
    }
    write_json(home.raw / "dataset.json", content)
    tiny = Volume(np.zeros((2, 2, 2), np.float32), (1, 1, 1), (0, 0, 0), np.eye(3))
    write_volume(tiny, home.raw / "imagesTr" / f"{CASE}_0000.nii.gz")
    figures = ("percentile_00_5", "median", "percentile_99_5", "mean", "min", "max")
    measured = {
        "spacings": [list(spacing) for _, spacing in sizes],
        "shapes_after_crop": [list(shape) for shape, _ in sizes],
        "foreground_intensity_properties_per_channel": {"0": {**dict.fromkeys(figures, 0.0), "std": 1.0}},
        "median_relative_size_after_cropping": 1.0,
    }
    write_json(home.fingerprint, measured)


def _make_case(home: Home, plans: dict[str, Any], configuration: str, classes: int) -> None:
    """A preprocessed volume of the median size, with a block of each structure."""
    from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    chosen = manager.get_configuration(configuration)
    shape = [max(1, round(float(n))) for n in chosen.median_image_size_in_voxels]
    if len(shape) == 2:
        shape = [max(1, int(plans["original_median_shape_after_transp"][0])), *shape]
    rng = np.random.default_rng(0)
    image = np.broadcast_to(rng.normal(size=(1, 1, *shape[1:])), (1, *shape)).astype(np.float32)
    label = np.zeros((1, *shape), np.int16)
    bounds = np.linspace(shape[1] // 4, max(shape[1] // 4 + classes, 3 * shape[1] // 4), classes + 1).astype(
        int
    )
    places = {}
    for value, (low, high) in enumerate(itertools.pairwise(bounds), start=1):
        label[0, :, low:high, shape[2] // 4 : 3 * shape[2] // 4 + 1] = value
        places[value] = np.argwhere(label == value)[:1000]
    out = home.preprocessed / chosen.data_identifier
    out.mkdir(parents=True)
    patch = tuple(chosen.patch_size)
    blocks, chunks = comp_blosc2_params(image.shape, patch, image.itemsize)
    label_blocks, label_chunks = comp_blosc2_params(label.shape, patch, label.itemsize)
    with quiet():
        nnUNetDatasetBlosc2.save_case(
            image,
            label,
            {"class_locations": places},
            str(out / CASE),
            chunks=chunks,
            blocks=blocks,
            chunks_seg=label_chunks,
            blocks_seg=label_blocks,
        )
