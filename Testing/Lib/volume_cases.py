"""Grids, blobs and files that the volume tests share."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from hypothesis import strategies as st

from SegToolkitLib.volume import Volume


def axis_directions() -> list[np.ndarray]:
    """The 48 directions whose axes run along the patient's: six orders times eight flips."""
    return [
        np.eye(3)[:, list(order)] * np.array(signs)
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    ]


DIRECTIONS = axis_directions()


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    """Turned about x, then y, then z."""
    a, b, c = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


directions = st.builds(
    lambda axes, degrees: rotation(degrees) @ axes,
    st.sampled_from(DIRECTIONS),
    st.one_of(st.just((0.0, 0.0, 0.0)), st.tuples(*[st.floats(-40, 40)] * 3)),
)
spacings = st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 1.37, 3.0, 7.7])] * 3)
origins = st.tuples(*[st.floats(-500, 500)] * 3)
# Thin volumes (one or two voxels along an axis) are as likely as thick ones.
shapes = st.tuples(*[st.one_of(st.integers(1, 2), st.integers(3, 9))] * 3)
codes = st.sampled_from(
    sorted({Volume(np.zeros((1, 1, 1)), (1, 1, 1), (0, 0, 0), d).orientation for d in DIRECTIONS})
)


@st.composite
def label_volumes(draw: st.DrawFn) -> Volume:
    """Small label volumes of random voxels on any grid."""
    shape = draw(shapes)
    random = np.random.default_rng(draw(st.integers(0, 999)))
    voxels = random.integers(0, 4, shape).astype(draw(st.sampled_from(["uint8", "int16"])))
    return Volume(voxels, draw(spacings), draw(origins), draw(directions), "label")


def ellipsoid(
    radii_voxels: tuple[float, float, float], spacing, origin, direction, shift=(0.0, 0.0, 0.0)
) -> Volume:
    """A filled ellipsoid of radii in voxels (i, j, k) with a margin; ``shift`` moves its centre by voxels."""
    size = [int(np.ceil(2.5 * r)) + 3 for r in radii_voxels]
    k, j, i = np.meshgrid(*[np.arange(n) for n in size[::-1]], indexing="ij")
    middle = [(n - 1) / 2 + s for n, s in zip(size, shift, strict=True)]
    parts = [((x - m) / r) ** 2 for x, m, r in zip((i, j, k), middle, radii_voxels, strict=True)]
    return Volume((sum(parts) < 1).astype(np.uint8), spacing, origin, direction, "ellipsoid")


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks, 0..1."""
    a, b = np.asarray(a) > 0, np.asarray(b) > 0
    return float(2 * (a & b).sum() / max(a.sum() + b.sum(), 1))


def oblique(dtype: str = "int16", shape: tuple[int, int, int] = (4, 5, 6)) -> Volume:
    """A small volume with everything that a format can get wrong."""
    voxels = np.random.default_rng(7).integers(0, 100, shape).astype(dtype)
    direction = rotation((10, -20, 30)) @ DIRECTIONS[13]
    return Volume(voxels, (0.8, 1.1, 2.5), (-12.5, 33.0, 101.25), direction, "oblique")


def write_dicom(
    folder: Path, uid: str, *, count=4, gap=2.5, number=1, modality="CT", name="thin", skip=()
) -> np.ndarray:
    """Slices of a sagittal-like series with shuffled file names; the voxels [k, j, i] that they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(number).integers(-1000, 1000, (count, 6, 5)).astype(np.int16)
    direction = rotation((0, 15, 0)) @ DIRECTIONS[16]
    row, column, normal = direction[:, 0], direction[:, 1], np.cross(direction[:, 0], direction[:, 1])
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(count):
        if index in skip:
            continue
        image = sitk.GetImageFromArray(voxels[index][np.newaxis])
        image.SetSpacing((0.7, 0.9, gap))
        position = np.array([10.0, -20.0, 30.0]) + index * gap * normal
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"{uid}.{index + 1}",
            "0008|0060": modality,
            "0008|103e": name,
            "0010|0010": "Nobody",
            "0020|000d": "1.2.3.4",
            "0020|000e": uid,
            "0020|0011": str(number),
            "0020|0013": str(index + 1),
            "0020|0032": "\\".join(f"{p:.6f}" for p in position),
            "0020|0037": "\\".join(f"{v:.8f}" for v in (*row, *column)),
            "0028|1052": "0",
            "0028|1053": "1",
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        # Names in the opposite order of the places: files must be sorted by position.
        writer.SetFileName(str(folder / f"{name}{count - index:03d}.dcm"))
        writer.Execute(image)
    return voxels
