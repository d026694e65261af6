"""DICOM SEG files: every voxel where it was, every frame tied to its image, or refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.color import CIELabColor

from dicom_study import make_enhanced, make_series
from SegToolkitLib.anatomy import terminology_of
from SegToolkitLib.cli import main
from SegToolkitLib.dicom_seg import Algorithm, write_dicom_seg
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.store import ModelStore
from SegToolkitLib.volume import (
    Grid,
    Reorient,
    Segment,
    Segmentation,
    Volume,
    prepare,
    read_dicom_series,
    write_segmentation,
    write_volume,
)
from SegToolkitLib.volume.segmentation_writer import UNSPECIFIED_TERM
from test_models_card import make_card
from volume_cases import rotation
from worker_driver import Worker

AXIAL = Grid((6, 9, 7), (0.8, 0.9, 2.5), (10, -20, 30), np.eye(3))
SERIES = {
    "axial": AXIAL,
    "towards the feet": Grid((6, 9, 7), (0.8, 0.9, 2.5), (10, -20, 30), np.diag([1.0, -1.0, -1.0])),
    "coronal": Grid(
        (6, 9, 7), (0.8, 0.9, 2.5), (10, -20, 30), np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    ),
    "oblique": Grid((6, 9, 7), (0.712, 0.712, 3.3), (-180.25, 4, 1e3), rotation((10, 15, -20))),
    "one image": Grid((1, 9, 7), (0.8, 0.9, 2.5), (10, -20, 30), rotation((10, 15, -20))),
}
SEGMENTS = [
    Segment(3, "left kidney", (0.7, 0.4, 0.3), terminology_of("left kidney")),
    Segment(7, "seam", (0, 1, 0), ""),
]


def labels_on(grid: Grid) -> Volume:
    """Two structures that are the same neither turned nor flipped."""
    voxels = np.zeros(grid.shape, np.uint8)
    voxels[: max(1, grid.shape[0] - 2), 2:5, 1:4] = 3
    voxels[0, 2, 1] = 0
    voxels[grid.shape[0] // 2 :, 6:8, 3:6] = 7
    return Volume(voxels, grid.spacing, grid.origin, grid.direction, "labels")


def as_read(folder: Path) -> Volume:
    """The labels on the grid that the library reads the series with."""
    return labels_on(read_dicom_series(folder).grid)


def found_points(path: Path) -> dict[str, np.ndarray]:
    """LPS mm [N, 3] of each segment's voxels, sorted, told by the frames' own positions and sizes."""
    seg = hd.seg.segread(path)
    names = {s.SegmentNumber: s.SegmentLabel for s in seg.SegmentSequence}
    shared = seg.SharedFunctionalGroupsSequence[0]
    between_rows, between_columns = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    towards = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    points: dict[str, list[np.ndarray]] = {name: [] for name in names.values()}
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for frame, item in zip(pixels, seg.PerFrameFunctionalGroupsSequence, strict=True):
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(frame)
        places = position + np.outer(columns * between_columns, towards[0])
        points[names[number]].append(places + np.outer(rows * between_rows, towards[1]))
    return {name: ordered(np.concatenate(some)) for name, some in points.items()}


def wanted_points(labels: Volume) -> dict[str, np.ndarray]:
    """The same of labels, by the grid of their volume."""
    return {s.name: ordered(labels.world(np.argwhere(labels.voxels == s.label)[:, ::-1])) for s in SEGMENTS}


def ordered(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(points.round(2).T)]


def assert_same_points(path: Path, labels: Volume) -> None:
    found, wanted = found_points(path), wanted_points(labels)
    assert found.keys() == wanted.keys()
    for name, points in wanted.items():
        np.testing.assert_allclose(found[name], points, atol=2e-3, err_msg=name)


@pytest.mark.parametrize("name", SERIES)
def test_every_voxel_lies_where_it_was_and_every_frame_names_its_image(tmp_path, name):
    files = make_series(tmp_path / "series", SERIES[name])
    labels = as_read(tmp_path / "series")
    written = write_dicom_seg(Segmentation(labels, SEGMENTS), files, tmp_path / "seg.dcm")
    assert written.segments == ("left kidney", "seam")
    assert_same_points(tmp_path / "seg.dcm", labels)
    sources = {str(h.SOPInstanceUID): h for h in map(pydicom.dcmread, files)}
    seg = hd.seg.segread(tmp_path / "seg.dcm")
    assert written.frames == len(seg.PerFrameFunctionalGroupsSequence)
    for item in seg.PerFrameFunctionalGroupsSequence:
        uid = item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert item.PlanePositionSequence[0].ImagePositionPatient == sources[uid].ImagePositionPatient
    source = next(iter(sources.values()))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID", "AccessionNumber"):
        assert seg[keyword].value == source[keyword].value
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    assert seg.SeriesInstanceUID == written.series_uid != source.SeriesInstanceUID


@pytest.mark.parametrize("code", ["LPS", "RAS", "SRP", "AIL"])
def test_turned_and_flipped_labels_come_to_the_same_place(tmp_path, code):
    files = make_series(tmp_path / "series", SERIES["oblique"])
    labels = as_read(tmp_path / "series")
    turned = prepare(labels, [Reorient(code)]).volume
    assert turned.orientation == code
    write_dicom_seg(Segmentation(turned, SEGMENTS), files, tmp_path / "seg.dcm")
    assert_same_points(tmp_path / "seg.dcm", labels)


@pytest.mark.parametrize("code", ["LPS", "RAS"])
def test_labels_cropped_to_what_was_found_are_put_back(tmp_path, code):
    files = make_series(tmp_path / "series", SERIES["oblique"])
    labels = as_read(tmp_path / "series")
    k, j, i = (axis.min() for axis in np.nonzero(labels.voxels))
    cropped = Volume(
        labels.voxels[k:, j:8, i:6], labels.spacing, labels.world([[i, j, k]])[0], labels.direction
    )
    cropped = prepare(cropped, [Reorient(code)]).volume
    write_dicom_seg(Segmentation(cropped, SEGMENTS), files, tmp_path / "seg.dcm")
    assert_same_points(tmp_path / "seg.dcm", labels)


def test_a_tilted_gantry_keeps_its_tilt(tmp_path):
    files = make_series(tmp_path / "series", AXIAL, shift=(0, 0.7, 0))
    labels = as_read(tmp_path / "series")
    assert labels.grid.sheared
    write_dicom_seg(Segmentation(labels, SEGMENTS), files, tmp_path / "seg.dcm")
    assert_same_points(tmp_path / "seg.dcm", labels)


def test_frames_of_an_enhanced_file_are_found_in_their_own_order(tmp_path):
    path = make_enhanced(tmp_path, SERIES["oblique"])
    labels = labels_on(SERIES["oblique"])
    write_dicom_seg(Segmentation(labels, SEGMENTS), [path], tmp_path / "seg.dcm")
    assert_same_points(tmp_path / "seg.dcm", labels)


def test_overlapping_segments_keep_all_their_voxels(tmp_path):
    files = make_series(tmp_path / "series", AXIAL)
    whole, part = as_read(tmp_path / "series"), np.zeros(AXIAL.shape, np.uint8)
    part[1:3, 2:4, 1:3] = 7
    layers = (whole.with_voxels(np.where(whole.voxels == 3, 3, 0)), whole.with_voxels(part))
    segments = [SEGMENTS[0], Segment(7, "seam", (0, 1, 0), layer=1)]
    merged = whole.with_voxels(np.where(part, part, layers[0].voxels))
    write_dicom_seg(Segmentation(merged, segments, layers), files, tmp_path / "seg.dcm")
    found = found_points(tmp_path / "seg.dcm")
    assert {name: len(points) for name, points in found.items()} == {
        "left kidney": np.count_nonzero(layers[0].voxels),
        "seam": np.count_nonzero(part),
    }


def test_segments_carry_terms_colours_and_what_made_them(tmp_path):
    files = make_series(tmp_path / "series", AXIAL)
    entry = (
        "Segmentation category and type - DICOM master list~SCT^49755003^Morphologically Altered Structure"
        "~SCT^4147007^Mass~^^~Anatomic codes - DICOM master list~SCT^64033007^Kidney~SCT^7771000^Left"
    )
    segments = [
        SEGMENTS[0],
        Segment(7, "mass", (0, 1, 0), entry),
        Segment(9, "nowhere", (1, 0, 0)),
        Segment(5, "Spleen", (0, 0, 1)),  # without a term: known by its name
        Segment(6, "x" * 80, (0, 0, 1)),  # neither
    ]
    labels = as_read(tmp_path / "series")
    labels.voxels[5, 0, :2] = 5, 6
    written = write_dicom_seg(
        Segmentation(labels, segments),
        files,
        tmp_path / "seg.dcm",
        algorithm=Algorithm("Thirteen organs", "2"),
        description="by model",
    )
    assert written.left_out == ("nowhere",)
    seg = hd.seg.segread(tmp_path / "seg.dcm")
    assert (seg.SeriesDescription, seg.SeriesNumber, seg.Modality) == ("by model", 301, "SEG")
    kidney, mass, spleen, unknown = seg.SegmentSequence
    assert [s.SegmentNumber for s in seg.SegmentSequence] == [1, 2, 3, 4]
    assert _term(kidney.SegmentedPropertyCategoryCodeSequence) == "SCT^123037004^Anatomical Structure"
    kind = kidney.SegmentedPropertyTypeCodeSequence
    assert _term(kind) == "SCT^64033007^Kidney"
    assert _term(kind[0].SegmentedPropertyTypeModifierCodeSequence) == "SCT^7771000^Left"
    assert _term(mass.AnatomicRegionSequence) == "SCT^64033007^Kidney"
    assert _term(mass.AnatomicRegionSequence[0].AnatomicRegionModifierSequence) == "SCT^7771000^Left"
    assert _term(spleen.SegmentedPropertyTypeCodeSequence) == "SCT^78961009^Spleen"
    assert _term(unknown.SegmentedPropertyTypeCodeSequence) == "SCT^85756007^Tissue"
    assert unknown.SegmentLabel == "x" * 64
    assert kidney.SegmentAlgorithmType == "AUTOMATIC"
    assert kidney.SegmentAlgorithmName == "Thirteen organs"
    for segment, colour in zip(seg.SegmentSequence, [(179, 102, 77), (0, 255, 0), (0, 0, 255)], strict=False):
        shown = CIELabColor.from_dicom_value(list(segment.RecommendedDisplayCIELabValue)).to_rgb(clip=True)
        np.testing.assert_allclose(shown, colour, atol=2)


def _term(sequence) -> str:
    one = sequence[0]
    return f"{one.CodingSchemeDesignator}^{one.CodeValue}^{one.CodeMeaning}"


def moved(**changes):
    """Labels of the axial series with another grid."""
    volume = labels_on(AXIAL)
    grid = {"spacing": volume.spacing, "origin": volume.origin, "direction": volume.direction, **changes}
    return Segmentation(Volume(volume.voxels, **grid, name="labels"), SEGMENTS)


def edited(files: list[Path], change) -> list[Path]:
    """The files after a change of their headers."""
    for number, path in enumerate(files):
        header = pydicom.dcmread(path)
        change(header, number)
        header.save_as(path)
    return files


def without(keyword):
    return lambda header, number: header.pop(keyword)


def padded() -> Segmentation:
    """Labels whose grid begins a voxel before the series', and that use it."""
    volume = labels_on(AXIAL)
    voxels = np.pad(volume.voxels, ((0, 0), (0, 0), (1, 0)))
    voxels[2, 2, 0] = 3
    return Segmentation(Volume(voxels, volume.spacing, (9.2, -20, 30), volume.direction), SEGMENTS)


