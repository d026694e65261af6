"""A segmentation as a DICOM SEG file that refers, image by image, to the series it was made on.

The object is DICOM's "Segmentation Storage" (PS3.3, A.51), type BINARY: one bit a voxel, one frame for each
segment and image that has some of it. Patient and study are copied from the series. highdicom writes it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from SegToolkitLib import __version__
from SegToolkitLib.anatomy import terminology_of
from SegToolkitLib.atomic import replacing
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.dicom_planes import Plane, on_planes
from SegToolkitLib.volume.grid import Triple
from SegToolkitLib.volume.segmentation import Segment, Segmentation
from SegToolkitLib.volume.volume import Volume

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom import Dataset

# DICOM's value representation LO.
LONGEST_TEXT = 64
# Category and type, as in Slicer, of a segment that nobody named: code, scheme, meaning.
TISSUE = ("85756007", "SCT", "Tissue")
# The seven fields of Slicer's terminology; the first and the fifth name the list that a term is from.
CATEGORY, TYPE, TYPE_MODIFIER, REGION, REGION_MODIFIER = 1, 2, 3, 5, 6
LARGEST_NUMBER = 2**31 - 1


@dataclass(frozen=True)
class Algorithm:
    """What made the segmentation; without one the segments are said to be drawn by hand.

    Args:
        name: of the model.
        version: of it; this program's if "".
    """

    name: str
    version: str = ""


@dataclass(frozen=True)
class DicomSeg:
    """What was written.

    Attributes:
        path: the file.
        series_uid, instance_uid: of the new series and the one instance in it.
        frames: how many.
        segments: names, by segment number from 1.
        left_out: names of segments without a voxel: DICOM SEG has no frame to say it with.
    """

    path: Path
    series_uid: str
    instance_uid: str
    frames: int
    segments: tuple[str, ...]
    left_out: tuple[str, ...]


def write_dicom_seg(
    segmentation: Segmentation,
    series: Sequence[str | os.PathLike[str]],
    target: str | os.PathLike[str],
    *,
    algorithm: Algorithm | None = None,
    description: str = "",
) -> DicomSeg:
    """Write segments as one DICOM SEG file, atomically.

    Args:
        segmentation: on the grid of the series; cropped, turned and flipped grids of the same voxels fit.
            Segments may overlap.
        series: its files, one image each in any order, or one enhanced (multi-frame) file.
        target: the file to write.
        algorithm: what made the segments.
        description: of the new series.

    Raises:
        SegToolkitError: "missing-dicom-packages", "dicom-seg-empty", "dicom-seg-source" (the files are no
            images of one series in a patient), "dicom-seg-grid", "dicom-repeated", "write-failed".
    """
    hd = _highdicom()
    sources = _sources(series)
    planes = _planes(sources)
    present = _present(segmentation)
    kept = [s for s in segmentation.segments if s.label in present]
    if not kept:
        raise SegToolkitError(
            "dicom-seg-empty",
            f"{segmentation.labels.name or 'The segmentation'} has no voxel in any segment.",
            "There is nothing to write.",
        )
    pixels = _pixels(segmentation, kept, planes)
    first = sources[0]
    try:
        dataset = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=pixels,
            segmentation_type="BINARY",
            segment_descriptions=[_described(n, s, algorithm) for n, s in enumerate(kept, 1)],
            series_instance_uid=hd.UID(),
            series_number=_series_number(first),
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="SegToolkit",
            manufacturer_model_name="SegToolkitLib",
            software_versions=__version__,
            device_serial_number="0",
        )
    except (AttributeError, ValueError, TypeError, KeyError) as error:
        # highdicom copies and checks what the series says of patient, study and frame of reference.
        raise _bad_source(f"{series[0]} lacks what a DICOM SEG must repeat ({error})") from error
    dataset.SeriesDescription = (description or "Segmentation")[:LONGEST_TEXT]
    dataset.ContentLabel = "SEGMENTATION"
    dataset.ContentDescription = dataset.SeriesDescription
    with replacing(target) as temporary:
        dataset.save_as(temporary)
    return DicomSeg(
        path=Path(target),
        series_uid=str(dataset.SeriesInstanceUID),
        instance_uid=str(dataset.SOPInstanceUID),
        frames=int(dataset.NumberOfFrames),
        segments=tuple(s.name for s in kept),
        left_out=tuple(s.name for s in segmentation.segments if s not in kept),
    )


def _highdicom() -> Any:
    try:
        import highdicom
    except ImportError as error:
        raise SegToolkitError(
            "missing-dicom-packages",
            "DICOM SEG files are written by the Python package highdicom, which is not installed here.",
            "Install it: pip install highdicom. 3D Slicer brings it along.",
        ) from error
    return highdicom


def _sources(series: Sequence[str | os.PathLike[str]]) -> list[Dataset]:
    """The headers of the files."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    if not series:
        raise _bad_source("No DICOM file was given")
    found: list[Dataset] = []
    for name in series:
        try:
            found.append(pydicom.dcmread(name, stop_before_pixels=True))
        except (OSError, InvalidDicomError) as error:
            raise _bad_source(f"{name} cannot be read as DICOM ({error})") from error
    uids = {str(one.get("SeriesInstanceUID", "")) for one in found}
    if len(uids) > 1:
        raise _bad_source(f"The files belong to {len(uids)} series")
    if len(found) > 1 and any(int(one.get("NumberOfFrames", 1) or 1) > 1 for one in found):
        raise _bad_source("The series has several multi-frame files")
    return found


