"""A synthetic abdomen, different for every seed: for demonstrations and tests that need no patient's data.

It imitates the look of T2-weighted fat-suppressed MR and the layout of the upper abdomen. It is drawn from
ellipsoids, tubes and random fields: it models no disease and no scanner, no voxel of it comes from a
person, and a figure measured on it says nothing about how well a method does on patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.ndimage import label as connected

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.phantom.anatomy import paint_abdomen
from SegToolkitLib.phantom.canvas import Canvas
from SegToolkitLib.phantom.mr import acquire
from SegToolkitLib.phantom.organs import LEFT_KIDNEY, LIVER, RIGHT_KIDNEY, SPLEEN
from SegToolkitLib.volume import Volume

__all__ = ["LABEL_NAMES", "Phantom", "phantom"]

LABEL_NAMES = {LIVER: "liver", RIGHT_KIDNEY: "right kidney", LEFT_KIDNEY: "left kidney", SPLEEN: "spleen"}
SMALLEST_SIZE, FEWEST_SLICES = 32, 12  # below these the smallest organ could vanish or reach the border

# LAS: i runs to the patient's left, j to the front, k to the head; columns are the axes i, j, k in LPS.
_DIRECTION_LAS = np.diag([1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Phantom:
    """One synthetic patient.

    Attributes:
        image: [k, j, i] int16, 0 to between 720 and 1000, LAS.
        label: [k, j, i] uint8 on the same grid, coded as in ``LABEL_NAMES``; 0 is everything else.
    """

    image: Volume
    label: Volume


def phantom(
    seed: int,
    *,
    size: tuple[int, int] = (256, 256),
    slices: int = 32,
    spacing: tuple[float, float, float] = (1.25, 1.25, 7.7),
    labels_only: bool = False,
) -> Phantom:
    """Draw the abdomen of one synthetic patient.

    The abdomen is stretched to fill the field of view, whatever that measures: a small ``size`` gives a
    coarse picture of the whole abdomen, not a part of it. Equal arguments give equal voxels.

    Args:
        seed: which patient, 0 or more.
        size: voxels along i and j, at least 32 each.
        slices: voxels along k, at least 12.
        spacing: mm along i, j, k.
        labels_only: leave out the intensities, most of the work; the labels stay the same, the
            image is all zeros.

    Raises:
        SegToolkitError: the grid is too small to hold every organ (code "phantom-size"), or the seed is
            negative ("phantom-seed").

    Example:
        >>> patient = phantom(3, size=(64, 64), slices=16)
        >>> patient.image.voxels.shape
        (16, 64, 64)
        >>> sorted(set(patient.label.voxels.flat)) == [0, 1, 2, 3, 4]
        True
    """
    if seed < 0:
        raise SegToolkitError(
            "phantom-seed", f"The seed {seed} is negative.", "Give 0 or a larger whole number."
        )
    if min(size) < SMALLEST_SIZE or slices < FEWEST_SLICES:
        raise SegToolkitError(
            "phantom-size",
            f"A phantom of {size[0]} x {size[1]} x {slices} voxels cannot hold every organ.",
            f"Ask for at least {SMALLEST_SIZE} x {SMALLEST_SIZE} x {FEWEST_SLICES}.",
        )
    # Separate streams: the same patient comes out with and without intensities.
    geometry, deformation, anatomy, texture, scanner = np.random.default_rng(seed).spawn(5)
    stature = (
        float(geometry.uniform(0.88, 1.0)),
        float(geometry.uniform(1.02, 1.22)),
        float(geometry.uniform(0.9, 1.0)),
    )
    canvas = Canvas((slices, size[1], size[0]), deformation, None if labels_only else texture, stature)
    paint_abdomen(canvas, anatomy)
    _drop_crumbs(canvas.label)
    if canvas.image is None:
        voxels = np.zeros(canvas.label.shape, dtype=np.int16)
    else:
        voxels = acquire(canvas.image, scanner)
    x, y, z = geometry.uniform([-30, -20, -60], [30, 20, 60])
    extent = np.multiply((size[0], size[1], slices), spacing)
    image = Volume(
        voxels=voxels,
        spacing=spacing,
        origin=(float(x - extent[0] / 2), float(y + extent[1] / 2), float(z - extent[2] / 2)),
        direction=_DIRECTION_LAS.copy(),
        name=f"phantom-{seed}",
    )
    return Phantom(image, image.with_voxels(canvas.label))


def _drop_crumbs(labels: NDArray[np.uint8]) -> None:
    """Keep the largest piece of every organ: cutting one solid out of another can leave single voxels."""
    for code, box in enumerate(find_objects(labels), start=1):
        if box is None:
            continue
        region = labels[box]
        pieces, count = connected(region == code)
        if count > 1:
            largest = np.argmax(np.bincount(pieces.ravel())[1:]) + 1
            region[(pieces > 0) & (pieces != largest)] = 0
