"""Validation within a run, on images that the fold holds out: nothing of it looks at a test set.

Source of the measures: released code of PDCR and UAFR. The released training chooses its weights on the test
images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.image_scores import score_table
from SegToolkitLib.evaluation.summary import mean_of
from SegToolkitLib.methods.pdcr_uafr.network import DeepLab
from SegToolkitLib.methods.pdcr_uafr.predict import raw
from SegToolkitLib.methods.pdcr_uafr.reading import Scan
from SegToolkitLib.methods.pdcr_uafr.resizing import classes_at
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings
from SegToolkitLib.methods.pdcr_uafr.slices import normalised

METRIC = "foreground_iou"


def validate(
    network: DeepLab,
    scans: Sequence[Scan],
    settings: PdcrUafrSettings,
    names: Mapping[int, str],
    device: torch.device,
) -> dict[str, float]:
    """Segment all slices of cases as the model would, and compare at the cases' own size.

    Args:
        network: in evaluation mode, on ``device``.
        scans: with their truth; at least one.
        settings: of the run.
        names: class -> name, without the background.
        device: where to work.

    Returns:
        Means over cases: "foreground_iou" and "foreground_dice" of the structures, "all_class_iou" and
        "all_class_dice" with the background, "accuracy"; "dice_<name>" of each of several structures;
        "cross_entropy" of the validation, at the network's size. A case that neither shows a structure nor
        was given one has no value; "undefined" says how many those are.
    """
    tables, entropies = [], []
    for scan in scans:
        table = Confusion(len(names) + 1)
        for start in range(0, len(scan.arrays["image"]), settings.inference.chunk):
            here = slice(start, start + settings.inference.chunk)
            images = normalised(np.asarray(scan.arrays["image"][here]), settings.input).to(device)
            logits, _ = raw(network, images, device, settings.precision)
            masks = torch.from_numpy(scan.arrays["mask"][here].astype(np.int64)).to(device)
            entropies += F.cross_entropy(logits, masks, reduction="none").mean((1, 2)).tolist()
            truth = np.asarray(scan.arrays["truth"][here])
            found = classes_at(logits, truth.shape[1:], settings.inference.resize)
            table.add(truth, found.byte().cpu().numpy())
        tables.append(table)
    scores = score_table(tables)
    # A figure must be a number: where nothing is defined, nothing was found or missed.
    figures = {name: _number(one.mean) for name, one in scores.macro.items()}
    ordered = {METRIC: figures.pop(METRIC)} | figures
    if len(names) > 1:
        dice = np.stack([table.dice for table in tables])
        for number, name in names.items():
            ordered[f"dice_{'_'.join(name.split())}"] = _number(mean_of(dice[:, number].tolist()).mean)
    undefined = scores.undefined[METRIC]
    ordered["cross_entropy"] = float(np.mean(entropies))
    return ordered | ({"undefined": float(undefined)} if undefined else {})


def _number(value: float) -> float:
    return 0.0 if math.isnan(value) else value
