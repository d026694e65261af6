"""Superpixel pseudo-labels: what ALPNet learns from instead of annotations.

Every axial slice is cut into Felzenszwalb superpixels; those inside the patient become classes of
training episodes. Source: Ouyang et al., ECCV 2020, section 3.1; Felzenszwalb & Huttenlocher, IJCV
2004.
"""

from __future__ import annotations

import concurrent.futures
import math
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label as connected_components
from skimage.segmentation import felzenszwalb

from SegToolkitLib.errors import SegToolkitError


@dataclass(frozen=True)
class SuperpixelSettings:
    """How pseudo-labels are made; the defaults are the authors' "MIDDLE" superpixels.

    Attributes:
        scale, sigma, min_size: Felzenszwalb's; sigma in pixels, min_size in pixels.
        threshold: patient-mask threshold: a number in image units, "otsu" (of the volume), or
            "percentile:30" (of the volume).
        rule: "present" numbers the superpixels inside the mask 1..K; "compat" is the authors'
            relabelling with its lost first superpixel and its gaps.
    """

    scale: float = 1.0
    sigma: float = 1.0
    min_size: int = 400
    threshold: float | str = "otsu"
    rule: Literal["present", "compat"] = "present"

    def __post_init__(self) -> None:
        if not (0 < self.scale < math.inf and 0 <= self.sigma < math.inf and self.min_size >= 1):
            raise SegToolkitError(
                "bad-superpixels",
                f"Superpixels cannot have scale {self.scale}, sigma {self.sigma}, min_size {self.min_size}.",
                "Give a scale above 0, a sigma of 0 or more and a size of at least 1 pixel.",
            )


def threshold_value(volume: NDArray, threshold: float | str) -> float:
    """Turn a threshold setting into intensity units of ``volume`` [k, j, i].

    Raises:
        SegToolkitError: the setting is neither a number, "otsu" nor "percentile:N".
    """
    text = str(threshold)
    try:
        if text == "otsu":
            return float(threshold_otsu(volume)) if volume.min() < volume.max() else float(volume.min())
        if text.startswith("percentile:"):
            return float(np.percentile(volume, float(text.split(":", 1)[1])))
        return float(text)
    except ValueError as error:
        raise SegToolkitError(
            "bad-threshold",
            f"The patient-mask threshold {threshold!r} is not understood.",
            'Give a number in image units, "otsu", or "percentile:N" with N between 0 and 100.',
        ) from error


def patient_mask(image: NDArray, threshold: float) -> NDArray[np.bool_]:
    """Largest 8-connected region above ``threshold`` in a slice [j, i], its holes filled."""
    above = image > threshold
    if not above.any():
        return above
    regions = connected_components(above, connectivity=2)
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    # scipy's default structure is 4-connected, which is the background's complement of 8.
    return ndimage.binary_fill_holes(regions == sizes.argmax())


def raw_superpixels(image: NDArray, settings: SuperpixelSettings) -> NDArray[np.int32]:
    """Felzenszwalb labels of a slice [j, i], numbered 0..M by their lowest pixel index."""
    # Cast without rescaling: the published sizes depend on the 0..255 or raw MR range.
    return felzenszwalb(
        image.astype(np.float64), scale=settings.scale, sigma=settings.sigma, min_size=settings.min_size
    ).astype(np.int32)


def relabel(raw: NDArray, mask: NDArray, rule: Literal["present", "compat"]) -> NDArray[np.int16]:
    """Number the superpixels inside the patient.

    Args:
        raw: labels 0..M [j, i].
        mask: patient mask [j, i].
        rule: see :class:`SuperpixelSettings`.

    Returns:
        int16 [j, i], 0 where there is no pseudo-label.
    """
    if rule == "compat":
        numbers = raw.copy()
        # The authors meant to append the id of raw 0 but append M + 1 to raw M.
        numbers[raw == raw.max()] += 1
        numbers[raw == 0] = 0
        return (numbers * mask).astype(np.int16)
    inside = np.unique(raw[mask.astype(bool)])
    lookup = np.zeros(int(raw.max()) + 1, dtype=np.int16)
    lookup[inside] = np.arange(1, len(inside) + 1)
    return np.where(mask, lookup[raw], 0).astype(np.int16)


def pseudo_labels(image: NDArray, settings: SuperpixelSettings, threshold: float) -> NDArray[np.int16]:
    """Pseudo-labels of one slice [j, i]; ``threshold`` in image units."""
    mask = patient_mask(image, threshold)
    if not mask.any():
        return np.zeros(image.shape, dtype=np.int16)
    return relabel(raw_superpixels(image, settings), mask, settings.rule)


def volume_pseudo_labels(
    volume: NDArray,
    settings: SuperpixelSettings,
    *,
    pool: concurrent.futures.Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.int16]:
    """Pseudo-labels of every slice of a volume [k, j, i].

    Args:
        volume: image after the method's preprocessing, before z-scoring.
        settings: see :class:`SuperpixelSettings`.
        pool: see :func:`worker_pool`; None stays in this process.
        progress: called with (slices done, slices in all).

    Returns:
        int16 [k, j, i]; ids restart at 1 in every slice.
    """
    threshold = threshold_value(volume, settings.threshold)
    jobs = [(plane, settings, threshold) for plane in volume]
    out = np.zeros(volume.shape, dtype=np.int16)
    done = map(_one_slice, jobs) if pool is None else pool.map(_one_slice, jobs, chunksize=4)
    for index, plane in enumerate(done):
        out[index] = plane
        if progress:
            progress(index + 1, len(volume))
    return out


def mask_warning(labels: NDArray) -> str | None:
    """Say in a sentence when a patient mask looks wrong (empty or full), else None."""
    share = float((labels > 0).mean())
    if share == 0:
        return "the patient mask is empty on every slice, so nothing can be learned from this volume"
    if share > 0.98:
        return f"the patient mask covers {share:.0%} of the volume, so air is learned as anatomy"
    return None


def _one_slice(job: tuple[NDArray, SuperpixelSettings, float]) -> NDArray[np.int16]:
    return pseudo_labels(*job)


@contextmanager
def worker_pool(workers: int | None = None) -> Iterator[concurrent.futures.Executor | None]:
    """Processes for several volumes, because starting them takes a second; None for a single worker.

    Args:
        workers: processes; None takes one a core.
    """
    workers = workers or os.cpu_count() or 1
    if workers <= 1:
        yield None
        return
    # "spawn", because forking a process that has used torch's thread pool can hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield pool


def preview(image: NDArray, labels: NDArray) -> NDArray[np.uint8]:
    """Picture of the superpixel borders on a slice: [j, i] and [j, i] -> RGB [j, i, 3]."""
    low, high = np.percentile(image, (1, 99.5))
    grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    picture = np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=2)
    borders = np.zeros(labels.shape, dtype=bool)
    borders[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    borders[1:] |= labels[1:] != labels[:-1]
    picture[borders] = (255, 200, 0)
    return picture
