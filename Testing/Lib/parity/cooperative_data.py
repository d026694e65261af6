"""Checks of the cooperative cases on data and evaluation; the specification's section 9 explains each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity.case import Case, check
from SegToolkitLib.evaluation.artefacts import terms
from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.corruption_draws import AnyDrawn, Bias, Ghosting, Motion, Spike
from SegToolkitLib.evaluation.corruptions import apply
from SegToolkitLib.evaluation.overlap import overlaps
from SegToolkitLib.methods.cooperative import augment
from SegToolkitLib.methods.cooperative.prepare import ResampleInPlane, ScalePercentiles
from SegToolkitLib.methods.cooperative.slices import centre, fitted, padded, rescaled
from SegToolkitLib.methods.cooperative.splits import acdc_split
from SegToolkitLib.volume import Step, Volume
from SegToolkitLib.volume.slicewise import FitInPlane, rescaled_slices

EXCEPT = re.compile(r"exact except at most (\S+) percent of (\w+) for ([\w/]+).*")
# Which slice the training arrays are of, where the case does not say.
TRAINING_SLICE = 1


def with_sentences(case: Case, groups: dict[str, Sequence[str]]) -> Case:
    """The same case with one tolerance sentence for each expected array.

    The cases name several arrays or groups in one key ("a/b"), give numbers as objects, and name the arrays
    that a sentence is milder to within it.

    Args:
        case: as loaded.
        groups: name of a tolerance -> beginnings of the names of the arrays that it holds for.
    """
    stated: dict[str, Any] = {
        name: value for key, value in case.spec["tolerance"].items() for name in key.split("/")
    }
    sentences = {}
    for array in case.arrays:
        fitting = [name for name, starts in groups.items() if array.startswith(tuple(starts))]
        named = next((name for name in (array, *fitting, "all") if name in stated), None)
        if named is not None:
            sentences[array] = _sentence(stated[named], array)
    return replace(case, spec={**case.spec, "tolerance": sentences})


def _sentence(value: Any, array: str) -> str:
    if isinstance(value, dict) and set(value) == {"atol"}:
        # In these words, because NaN where NaN is expected meets them.
        return f"max abs diff <= {value['atol']}"
    if isinstance(value, dict):
        return " ".join(f"{name} {value[name]}" for name in ("rtol", "atol") if name in value)
    match = EXCEPT.fullmatch(str(value))
    if match is None:
        return str(value)
    share, unit, arrays = match.groups()
    return f"exact on >= {100 - float(share)} % of {unit}" if array in arrays.split("/") else "exact"


@check("cooperative", "data_pipeline")
def data_pipeline(case: Case) -> None:
    labels = [name for name in case.arrays if name.endswith("_label")]
    case = with_sentences(case, {"labels": labels, "images": [""]})
    settings = case.settings
    crop, pad = tuple(settings["crop"]), tuple(settings["pad"])
    spacing = tuple(float(step) for step in case.arrays["in_spacing_xyz"])
    image = Volume(case.arrays["in_volume"], spacing, (0, 0, 0), np.eye(3))
    label = image.with_voxels(case.arrays["in_label"])

    def step(what: Step, name: str) -> None:
        nonlocal image, label
        image = what.apply(image)[0]
        label = what.apply(label, label=True)[0] if what.geometric else label
        case.hold(image.voxels, name)
        case.hold(label.voxels, f"{name}_label")
        # Each step by itself: what was allowed to differ before it must not count twice.
        image = image.with_voxels(case.arrays.get(name, image.voxels))
        label = label.with_voxels(case.arrays.get(f"{name}_label", label.voxels))

    step(ScalePercentiles(*settings.get("percentiles", (2, 98))), "normalised")
    step(ResampleInPlane(settings["target_spacing"]), "resampled")
    number = settings.get("slice", TRAINING_SLICE)
    one, one_label = image.voxels[number], label.voxels[number]
    step(FitInPlane(crop), "cropped")
    case.hold(rescaled_slices(image.voxels), "cropped_minmax_per_slice")
    case.hold(fitted(one, crop), "origin_image")
    case.hold(fitted(one_label, crop), "origin_label")
    one, one_label = padded(one, one_label, pad)
    case.hold(one, "padded_image")
    case.hold(one_label, "padded_label")
    one, one_label = (
        case.arrays.get(name, made) for name, made in (("padded_image", one), ("padded_label", one_label))
    )
    box = centre(one.shape, crop)
    case.hold(rescaled(one[box]), "train_slice_image")
    case.hold(one_label[box], "train_slice_label")
    _changes(case, one, one_label)


def _changes(case: Case, image: np.ndarray, label: np.ndarray) -> None:
    """Each change of a padded slice by itself."""
    found = {}
    if "in_affine_rot_tx_ty_zx_zy" in case.arrays:
        rotation, rows, columns, zoom_rows, zoom_columns = case.arrays["in_affine_rot_tx_ty_zx_zy"].tolist()
        matrix = augment.affine(image.shape, rotation, (rows, columns), (zoom_rows, zoom_columns))
        found["affine"] = augment.transformed(image, label, matrix)
    if "in_rotate_degrees" in case.arrays:
        matrix = augment.affine(image.shape, float(case.arrays["in_rotate_degrees"][0]))
        found["rotate"] = augment.transformed(image, label, matrix)
    if "in_elastic_dx" in case.arrays:
        alpha, sigma = case.arrays["in_elastic_alpha_sigma"].tolist()
        noise = np.stack([case.arrays["in_elastic_dx"], case.arrays["in_elastic_dy"]])
        found["elastic"] = augment.deformed(image, label, augment.Elastic(alpha, sigma, noise))
    for name, (changed, its_label) in found.items():
        case.hold(changed, f"{name}_image")
        case.hold(its_label, f"{name}_label")
    if "in_contrast_brightness" in case.arrays:
        case.hold(
            augment.contrasted(image, *case.arrays["in_contrast_brightness"].tolist()), "contrast_image"
        )


@check("cooperative", "evaluation")
def evaluation(case: Case) -> None:
    rescaled_names = [name for name in case.arrays if "rescaled" in name]
    groups = {
        "rescaled": rescaled_names,
        "splits": ["split_"],
        "iou": ["mean_iou", "iou"],
        **{name: [name] for name in ("dice", "bias", "spike", "ghost", "motion")},
    }
    case = with_sentences(case, groups)
    if "in_gt" in case.arrays:
        _overlap(case)
    _splits(case)
    if "in_corruption_volume" in case.arrays:
        _corruptions(case)


def _overlap(case: Case) -> None:
    truth, found = case.arrays["in_gt"], case.arrays["in_pred"]
    for name in [name for name in case.arrays if name.startswith("dice_per_volume")]:
        classes = range(1, case.arrays[name].shape[1] + 1)
        scores = [overlaps(a, b, classes).dice(np.nan) for a, b in zip(truth, found, strict=True)]
        case.hold(np.stack(scores), name)
    per_class = case.arrays.get("iou_per_class")
    confusion = Confusion(int(max(truth.max(), found.max())) + 1 if per_class is None else len(per_class))
    for a, b in zip(truth, found, strict=True):
        confusion.add(a, b)
    case.hold(confusion.iou, "iou_per_class")
    case.hold(np.array([confusion.mean_iou]), "mean_iou_incl_background")


def _splits(case: Case) -> None:
    """Lists of patients as released: rows are the draws 0, 1, ...; the overlap stays in the validation."""
    for name, expected in case.arrays.items():
        rows = range(len(expected)) if expected.ndim == 2 else ()
        if match := re.fullmatch(r"split_train_(setting|fraction)_(.+)", name):
            word = match[2]
            setting: Any = float(word) if match[1] == "fraction" else int(word) if word.isdecimal() else word
            case.hold(np.array([acdc_split(setting, cval).train for cval in rows]), name)
        elif name == "split_validate":
            case.hold(np.array([acdc_split(10, cval, keep_leak=True).validate for cval in rows]), name)
        elif name == "split_test":
            case.hold(np.array(acdc_split("standard").test), name)
        elif name == "split_standard_train":
            case.hold(np.array(acdc_split("standard").train), name)
        elif name == "split_standard_validate":
            case.hold(np.array(acdc_split("standard").validate), name)


def _corruptions(case: Case) -> None:
    volume = Volume(case.arrays["in_corruption_volume"], (1, 1, 1), (0, 0, 0), np.eye(3))
    for name, drawn in _drawn(case).items():
        found = apply(volume, drawn).voxels
        case.hold(found, f"{name}_image")
        case.hold(rescaled_slices(found), f"{name}_image_rescaled_per_slice")


def _drawn(case: Case) -> dict[str, AnyDrawn]:
    values = {name: array.tolist() for name, array in case.arrays.items() if name.startswith("in_")}
    found: dict[str, AnyDrawn] = {}
    if coefficients := values.get("in_bias_coefficients"):
        order = next(n for n in range(7) if len(terms(n)) == len(coefficients))
        found["bias"] = Bias(coefficients=coefficients, order=order)
    if positions := values.get("in_spike_position"):
        found["spike"] = Spike(positions=positions, intensity=values["in_spike_intensity"][0])
    if ghosts := values.get("in_ghost_n_axis_intensity"):
        found["ghost"] = Ghosting(ghosts=int(ghosts[0]), axis=int(ghosts[1]), intensity=ghosts[2])
    if degrees := values.get("in_motion_degrees"):
        found["motion"] = Motion(
            degrees=degrees,
            translation=values["in_motion_translation"],
            times=values["in_motion_times"],
            frame="voxels",
        )
    return found
