"""DICOM studies as a scanner sends them: one series of CT images, or one enhanced MR file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

from SegToolkitLib.volume import Grid


def make_series(
    folder: Path, grid: Grid, voxels: np.ndarray | None = None, *, shift=(0.0, 0.0, 0.0)
) -> list[Path]:
    """One CT file for each slice k of a grid; ``shift`` (mm, LPS) from slice to slice tilts the stack.

    The names of the files run against the order of the slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    common = _patient(CTImageStorage, "CT")
    count = grid.shape[0]
    paths = []
    for k in range(count):
        one = Dataset()
        one.update(common)
        one.SOPInstanceUID = generate_uid()
        one.InstanceNumber = count - k
        position = grid.world([[0, 0, k]])[0] + k * np.array(shift)
        one.ImagePositionPatient = _decimals(position)
        one.ImageOrientationPatient = _decimals(grid.direction[:, :2].T.ravel())
        one.PixelSpacing = _decimals((grid.spacing[1], grid.spacing[0]))
        one.SliceThickness = _decimals((grid.spacing[2],))[0]
        one.RescaleIntercept, one.RescaleSlope = 0, 1
        pixels = np.zeros(grid.shape[1:], np.int16) if voxels is None else voxels[k].astype(np.int16)
        _fill(one, pixels)
        paths.append(_written(one, folder / f"IM{count - k:04d}"))
    return paths


def make_enhanced(folder: Path, grid: Grid) -> Path:
    """One enhanced MR file whose frames run from the last slice of the grid to the first."""
    folder.mkdir(parents=True, exist_ok=True)
    one = _patient(EnhancedMRImageStorage, "MR")
    one.SOPInstanceUID = generate_uid()
    one.InstanceNumber = 1
    one.NumberOfFrames = grid.shape[0]
    one.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = _decimals((grid.spacing[1], grid.spacing[0]))
    measures.SliceThickness = measures.SpacingBetweenSlices = _decimals((grid.spacing[2],))[0]
    orientation.ImageOrientationPatient = _decimals(grid.direction[:, :2].T.ravel())
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    one.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for number, k in enumerate(reversed(range(grid.shape[0])), 1):
        frame, place, content = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = _decimals(grid.world([[0, 0, k]])[0])
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = (
            "1",
            number,
            [1, number],
        )
        frame.PlanePositionSequence, frame.FrameContentSequence = [place], [content]
        frames.append(frame)
    one.PerFrameFunctionalGroupsSequence = frames
    _fill(one, np.zeros(grid.shape, np.int16))
    return _written(one, folder / "enhanced")


def _patient(kind: str, modality: str) -> Dataset:
    one = Dataset()
    one.SOPClassUID, one.Modality = kind, modality
    one.SpecificCharacterSet = "ISO_IR 192"
    one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = (
        "Nobody^Ärla",
        "42",
        "19700101",
        "O",
    )
    one.StudyInstanceUID, one.SeriesInstanceUID = generate_uid(), generate_uid()
    one.FrameOfReferenceUID = generate_uid()
    one.StudyDate, one.StudyTime, one.StudyID, one.AccessionNumber = "20240102", "101112", "7", "A1"
    one.ReferringPhysicianName = ""
    one.SeriesNumber, one.SeriesDescription = 3, "portal"
    one.Manufacturer, one.ImageType = "Nobody", ["ORIGINAL", "PRIMARY", "AXIAL"]
    one.PositionReferenceIndicator = ""
    return one


def _fill(one: Dataset, pixels: np.ndarray) -> None:
    one.Rows, one.Columns = pixels.shape[-2:]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
    one.PixelData = pixels.astype("<i2").tobytes()


def _written(one: Dataset, path: Path) -> Path:
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.save_as(path, enforce_file_format=True)
    return path


def _decimals(values) -> list[str]:
    """As scanners write them: decimal strings of at most sixteen characters."""
    return [f"{value:.9g}"[:16] for value in values]
