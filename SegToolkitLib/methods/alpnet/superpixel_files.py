"""Pseudo-labels as files: made once, found again, and a picture of them."""

from __future__ import annotations

import contextlib
import hashlib
from concurrent.futures import Executor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from skimage.io import imsave

from SegToolkitLib.atomic import replacing, write_json
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.superpixels import (
    SuperpixelSettings,
    mask_warning,
    preview,
    volume_pseudo_labels,
)
from SegToolkitLib.validation import read_json
from SegToolkitLib.volume import Volume, read_volume, write_volume

# Which setting of a training is which of the superpixels'; the smallest size is part of the file's name.
TRAINING_SETTINGS = {
    "scale": "data.superpixel_scale",
    "sigma": "data.superpixel_sigma",
    "threshold": "data.threshold",
    "rule": "data.superpixel_rule",
}


def superpixel_name(options: SuperpixelSettings) -> str:
    """The authors' name for their setting ("MIDDLE"), else the smallest size in pixels."""
    middle = (options.scale, options.sigma, options.min_size) == (1.0, 1.0, 400)
    return "superpix-MIDDLE" if middle else f"superpix-{options.min_size}"


def pseudo_labels_of(
    id: str,
    image: Volume,
    options: SuperpixelSettings,
    folder: Path,
    reporter: Reporter,
    pool: Executor | None = None,
    *,
    hint: str = "Give another threshold (--fg-threshold).",
    replace: bool = True,
) -> Volume:
    """Pseudo-labels of one volume, read from ``folder`` or made and written there.

    The settings and the image's checksum are kept beside each file, so that labels made with other
    settings or of another image are made again. A file without such a record is taken as it is.

    Args:
        id: of the case.
        image: the prepared volume.
        options: how to make them.
        folder: of the files.
        reporter: hears of odd patient masks.
        pool: worker processes; None makes them in this one.
        hint: what to do about an odd patient mask.
        replace: labels made with other settings; otherwise they are somebody's, and an error.

    Raises:
        SegToolkitError: "superpixels-differ" for labels of another size, or with other settings.
    """
    stem = folder / f"{superpixel_name(options)}_{id}"
    file, record = stem.with_name(stem.name + ".nii.gz"), stem.with_name(stem.name + ".json")
    made_with = _record(image, options)
    if file.exists() and (not record.exists() or read_json(record) == made_with):
        labels = read_volume(file, label=True)
        if labels.voxels.shape == image.voxels.shape:
            return labels.with_voxels(labels.voxels.astype(np.int16))
        raise SegToolkitError(
            "superpixels-differ",
            f"{file} has another size than its image.",
            "Delete it, or give another folder for the superpixels.",
        )
    if file.exists() and not replace:
        _check_settings(file, read_json(record), made_with)
    labels = image.with_voxels(volume_pseudo_labels(image.voxels, options, pool=pool))
    # Without its labels the record is harmless; labels without a record would pass for somebody's own.
    file.unlink(missing_ok=True)
    if complaint := mask_warning(labels.voxels):
        reporter.warning(f"Case {id}: {complaint}.", hint)
    write_json(record, made_with)
    write_volume(labels, file)
    return labels


def _check_settings(file: Path, found: dict[str, Any], asked: dict[str, Any]) -> None:
    differing = [name for name in TRAINING_SETTINGS if found.get(name) != asked[name]]
    if not differing:
        return
    there, here = (", ".join(f"{name} {made.get(name)}" for name in differing) for made in (found, asked))
    settings = " ".join(f"--set {TRAINING_SETTINGS[name]}={found.get(name)}" for name in differing)
    raise SegToolkitError(
        "superpixels-differ",
        f"{file} was made with {there}; this training asks for {here}.",
        f"Train on what is there ({settings}), or give another folder for the superpixels.",
    )


def _record(image: Volume, options: SuperpixelSettings) -> dict[str, Any]:
    """What decides the labels: the settings and the image."""
    threshold = options.threshold
    with contextlib.suppress(ValueError):
        # "50.0001" of a command line is the 50.0001 of a description.
        threshold = float(threshold)
    return {
        **asdict(options),
        "threshold": threshold,
        "shape": list(image.voxels.shape),
        "image_sha256": hashlib.sha256(np.ascontiguousarray(image.voxels).tobytes()).hexdigest(),
    }


def preview_picture(image: Volume, labels: Volume, path: Path, slices: int = 4) -> None:
    """Write a picture of the superpixel borders on a few slices of a volume."""
    depth = len(image.voxels)
    chosen = (
        [int((n + 0.5) * depth / slices) for n in range(slices)] if depth >= slices else list(range(depth))
    )
    row = np.concatenate([preview(image.voxels[k], labels.voxels[k]) for k in chosen], axis=1)
    with replacing(path) as temporary:
        imsave(temporary, row, check_contrast=False)
