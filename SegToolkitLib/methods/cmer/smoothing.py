"""Where the border of an object goes in images, given what is surely inside and surely outside of it.

Both ways are scikit-image's. Sources: L. Grady, Random walks for image segmentation, IEEE TPAMI 2006 (here
with several images at once); P. Marquez-Neila et al., A morphological approach to curvature-based evolution
of curves and surfaces, IEEE TPAMI 2014 (geodesic). Imports no torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import (
    inverse_gaussian_gradient,
    morphological_geodesic_active_contour,
    random_walker,
)

from SegToolkitLib.methods.cmer.refine_settings import RefineSettings

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Box = tuple[slice, slice, slice]

# Of random_walker's labels.
OBJECT, BACKGROUND = 1, 2
# A tenth of its default: labels, not probabilities, are wanted.
TOLERANCE = 1e-2
# Standard deviation of the gradient's filter in voxels.
SIGMA = 1.0
# Slices may be so many times as thick as pixels are large to be looked at together.
THICK = 2.0


def smoothed(
    images: Sequence[Floats],
    start: Bools,
    sure: Bools,
    sure_not: Bools,
    spacing: Sequence[float],
    settings: RefineSettings,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Bools, int]:
    """Move the border of an object to the edges of images.

    The time is bounded: edges are looked for in a box around what may be object alone, of at most
    ``most_voxels`` voxels at a time, with at most 30 iterations (scikit-image's own limit) or ``steps``.

    Args:
        images: registered, 0 to 1, each [Z, Y, X].
        start: the object as the maps say [Z, Y, X].
        sure, sure_not: voxels that stay object, and background.
        spacing: mm along z, y, x.
        settings: what is done, and where.
        progress: is told of boxes that are done.

    Returns:
        The object, and how many slices were too large to be looked at.
    """
    result = start.copy()
    if settings.smoothing == "none":
        return result, 0
    pieces, left_out = _pieces(~sure_not, spacing, settings), 0
    for done, box in enumerate(pieces, start=1):
        if start[box].size > settings.most_voxels:
            left_out += 1
        else:
            cut = np.stack([image[box] for image in images], -1)
            result[box] = _in_box(cut, start[box], sure[box], sure_not[box], spacing, settings)
        if progress is not None:
            progress(done, len(pieces))
    return result, left_out


def _pieces(possible: Bools, spacing: Sequence[float], settings: RefineSettings) -> list[Box]:
    """Boxes around what may be object: one for the volume, or one for each slice."""
    whole = _around(possible, spacing, settings)
    if whole is None:
        return []
    voxels = int(np.prod([one.stop - one.start for one in whole]))
    # The border of a thick slice says little of where it is in the next one.
    solid = (
        spacing[0] <= THICK * max(spacing[1:]) if settings.region == "auto" else settings.region == "volume"
    )
    if solid and voxels <= settings.most_voxels:
        return [whole]
    found = []
    for k in range(whole[0].start, whole[0].stop):
        own = _around(possible[k : k + 1], spacing, settings)
        if own is not None:
            found.append((slice(k, k + 1), own[1], own[2]))
    return found


def _around(possible: Bools, spacing: Sequence[float], settings: RefineSettings) -> Box | None:
    found = ndimage.find_objects(possible.astype(np.uint8))
    if not found:
        return None
    slices = []
    for one, size, mm in zip(found[0], possible.shape, spacing, strict=True):
        margin = int(np.ceil(settings.margin_mm / mm))
        slices.append(slice(max(0, one.start - margin), min(size, one.stop + margin)))
    return slices[0], slices[1], slices[2]


def _in_box(
    images: Floats,
    start: Bools,
    sure: Bools,
    sure_not: Bools,
    spacing: Sequence[float],
    settings: RefineSettings,
) -> Bools:
    """Of images [Z, Y, X, M]; a single slice is a picture."""
    flat = len(start) == 1
    if flat:
        images, start, sure, sure_not = images[0], start[0], sure[0], sure_not[0]
    spacing = spacing[1:] if flat else spacing
    if settings.smoothing == "geodesic":
        found = _geodesic(images, start, settings)
    else:
        found = _random_walk(images, start, sure, sure_not, spacing, settings)
    found = (found | sure) & ~sure_not
    return found[None] if flat else found


def _random_walk(
    images: Floats,
    start: Bools,
    sure: Bools,
    sure_not: Bools,
    spacing: Sequence[float],
    settings: RefineSettings,
) -> Bools:
    labels = np.zeros(start.shape, np.uint8)
    labels[sure], labels[sure_not] = OBJECT, BACKGROUND
    # Without both kinds, or without a doubt, or without contrast, there is nothing to decide.
    if not sure.any() or not sure_not.any() or labels.all() or images.std() == 0:
        return start
    with warnings.catch_warnings():
        # It says that an optional package would be faster, and that its bound on iterations was reached.
        warnings.simplefilter("ignore")
        found = random_walker(
            images.astype(np.float64),
            labels,
            beta=settings.edges,
            mode="cg_j",
            tol=TOLERANCE,
            spacing=np.asarray(spacing, np.float64) / min(spacing),
            channel_axis=-1,
        )
    # What no seed can reach stays as the maps say: it is marked as such, or left undecided.
    return np.where(found > 0, found == OBJECT, start)


def _geodesic(images: Floats, start: Bools, settings: RefineSettings) -> Bools:
    # Without an edge anywhere it would only make corners round.
    if not start.any() or images.std() == 0:
        return start
    # An edge in any of the images holds the border.
    edges = [
        inverse_gaussian_gradient(images[..., m].astype(np.float64), sigma=SIGMA)
        for m in range(images.shape[-1])
    ]
    found = morphological_geodesic_active_contour(
        np.min(edges, axis=0), settings.steps, init_level_set=start.astype(np.int8), smoothing=1, balloon=0
    )
    return np.asarray(found, np.bool_)
