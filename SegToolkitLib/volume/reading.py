"""Read one volume, whatever the format."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from SegToolkitLib.volume.checks import as_label, check_finite
from SegToolkitLib.volume.dicom import read_dicom_series
from SegToolkitLib.volume.loading import check_readable, load
from SegToolkitLib.volume.segmentation_file import is_segmentation_name, read_segmentation
from SegToolkitLib.volume.volume import Volume

# Pictures have a print resolution at best, which is no voxel spacing.
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def read_volume(path: str | os.PathLike[str], *, label: bool = False) -> Volume:
    """Read a volume [k, j, i] with its geometry.

    Args:
        path: NIfTI, NRRD, MetaImage, a single DICOM file, a folder with one DICOM series, or a 2D picture
            (PNG, JPEG, TIFF: one slice of spacing 1 mm, in colour [1, j, i, c]).
        label: make the voxels integers; they must be whole numbers (within 1e-3). Of a .seg.nrrd with
            overlapping segments the later segment wins (:func:`read_segmentation` keeps both).

    Raises:
        SegToolkitError: says which file, what is wrong with it and what to do: "missing-file",
            "unreadable-permission", "empty-file", "truncated-file", "not-an-image", "four-dimensional",
            "vector-voxels", "complex-voxels", "not-finite", "bad-spacing", "singular-direction",
            "sheared-direction", "contradictory-header", "no-dicom", "dicom-several-series",
            "label-values", ...
    """
    source = Path(path)
    check_readable(source)
    if source.is_dir():
        volume = read_dicom_series(source)
    elif label and is_segmentation_name(source):
        return read_segmentation(source).labels
    else:
        volume = Volume.from_sitk(load(source), str(source))
    if source.suffix.lower() in PICTURE_SUFFIXES:
        volume = Volume(volume.voxels, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3), str(source))
    check_finite(volume)
    return as_label(volume) if label else volume
