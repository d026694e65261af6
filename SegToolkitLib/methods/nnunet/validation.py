"""Validation within a run, on the grid of the plans: of whole cases, or of patches as nnU-Net has it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.evaluation.overlay import overlay_picture, telling_slices
from SegToolkitLib.methods.nnunet.batches import Batches
from SegToolkitLib.methods.nnunet.predictor import predictor_of
from SegToolkitLib.volume import Volume

METRIC = "dice"
STEP = 0.5
SHOWN_SLICES = 4


@dataclass(frozen=True)
class Example:
    """A held-out case with what was found in it.

    Attributes:
        name: nnU-Net's.
        image, truth, found: [z, y, x] on the plans' grid, image normalised, others classes.
        voxel: (z, y, x) in mm.
        dice: mean over its structures.
    """

    name: str
    image: NDArray[np.float32]
    truth: NDArray[np.uint8]
    found: NDArray[np.uint8]
    voxel: tuple[float, ...]
    dice: float


def of_cases(
    trainer: Any, cases: Sequence[str], names: Mapping[int, str]
) -> tuple[dict[str, float], Example]:
    """Segment whole cases by sliding window without mirroring, and compare with their labels.

    Args:
        trainer: its network in evaluation mode.
        cases: nnU-Net's names; at least one.
        names: class -> name, without the background.

    Returns:
        Mean over cases and structures ("dice"), and over cases for each of several structures
        ("dice_<name>"); a structure that is absent and not found does not count. And the first case.
    """
    predictor = predictor_of(trainer.device, STEP, False, False, lambda done, total: None)
    plans, configuration = trainer.plans_manager, trainer.configuration_manager
    kind = type(trainer).__name__
    predictor.manual_initialization(
        trainer.network, plans, configuration, [{}], trainer.dataset_json, kind, None
    )
    labels = trainer.label_manager
    dataset = trainer.dataloader_val._data  # of nnU-Net's class for the folder
    scores, example = [], None
    trainer.set_deep_supervision_enabled(False)
    try:
        for name in cases:
            data, label, _, _ = dataset.load_case(name)
            image = np.asarray(data[:])
            logits: Tensor = predictor.predict_sliding_window_return_logits(torch.from_numpy(image))
            classes: Tensor = labels.convert_logits_to_segmentation(logits)
            found = classes.cpu().numpy().astype(np.uint8)
            truth = np.asarray(label[:])[0]
            scores.append(_dice(found, truth, list(names), labels.ignore_label))
            if example is None:
                seen = np.where(truth > 0, truth, 0).astype(np.uint8)
                example = Example(name, image[0], seen, found, _voxel(trainer), _mean(scores[0]))
    finally:
        trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
    table = np.asarray(scores)
    assert example is not None
    figures = {METRIC: _mean(table)}
    if len(names) > 1:
        by_structure = zip(names.values(), table.T, strict=True)
        figures |= {f"dice_{'_'.join(name.split())}": _mean(column) for name, column in by_structure}
    return figures, example


def of_patches(trainer: Any, batches: Batches, count: int, names: Mapping[int, str]) -> dict[str, float]:
    """What nnU-Net calls pseudo Dice: of all voxels of some batches together, by its own counting.

    Args:
        trainer: its network in evaluation mode.
        batches: of held-out cases.
        count: how many batches, from number 0.
        names: class -> name, without the background.

    Returns:
        "dice", "dice_<name>" for each of several structures, and "loss" without PDCR.
    """
    taken = [trainer.validation_step(batches.draw(number)) for number in range(count)]
    tp, fp, fn = (np.sum([one[f"{kind}_hard"] for one in taken], 0) for kind in ("tp", "fp", "fn"))
    sizes = 2 * tp + fp + fn
    dice = np.where(sizes > 0, 2 * tp / np.maximum(sizes, 1), np.nan)
    figures = {METRIC: _mean(dice)}
    if len(names) > 1:
        pairs = zip(names.values(), dice, strict=True)
        figures |= {f"dice_{'_'.join(name.split())}": _mean(one) for name, one in pairs}
    return figures | {"loss": float(np.mean([one["loss"] for one in taken]))}


def example_picture(example: Example, names: Mapping[int, str], path: Path) -> Path:
    """Write a few slices of an example: truth as lines, prediction as fills."""
    z, y, x = example.voxel
    image = Volume(example.image, (x, y, z), (0, 0, 0), np.eye(3), example.name)
    overlay_picture(
        image,
        image.with_voxels(example.found),
        path,
        truth=image.with_voxels(example.truth),
        slices=telling_slices(example.truth, SHOWN_SLICES),
        columns=SHOWN_SLICES,
        names=dict(names),
        title=f"Case {example.name}: Dice {example.dice:.2f}",
    )
    return path


def _dice(
    found: NDArray[Any], truth: NDArray[Any], classes: Sequence[int], ignored: int | None
) -> list[float]:
    """Of each class; NaN where it is absent and not found."""
    counts = np.ones(truth.shape, bool) if ignored is None else truth != ignored
    scores = []
    for value in classes:
        a, b = (found == value) & counts, (truth == value) & counts
        size = int(a.sum()) + int(b.sum())
        scores.append(2 * int((a & b).sum()) / size if size else math.nan)
    return scores


def _mean(values: Any) -> float:
    """Without those that are not defined; 0 where none is, because a figure must be a number."""
    kept = np.asarray(values, float)
    kept = kept[~np.isnan(kept)]
    return float(kept.mean()) if len(kept) else 0.0


def _voxel(trainer: Any) -> tuple[float, ...]:
    """(z, y, x) in mm; slices of the 2-D configuration keep their own distance, which is not looked up."""
    spacing = tuple(float(mm) for mm in trainer.configuration_manager.spacing)
    return spacing if len(spacing) == 3 else (max(spacing), *spacing)