@pytest.mark.parametrize(
    ("segmentation", "change", "code", "words"),
    [
        (moved(origin=(10.4, -20, 30)), None, "dicom-seg-grid", "0.5 voxels beside"),
        (moved(origin=(10, -20, 30.6)), None, "dicom-seg-grid", "beside"),
        (moved(spacing=(0.82, 0.9, 2.5)), None, "dicom-seg-grid", "beside"),
        (moved(spacing=(3.2, 0.9, 2.5)), None, "dicom-seg-grid", "another size"),
        (moved(spacing=(0.8, 0.9, 2.7)), None, "dicom-seg-grid", "beside"),
        (moved(direction=rotation((0, 0, 5))), None, "dicom-seg-grid", "beside"),
        (moved(direction=rotation((0, 0, 45))), None, "dicom-seg-grid", "direction"),
        (padded(), None, "dicom-seg-grid", "outside its images"),
        (moved(origin=(810, -20, 30)), None, "dicom-seg-grid", "outside its images"),
        (
            Segmentation(labels_on(AXIAL), [Segment(9, "nowhere", (1, 0, 0))]),
            None,
            "dicom-seg-empty",
            "no voxel",
        ),
        (moved(), without("ImagePositionPatient"), "dicom-seg-source", "ImagePositionPatient"),
        (moved(), without("FrameOfReferenceUID"), "dicom-seg-source", "Frame"),
        (moved(), without("StudyInstanceUID"), "dicom-seg-source", "StudyInstanceUID"),
        (
            moved(),
            lambda header, number: setattr(header, "SeriesInstanceUID", f"1.2.{number % 2}"),
            "dicom-seg-source",
            "2 series",
        ),
        (
            moved(),
            lambda header, number: setattr(header, "ImagePositionPatient", [10, -20, 30]),
            "dicom-repeated",
            "same place",
        ),
        (
            moved(),
            lambda header, number: setattr(header, "Rows", 9 + number % 2),
            "dicom-seg-source",
            "several sizes",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_written(tmp_path, segmentation, change, code, words):
    files = make_series(tmp_path / "series", AXIAL)
    if change is not None:
        edited(files, change)
    with pytest.raises(SegToolkitError, match=words) as caught:
        write_dicom_seg(segmentation, files, tmp_path / "out" / "seg.dcm")
    assert caught.value.code == code
    assert caught.value.hint
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("kind", ["missing", "text", "none", "two enhanced"])
def test_files_that_are_no_series_are_refused(tmp_path, kind):
    files = make_series(tmp_path / "series", AXIAL)
    if kind == "missing":
        files[2].unlink()
    elif kind == "text":
        files[2].write_text("no DICOM")
    elif kind == "none":
        files = []
    else:
        files = [make_enhanced(tmp_path / name, AXIAL) for name in "ab"]
        edited(files, lambda header, number: setattr(header, "SeriesInstanceUID", "1.2.3"))
    with pytest.raises(SegToolkitError) as caught:
        write_dicom_seg(moved(), files, tmp_path / "seg.dcm")
    assert caught.value.code == "dicom-seg-source"


def test_the_command_line_writes_a_label_map_of_a_folder_with_two_series(tmp_path, capsys):
    make_series(tmp_path / "study" / "a", AXIAL)
    files = make_series(tmp_path / "study" / "b", SERIES["oblique"])
    uid = str(pydicom.dcmread(files[0]).SeriesInstanceUID)
    labels = as_read(tmp_path / "study" / "b")
    write_volume(labels, tmp_path / "labels.nii.gz")
    out = tmp_path / "organs.dcm"
    command = [
        "dicom-seg",
        str(tmp_path / "labels.nii.gz"),
        "--series",
        str(tmp_path / "study"),
        "--out",
        str(out),
    ]
    assert main(command) == 1
    assert uid in capsys.readouterr().err
    rest = ["--uid", uid, "--names", "3=left kidney,7=seam", "--algorithm", "by hand", "--json"]
    assert main([*command, *rest]) == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert done["outputs"]["segments"] == ["left kidney", "seam"]
    assert_same_points(out, labels)
    kidney = hd.seg.segread(out).SegmentSequence[0]
    assert _term(kidney.SegmentedPropertyTypeCodeSequence) == "SCT^64033007^Kidney"
    assert kidney.SegmentAlgorithmName == "by hand"


def test_labels_that_nobody_named_keep_what_they_are_called_and_are_told(tmp_path, capsys, monkeypatch):
    make_series(tmp_path / "series", AXIAL)
    labels = as_read(tmp_path / "series")
    write_volume(labels, tmp_path / "labels.nii.gz")
    write_segmentation(Segmentation(labels, SEGMENTS), tmp_path / "labels.seg.nrrd")
    card = make_card(labels=[{"value": 3, "name": "left kidney"}, {"value": 7, "name": "spleen"}])
    monkeypatch.setattr(ModelStore, "find", lambda self, name: SimpleNamespace(card=card))

    def names(file: str, *words: str) -> list[str]:
        out = ["--series", str(tmp_path / "series"), "--out", str(tmp_path / "o.dcm"), "--json"]
        assert main(["dicom-seg", str(tmp_path / file), *out, *words]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        told.append(" ".join(line["text"] for line in lines if line["t"] == "warning"))
        return lines[-1]["outputs"]["segments"]

    told: list[str] = []
    assert names("labels.nii.gz", "--names", "3=left kidney") == ["left kidney", "Segment 7"]
    assert "Segment 7" in told[-1]
    assert "left kidney" not in told[-1]
    assert names("labels.nii.gz", "--names", "3=tumour", "--model", "m") == ["tumour", "spleen"]
    assert names("labels.seg.nrrd", "--names", "3=tumour") == ["tumour", "seam"]
    assert told[1:] == ["", ""]
    assert names("labels.nii.gz") == ["Segment 3", "Segment 7"]
    assert "Segment 3, Segment 7" in told[-1]


def test_a_name_for_a_value_that_is_not_there_is_refused_with_those_that_are(tmp_path, capsys):
    make_series(tmp_path / "series", AXIAL)
    write_volume(as_read(tmp_path / "series"), tmp_path / "labels.nii.gz")
    words = ["--series", str(tmp_path / "series"), "--out", str(tmp_path / "o.dcm"), "--names", "1=liver,3=x"]
    assert main(["dicom-seg", str(tmp_path / "labels.nii.gz"), *words, "--json"]) == 1
    error = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert error["code"] == "unknown-structure"
    assert "1 (liver)" in error["text"]
    assert "3, 7" in error["hint"]
    assert not (tmp_path / "o.dcm").exists()


def test_the_command_line_keeps_what_a_seg_nrrd_says(tmp_path):
    make_series(tmp_path / "series", AXIAL)
    labels = as_read(tmp_path / "series")
    write_segmentation(Segmentation(labels, SEGMENTS), tmp_path / "labels.seg.nrrd")
    out = tmp_path / "organs.dcm"
    command = ["dicom-seg", str(tmp_path / "labels.seg.nrrd"), "--series", str(tmp_path / "series")]
    assert main([*command, "--out", str(out)]) == 0
    assert_same_points(out, labels)
    kidney = hd.seg.segread(out).SegmentSequence[0]
    assert kidney.SegmentAlgorithmType == "MANUAL"
    assert _term(kidney.SegmentedPropertyTypeCodeSequence) == "SCT^64033007^Kidney"


def test_a_segment_that_slicer_left_without_a_term_gets_that_of_its_name(tmp_path):
    files = make_series(tmp_path / "series", AXIAL)
    labels = as_read(tmp_path / "series")
    segments = [
        Segment(3, "Spleen", (0, 0, 1), UNSPECIFIED_TERM),
        Segment(7, "seam", (0, 0, 1), UNSPECIFIED_TERM),
    ]
    write_dicom_seg(Segmentation(labels, segments), files, tmp_path / "seg.dcm")
    spleen, seam = hd.seg.segread(tmp_path / "seg.dcm").SegmentSequence
    assert _term(spleen.SegmentedPropertyTypeCodeSequence) == "SCT^78961009^Spleen"
    assert _term(seam.SegmentedPropertyTypeCodeSequence) == "SCT^85756007^Tissue"


def test_a_worker_writes_what_a_window_asks_for(tmp_path):
    files = make_series(tmp_path / "series ü", AXIAL)
    labels = as_read(tmp_path / "series ü")
    write_volume(labels, tmp_path / "labels.nrrd", compress=False)
    request = {
        "labels": str(tmp_path / "labels.nrrd"),
        "files": [str(path) for path in files],
        "out": str(tmp_path / "out" / "seg.dcm"),
        "segments": [
            {"value": s.label, "name": s.name, "terminology": s.terminology, "colour": s.colour}
            for s in [*SEGMENTS, Segment(9, "nowhere", (1, 0, 0))]
        ],
        "algorithm": "Organs",
    }
    with Worker(tmp_path / "exchange", HOME=str(tmp_path / "home")) as worker:
        outputs = worker.ask("export_dicom_seg", **request)
        wrong = worker.refused("export_dicom_seg", **{**request, "files": [str(tmp_path / "gone")]})
    assert outputs["segments"] == ["left kidney", "seam"]
    assert "nowhere" in outputs["notes"][0]
    assert_same_points(Path(outputs["path"]), labels)
    assert pydicom.dcmread(outputs["path"]).SOPInstanceUID == outputs["instance_uid"]
    assert wrong["code"] == "dicom-seg-source"