def _planes(sources: list[Dataset]) -> list[Plane]:
    """One plane for each image, or for each frame of the one enhanced file."""
    only = sources[0]
    if len(sources) == 1 and "PerFrameFunctionalGroupsSequence" in only:
        frames = [_placement(only, item) for item in only.PerFrameFunctionalGroupsSequence]
    else:
        frames = [_placement(one) for one in sources]
    planes = []
    for position, orientation, (between_rows, between_columns) in frames:
        right, down = np.reshape(orientation, (2, 3)) * [[between_columns], [between_rows]]
        place = (_triple(position), _triple(right), _triple(down))
        planes.append(Plane(*place, rows=int(only.Rows), columns=int(only.Columns)))
    if len({(one.get("Rows"), one.get("Columns")) for one in sources}) > 1:
        raise _bad_source("The images of the series have several sizes")
    return planes


def _placement(source: Dataset, frame: Dataset | None = None) -> tuple[list[float], list[float], list[float]]:
    """Position, orientation (6) and spacing (between rows, between columns) of an image or a frame."""
    shared = source.get("SharedFunctionalGroupsSequence")
    groups = [item for item in (frame, shared[0] if shared else None) if item is not None]
    values = []
    for keyword, group, count in (
        ("ImagePositionPatient", "PlanePositionSequence", 3),
        ("ImageOrientationPatient", "PlaneOrientationSequence", 6),
        ("PixelSpacing", "PixelMeasuresSequence", 2),
    ):
        places = [source, *(item[group][0] for item in groups if group in item)]
        value = next((place[keyword].value for place in places if keyword in place), None)
        if value is None or len(value) != count:
            raise _bad_source(
                f"{getattr(source, 'filename', 'An image')} does not say where it lies ({keyword})"
            )
        values.append([float(number) for number in value])
    return values[0], values[1], values[2]


def _present(segmentation: Segmentation) -> set[int]:
    """The labels that have a voxel; those of different layers are different."""
    volumes = segmentation.layers or (segmentation.labels,)
    return {int(value) for volume in volumes for plane in volume.voxels for value in np.unique(plane)}


