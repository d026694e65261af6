"""Volumes and the way back: read, write, reorient, resample, crop, and undo it on the input's own grid.

    prepared = prepare(read_volume("scan.nii.gz"), [Reorient("LPS"), Resample((1, 1, None))])
    result = prepared.restore(prepared.volume.with_voxels(labels))   # on the grid of scan.nii.gz

Arrays are [k, j, i]; everything else that names axes (spacing, sizes, boxes, points) is in the order i, j, k,
and positions are in LPS millimetres, as in SimpleITK and DICOM.
"""

from SegToolkitLib.volume.checks import (
    as_label,
    check_finite,
    check_label,
    check_not_empty,
    check_range,
)
from SegToolkitLib.volume.dicom import DicomSeries, list_dicom_series, pick_dicom_series, read_dicom_series
from SegToolkitLib.volume.geometry_steps import CropBox, CropPad, PadToMultiple, Reorient, Resample
from SegToolkitLib.volume.grid import Grid
from SegToolkitLib.volume.intensity_steps import ClipPercentile, Window, ZScore
from SegToolkitLib.volume.placing import onto_grid
from SegToolkitLib.volume.preparing import Prepared, Step, prepare
from SegToolkitLib.volume.reading import read_volume
from SegToolkitLib.volume.segmentation import Segment, Segmentation
from SegToolkitLib.volume.segmentation_file import read_segmentation, write_segmentation
from SegToolkitLib.volume.volume import Volume
from SegToolkitLib.volume.writing import write_volume

__all__ = [
    "ClipPercentile",
    "CropBox",
    "CropPad",
    "DicomSeries",
    "Grid",
    "PadToMultiple",
    "Prepared",
    "Reorient",
    "Resample",
    "Segment",
    "Segmentation",
    "Step",
    "Volume",
    "Window",
    "ZScore",
    "as_label",
    "check_finite",
    "check_label",
    "check_not_empty",
    "check_range",
    "list_dicom_series",
    "onto_grid",
    "pick_dicom_series",
    "prepare",
    "read_dicom_series",
    "read_segmentation",
    "read_volume",
    "write_segmentation",
    "write_volume",
]
