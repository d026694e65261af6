"""Results as files that another program takes up."""

from __future__ import annotations

from pathlib import Path

from SegToolkitLib.volume import Volume, write_volume
from SegToolkitLib.volume.grid import Shape
from SegToolkitLib.volume.lattice import content_box, cut, sub_grid


def write_cropped(labels: Volume, path: Path) -> tuple[Path | None, Shape, Shape]:
    """Write the box of all that is not 0 as an uncompressed NRRD that lies where it was cut.

    Args:
        labels: whole numbers [k, j, i].
        path: ends in ``.nrrd``.

    Returns:
        The file, the voxel (i, j, k) of the whole grid at which it starts, and its size (i, j, k); None and
        zeros, and no file, where everything is 0.
    """
    box = content_box(labels.voxels)
    if box is None:
        return None, (0, 0, 0), (0, 0, 0)
    offset, size = box
    grid = sub_grid(labels.grid, offset, size)
    part = Volume(cut(labels.voxels, offset, size, 0), grid.spacing, grid.origin, grid.direction)
    write_volume(part, path, compress=False)
    return path, offset, size
