"""Checks of the CSSN cases on preparation: orientation, resampling, boxes, folds, learning rates."""

from __future__ import annotations

import numpy as np
import torch

from parity.case import Case, check
from SegToolkitLib.methods.cssn.folds import published_folds
from SegToolkitLib.methods.cssn.layers import normalised
from SegToolkitLib.methods.cssn.plan import Intensity
from SegToolkitLib.methods.cssn.prepare import (
    bounds_of,
    canonical,
    margin_box,
    margin_voxels,
    resample_array,
    resample_mask,
)
from SegToolkitLib.methods.cssn.train import one_hot, released_factor
from SegToolkitLib.volume import Volume

# Of the learning rates in the case, which its description names.
RATE, EPOCHS = 1e-3, 500


def _reoriented(image: np.ndarray, directions_zyx: np.ndarray) -> np.ndarray:
    z, y, x = directions_zyx
    return canonical(Volume(image, (1, 1, 1), (0, 0, 0), np.diag([x, y, z]))).voxels


@check("cssn", "preprocess_and_folds")
def preprocess_and_folds(case: Case) -> None:
    settings = case.settings
    size = settings["target_size"]
    image = case.arrays["image"].astype(settings.get("image_dtype", "int16"))
    label = case.arrays["label"].astype(settings.get("label_dtype", "uint8"))
    spacing = case.arrays["spacing_zyx"].astype(float)
    directions = [name for name in case.arrays if name.startswith("reorient") and "direction" in name]
    for name in directions:
        case.check("labels", _reoriented(image, case.arrays[name]), name.removesuffix("_direction_zyx"))
    resampled, mask = resample_array(image, size), resample_mask(label, size)
    values = "x".join(str(n) for n in sorted(set(size)))
    case.check("labels", resampled, f"image_{values}")
    case.check("rtol", np.array(image.shape) / size, f"image_{values}_zoom")
    case.check("rtol", resample_array(image.astype(np.float32), size), f"image_{values}_float")
    case.check("labels", mask, f"label_{values}")
    intensity = Intensity(window=tuple(settings["window"]))
    scaled = normalised(torch.from_numpy(resampled.astype(np.float32)), intensity, unbiased=False)
    case.check("rtol", scaled, f"image_{values}_norm")
    case.check("boxes", margin_voxels(spacing, settings["extend_mm"]), "margin_vox")
    found = bounds_of(label)
    assert found is not None
    box = margin_box(*found, label.shape, spacing, settings["extend_mm"])
    case.check("boxes", image[box.slices], "crop_image")
    case.check("boxes", label[box.slices], "crop_label")
    organs = len(settings["labels"])
    case.check("labels", one_hot(torch.from_numpy(mask)[None], organs)[0], f"onehot_{organs}")
    _folds(case)
    rates = [RATE * released_factor(int(epoch), EPOCHS) for epoch in case.arrays["lr_epochs"]]
    case.check("lr", np.array(rates, np.float32), "lr_values")


def _folds(case: Case) -> None:
    held_out = {int(name[4:-4]): case.arrays[name] for name in case.arrays if name.startswith("fold")}
    count = sum(len(ids) for ids in held_out.values())
    ids = [f"train_{number:03d}" for number in range(count)]
    share, seed = case.settings["val_ratio"], case.settings["split_seed"]
    splits = published_folds(ids[::-1], share, seed)
    assert sorted(held_out) == list(range(1, len(splits) + 1))
    for fold, split in enumerate(splits, start=1):
        assert sorted((*split.train, *split.val)) == ids
        case.check("folds", np.array([int(id[-3:]) for id in split.val]), f"fold{fold}_val")
