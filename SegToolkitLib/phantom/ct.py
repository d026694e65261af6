"""A synthetic CT of the trunk with 13 organs as large as real ones: for timing and memory, not anatomy.

Organs are ellipsoids of about the size, place and Hounsfield units of the FLARE22 structures, under a smooth
deformation. No voxel comes from a person; a figure of accuracy measured on it says nothing about patients.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.phantom import Phantom
from SegToolkitLib.volume import Volume

AIR, FAT, MUSCLE, LUNG = -1000.0, -100.0, 55.0, -800.0
NOISE = 18.0  # HU, standard deviation
BEND = 6.0  # mm, largest displacement


class Organ(NamedTuple):
    """Centre and half axes in mm (x to the right, y to the front, z to the head), and HU."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    value: float


# In the order of the labels of FLARE22.
ORGANS = (
    Organ((70, 15, 20), (75, 65, 80), 110),  # liver
    Organ((60, -45, -60), (28, 25, 52), 190),  # right kidney
    Organ((-95, -35, 35), (28, 42, 52), 130),  # spleen
    Organ((-25, 20, -25), (65, 14, 16), 85),  # pancreas
    Organ((-12, -35, 0), (11, 11, 140), 260),  # aorta
    Organ((18, -28, 0), (11, 12, 120), 150),  # inferior vena cava
    Organ((38, -38, 12), (9, 8, 16), 75),  # right adrenal gland
    Organ((-38, -34, 10), (9, 8, 16), 75),  # left adrenal gland
    Organ((62, 62, -45), (18, 20, 28), 12),  # gallbladder
    Organ((-14, -20, 105), (9, 8, 45), 50),  # oesophagus
    Organ((-55, 45, 25), (42, 38, 55), 35),  # stomach
    Organ((28, 28, -55), (22, 18, 40), 65),  # duodenum
    Organ((-65, -45, -50), (28, 25, 54), 200),  # left kidney
)


def trunk(
    seed: int,
    *,
    shape: tuple[int, int, int] = (200, 512, 512),
    spacing: tuple[float, float, float] = (0.8, 0.8, 2.5),
) -> Phantom:
    """Draw a trunk plane by plane; memory stays at image and label.

    Args:
        seed: which patient, 0 or more.
        shape: voxels [k, j, i].
        spacing: mm along i, j, k.

    Returns:
        Image (int16, HU) and label (uint8, 1..13 as in FLARE22; 0 elsewhere), axes RAS.
    """
    random = np.random.default_rng(seed)
    phases, waves = random.uniform(0, 2 * np.pi, (3, 3)), random.uniform(60, 140, (3, 3))
    organs = [
        organ._replace(centre=tuple(np.add(organ.centre, random.uniform(-4, 4, 3)))) for organ in ORGANS
    ]
    image, label = np.empty(shape, np.int16), np.zeros(shape, np.uint8)
    z, y, x = (
        ((np.arange(n) - (n - 1) / 2) * mm).astype(np.float32)
        for n, mm in zip(shape, spacing[::-1], strict=True)
    )
    for k, height in enumerate(z):
        # One displacement for each axis: a sum of waves along the three axes.
        shift = BEND / 3 * np.sin(np.array([height, 0, 0])[None] / waves + phases)
        px = x[None] + shift[0].sum() + BEND / 3 * np.sin(y[:, None] / waves[0, 1] + phases[0, 1])
        py = y[:, None] + shift[1].sum() + BEND / 3 * np.sin(x[None] / waves[1, 2] + phases[1, 2])
        image[k] = _plane(px, py, float(height + shift[2].sum()), organs, label[k], random)
    direction = np.diag([-1.0, -1.0, 1.0])
    extent = np.multiply(shape[::-1], spacing)
    origin = (float(extent[0] / 2), float(extent[1] / 2), float(-extent[2] / 2))
    volume = Volume(image, spacing, origin, direction, f"trunk-{seed}")
    return Phantom(volume, volume.with_voxels(label))


def _plane(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    z: float,
    organs: list[Organ],
    label: NDArray[np.uint8],
    random: np.random.Generator,
) -> NDArray[np.int16]:
    """One slice [j, i]; its labels are written into ``label``."""
    body = (x / 180) ** 2 + (y / 120) ** 2
    values = np.where(body < 1, np.where(body < 0.8, MUSCLE, FAT), AIR).astype(np.float32)
    if z > 110:
        for side in (-1, 1):
            values[((x - side * 80) / 62) ** 2 + (y / 85) ** 2 < 1] = LUNG
    for number, organ in enumerate(organs, start=1):
        height = 1 - ((z - organ.centre[2]) / organ.half[2]) ** 2
        if height > 0:
            across = ((x - organ.centre[0]) / organ.half[0]) ** 2
            inside = across + ((y - organ.centre[1]) / organ.half[1]) ** 2 < height
            values[inside], label[inside] = organ.value, number
    values += random.standard_normal(values.shape, np.float32) * np.float32(NOISE)
    return values.round().astype(np.int16)