def _pixels(segmentation: Segmentation, kept: list[Segment], planes: list[Plane]) -> np.ndarray:
    """Segment numbers [plane, row, column]; [plane, row, column, segment] of 0 and 1 if segments overlap."""
    if segmentation.overlapping:
        masks = [segmentation.mask(s) for s in kept]
        return np.stack([on_planes(_as_uint8(mask), planes) for mask in masks], axis=-1)
    labels = segmentation.labels
    number_of = np.zeros(int(labels.voxels.max()) + 1, np.uint8 if len(kept) < 256 else np.uint16)
    for number, segment in enumerate(kept, 1):
        number_of[segment.label] = number
    return on_planes(labels.with_voxels(number_of[labels.voxels]), planes)


def _as_uint8(mask: Volume) -> Volume:
    return mask.with_voxels(mask.voxels.astype(np.uint8))


def _described(number: int, segment: Segment, algorithm: Algorithm | None) -> SegmentDescription:
    import highdicom as hd
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    terms = _terms(segment.terminology)
    if terms[TYPE] is None or terms[TYPE] == CodedConcept(*TISSUE):
        # Nobody chose a term; but the name may say which it is.
        terms = _terms(terminology_of(segment.name) or segment.terminology)
    region, tissue = terms[REGION], CodedConcept(*TISSUE)
    identification = None
    if algorithm is not None:
        identification = hd.AlgorithmIdentificationSequence(
            name=algorithm.name[:LONGEST_TEXT],
            family=codes.cid7162.ArtificialIntelligence,
            version=(algorithm.version or __version__)[:LONGEST_TEXT],
        )
    described = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name[:LONGEST_TEXT],
        segmented_property_category=terms[CATEGORY] or tissue,
        segmented_property_type=terms[TYPE] or tissue,
        algorithm_type="AUTOMATIC" if algorithm is not None else "MANUAL",
        algorithm_identification=identification,
        anatomic_regions=[region] if region is not None else None,
    )
    if (modifier := terms[TYPE_MODIFIER]) is not None:
        described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    if region is not None and (modifier := terms[REGION_MODIFIER]) is not None:
        described.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [modifier]
    described.RecommendedDisplayCIELabValue = list(_cielab(segment.colour))
    return described


def _terms(terminology: str) -> list[CodedConcept | None]:
    """The seven fields of Slicer's terminology."""
    return [_code(field) for field in (terminology.split("~") + [""] * 7)[:7]]


def _code(field: str) -> CodedConcept | None:
    """One term of Slicer's terminology, ``scheme^code^meaning``; None where it is empty."""
    from highdicom.sr import CodedConcept

    scheme, value, meaning = ([*field.split("^"), "", ""])[:3]
    if not (scheme and value and meaning):
        return None
    return CodedConcept(value, scheme, meaning[:LONGEST_TEXT])


def _cielab(colour: Sequence[float]) -> tuple[int, int, int]:
    """CIELab as DICOM writes it (PS3.3, C.10.7.1.1: 16 bits a channel) of red, green, blue in 0..1.

    The white is D65, as in DCMTK and highdicom.
    """
    from highdicom.color import CIELabColor
    from skimage.color import rgb2lab

    lightness, a, b = rgb2lab(np.clip(np.array(colour, float), 0, 1)[None, None])[0, 0]
    lab = CIELabColor(float(np.clip(lightness, 0, 100)), float(a), float(b))
    return lab.value


def _series_number(source: Dataset) -> int:
    """Scanners number what is made from series n like this; what cannot be counted so becomes 1."""
    number = 100 * int(source.get("SeriesNumber") or 0) + 1
    return number if 0 < number <= LARGEST_NUMBER else 1


def _triple(values: Sequence[float] | np.ndarray) -> Triple:
    return float(values[0]), float(values[1]), float(values[2])


def _bad_source(text: str) -> SegToolkitError:
    return SegToolkitError(
        "dicom-seg-source",
        f"{text}.",
        "Give all files of the one DICOM series that was segmented, as the scanner or archive sent them.",
    )
