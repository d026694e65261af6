"""Validation within a run, on the slices of held-out scans.

Source: the released code chooses its best networks by the mean IoU of all pixels of all slices after the
shape correction, the background included. The other figures are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.overlap import overlaps
from SegToolkitLib.methods.cooperative.data import Batch, validation_slices
from SegToolkitLib.methods.cooperative.network import Networks
from SegToolkitLib.methods.cooperative.predict import largest_of_each
from SegToolkitLib.methods.cooperative.scans import Scan
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.stn import predict

METRIC = "iou"


def validate(
    networks: Networks,
    scans: Sequence[Scan],
    settings: CooperativeSettings,
    names: Mapping[int, str],
    device: torch.device,
) -> dict[str, float]:
    """Segment all slices of scans as the model would.

    Args:
        networks: in evaluation mode, on ``device``.
        scans: with labels; at least one.
        settings: of the run.
        names: class -> name, without the background.
        device: where to work.

    Returns:
        "iou": mean over the classes that occur, the background included, over all pixels together;
        "accuracy": share of pixels that are right; "dice": mean over the structures of the mean over those
        volumes in which they occur or were found, and "dice_<name>" for each; with shape correction also
        "iou_uncorrected", of the prediction before it.
    """
    tables = [Confusion(networks.classes) for _ in range(2)]
    dice = []
    for scan in scans:
        batch = slices_of(scan, settings)
        truth = batch.labels.numpy()
        first, last = _found(networks, batch, settings, device)
        tables[0].add(truth, first)
        tables[1].add(truth, last)
        dice.append(overlaps(truth, last, list(names)).dice(both_empty=math.nan))
    uncorrected, table = tables
    figures = {METRIC: table.mean_iou, "accuracy": table.accuracy}
    if settings.inference.passes > 1:
        figures["iou_uncorrected"] = uncorrected.mean_iou
    return figures | _dice(np.stack(dice), list(names.values()))


def slices_of(scan: Scan, settings: CooperativeSettings) -> Batch:
    """The slices of a held-out scan as the settings want them for the validation."""
    return validation_slices(scan, settings.data, settings.input, settings.augment.pad, settings.seed)


def _found(
    networks: Networks, batch: Batch, settings: CooperativeSettings, device: torch.device
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Classes [slices, rows, columns] before and after the shape correction."""
    plan = settings.inference
    parts = [predict(networks, images.to(device), plan) for images in batch.images.split(plan.chunk)]
    first = torch.cat([part.first.argmax(1).cpu() for part in parts]).numpy()
    last = torch.cat([part.labels(plan.average).byte().cpu() for part in parts]).numpy()
    return first, largest_of_each(last) if plan.largest_component else last


def _dice(scores: NDArray[np.float64], names: Sequence[str]) -> dict[str, float]:
    """Means of [scans, classes], NaN where a structure neither is nor was found."""
    by_name = {
        f"dice_{'_'.join(name.split())}": float(column[~np.isnan(column)].mean())
        for name, column in zip(names, scores.T, strict=True)
        if not np.isnan(column).all()
    }
    return {"dice": float(np.mean(list(by_name.values()))) if by_name else 0.0} | by_name
