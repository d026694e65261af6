"""A segmentation of a volume from a DICOM study, exported by a real worker and read back by highdicom."""

from __future__ import annotations

import shutil
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

ROOT = Path(__file__).resolve().parents[4]
for place in (ROOT, ROOT / "Testing" / "Lib", Path(__file__).parents[1] / "scene"):
    if str(place) not in sys.path:
        sys.path.append(str(place))

import slicer  # noqa: E402
from scene_nodes import ENTRY, Maker, segmentPoints  # noqa: E402

from dicom_study import make_series  # noqa: E402
from SegToolkitGui.Errors import UserError  # noqa: E402
from SegToolkitGui.scene import DicomSegExport as module  # noqa: E402
from SegToolkitGui.scene.DicomSegExport import DicomSegExport  # noqa: E402
from SegToolkitGui.WorkerClient import WorkerClient  # noqa: E402
from SegToolkitLib.volume import Grid, read_dicom_series  # noqa: E402

# A scan of the head's usual tilt: i to the left, j to the back, k to the head.
TILT = np.radians(12)
GRID = Grid(
    (7, 11, 13),
    (0.9, 0.9, 3.0),
    (-30.5, -20.25, 110),
    np.array([[1, 0, 0], [0, np.cos(TILT), -np.sin(TILT)], [0, np.sin(TILT), np.cos(TILT)]]),
)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Database:
    """What the export asks of slicer.dicomDatabase."""

    def __init__(self, folder: Path) -> None:
        self.isOpen = True
        self.folder = folder
        self.files: dict[str, str] = {}

    def add(self, path: Path) -> None:
        self.files[str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)] = str(path)

    def fileForInstance(self, uid: str) -> str:
        return self.files.get(uid, "")


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Database:
    """The application's database, and DICOMLib, which copies whole folders into it."""
    found = Database(tmp_path / "database")
    found.folder.mkdir()

    def importDicom(folder: str, into: object = None, copyFiles: bool = False) -> bool:
        assert into is None
        for path in Path(folder).iterdir():
            if copyFiles:
                path = Path(shutil.copy(path, found.folder))
            found.add(path)
        return True

    utils = types.SimpleNamespace(importDicom=importDicom)
    monkeypatch.setitem(sys.modules, "DICOMLib", types.SimpleNamespace(DICOMUtils=utils))
    monkeypatch.setattr(slicer, "dicomDatabase", found, raising=False)
    return found


@pytest.fixture
def made() -> Iterator[Maker]:
    slicer.mrmlScene.Clear(0)
    yield Maker(slicer.mrmlScene)
    slicer.mrmlScene.Clear(0)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: Callable) -> Iterator[WorkerClient]:
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    client = WorkerClient(tmp_path / "exchange ü")
    (tmp_path / "exchange ü").mkdir()
    yield client
    client.killNow()
    turn(seconds=0.02)


@pytest.fixture
def scan(made: Maker, database: Database, tmp_path: Path):
    """A volume node as the DICOM browser loads it, and its files."""
    files = make_series(tmp_path / "study", GRID)
    for path in files:
        database.add(path)
    read = read_dicom_series(tmp_path / "study")
    volume = made.volume(read.voxels, LPS_TO_RAS @ read.affine, name="portal")
    uids = [str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in files]
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    return volume


def outlined(made: Maker, matrix: np.ndarray):
    """Two organs on a grid (index to RAS); the liver carries its standard code."""
    liver, spleen = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    liver[1:5, 2:6, 3:8], spleen[3:6, 7:10, 9:12] = True, True
    liver[1, 2, 3] = False
    node = made.segmentation({"liver": liver, "spleen": spleen}, matrix, name="organs")
    segment = node.GetSegmentation().GetSegment("liver")
    segment.SetTag(segment.GetTerminologyEntryTagName(), ENTRY)
    segment.SetColor(0.8, 0.4, 0.2)
    return node


def run(export: DicomSegExport, turn: Callable) -> DicomSegExport:
    finished: list = []
    export.finished.connect(finished.append)
    export.start()
    assert turn(lambda: finished, seconds=120)
    assert finished == [export]
    return export


def pointsOf(path: Path) -> dict[str, np.ndarray]:
    """RAS mm of each segment's voxels, sorted, as highdicom places them."""
    seg = hd.seg.segread(path)
    points = {}
    for segment in seg.SegmentSequence:
        volume = seg.get_volume(segment_numbers=[segment.SegmentNumber], combine_segments=True, relabel=True)
        lps = volume.map_indices_to_reference(np.argwhere(volume.array))
        ras = lps * [-1, -1, 1]
        points[segment.SegmentLabel] = ras[np.lexsort(ras.round(2).T)]
    return points


def matrixOf(volume) -> np.ndarray:
    matrix = slicer.util.arrayFromVTKMatrix(_ijkToRas(volume))
    return np.array(matrix)


def _ijkToRas(volume):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def assertSamePoints(path: Path, node, shift=(0.0, 0.0, 0.0)) -> None:
    found = pointsOf(path)
    for name in ("liver", "spleen"):
        wanted = segmentPoints(node, name) + shift
        wanted = wanted[np.lexsort(wanted.round(2).T)]
        np.testing.assert_allclose(found[name], wanted, atol=5e-3, err_msg=name)


def test_the_file_holds_the_segments_where_they_are(scan, made, client, turn, database, tmp_path) -> None:
    node = outlined(made, matrixOf(scan))
    path = tmp_path / "Übung 肝" / "organs.dcm"
    path.parent.mkdir()
    phases: set = set()
    export = DicomSegExport(
        client, tmp_path / "exchange ü", node, scan, path, algorithm="Organs", version="2"
    )
    export.progressed.connect(lambda phase, step, total: phases.add(phase))
    run(export, turn)
    assert export.error is None
    assert export.over
    assert "writing DICOM" in phases
    assertSamePoints(path, node)
    seg = hd.seg.segread(path)
    liver, spleen = seg.SegmentSequence
    assert liver.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Liver"
    assert spleen.SegmentedPropertyTypeCodeSequence[0].CodeValue == "78961009"
    assert liver.SegmentAlgorithmName == "Organs"
    assert seg.SeriesDescription == "organs"
    source = pydicom.dcmread(database.fileForInstance(scan.GetAttribute("DICOM.instanceUIDs").split()[0]))
    assert (seg.StudyInstanceUID, seg.PatientID) == (source.StudyInstanceUID, source.PatientID)
    assert export.inDatabase
    assert pydicom.dcmread(database.fileForInstance(seg.SOPInstanceUID)).SeriesInstanceUID == export.seriesUid
    # Nothing of a patient stays behind in the exchange folder.
    assert not list((tmp_path / "exchange ü").glob("dicom-seg-*"))
    assert [p.name for p in path.parent.iterdir()] == ["organs.dcm"]


def test_a_segmentation_under_a_transform_goes_where_it_is_seen(scan, made, client, turn, tmp_path) -> None:
    matrix = matrixOf(scan)
    node = outlined(made, matrix)
    shift = matrix[:3, 0] + matrix[:3, 2]  # a voxel along i, one along k
    place = np.eye(4)
    place[:3, 3] = shift
    node.SetAndObserveTransformNodeID(made.transform(place).GetID())
    export = run(DicomSegExport(client, tmp_path / "exchange ü", node, scan, tmp_path / "a.dcm"), turn)
    assert export.error is None
    assertSamePoints(tmp_path / "a.dcm", node, shift)


def test_a_transform_of_the_patient_does_not_move_the_file(scan, made, client, turn, tmp_path) -> None:
    node = outlined(made, matrixOf(scan))
    place = np.eye(4)
    place[:3, 3] = 40, -7, 12
    transform = made.transform(place)
    for one in (node, scan):
        one.SetAndObserveTransformNodeID(transform.GetID())
    export = run(DicomSegExport(client, tmp_path / "exchange ü", node, scan, tmp_path / "a.dcm"), turn)
    assert export.error is None
    assertSamePoints(tmp_path / "a.dcm", node)


def test_without_a_file_the_database_alone_gets_it(scan, made, client, turn, database, tmp_path) -> None:
    node = outlined(made, matrixOf(scan))
    export = run(DicomSegExport(client, tmp_path / "exchange ü", node, scan), turn)
    assert export.error is None
    assert export.inDatabase
    (stored,) = [p for p in database.folder.iterdir() if p.suffix == ".dcm"]
    assertSamePoints(stored, node)


def test_overlaps_and_empty_segments_are_told(scan, made, client, turn, tmp_path) -> None:
    first, second = np.zeros(GRID.shape, bool), np.zeros(GRID.shape, bool)
    first[1:5, 2:6, 3:8], second[4:6, 4:7, 5:9] = True, True
    masks = {"liver": first, "spleen": second, "nowhere": np.zeros(GRID.shape, bool)}
    node = made.segmentation(masks, matrixOf(scan), shared=False)
    export = run(DicomSegExport(client, tmp_path / "exchange ü", node, scan, tmp_path / "a.dcm"), turn)
    assert export.error is None
    assert any("overlap" in note and "liver" in note for note in export.notes)
    assert any("nowhere" in note for note in export.notes)
    counts = {name: len(points) for name, points in pointsOf(tmp_path / "a.dcm").items()}
    assert counts == {"liver": int((first & ~second).sum()), "spleen": int(second.sum())}


def _forget(database: Database, volume) -> None:
    volume.RemoveAttribute("DICOM.instanceUIDs")


def _close(database: Database, volume) -> None:
    database.isOpen = False


def _delete(database: Database, volume) -> None:
    Path(next(iter(database.files.values()))).unlink()


def _resample(database: Database, volume) -> None:
    volume.SetSpacing(0.8, 0.9, 3.0)


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (_forget, "cannot-export", "DICOM browser"),
        (_close, "no-database", "not open"),
        (_delete, "dicom-gone", "1 of 7"),
        (_resample, "dicom-seg-grid", "not on the grid"),
    ],
)
def test_what_cannot_be_exported_is_said_and_leaves_nothing(
    scan, made, client, turn, database, tmp_path, spoil, code, words
) -> None:
    node = outlined(made, matrixOf(scan))
    assert module.problem(node, scan) == ""
    spoil(database, scan)
    export = DicomSegExport(client, tmp_path / "exchange ü", node, scan, tmp_path / "a.dcm")
    try:
        error = run(export, turn).error
    except UserError as raised:
        error = raised
    assert error.code == code
    assert words in error.text
    assert not (tmp_path / "a.dcm").exists()
    assert not list((tmp_path / "exchange ü").glob("dicom-seg-*"))


def test_nodes_that_cannot_be_exported_are_told_without_looking_at_files(made) -> None:
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    volume = made.volume()
    assert "at least one segment" in module.problem(None, volume)
    assert "at least one segment" in module.problem(empty, volume)
    node = outlined(made, np.eye(4))
    assert "Choose the volume" in module.problem(node, None)
    assert volume.GetName() in module.problem(node, volume)


def test_cancelled_it_ends_once_and_leaves_nothing(scan, made, client, turn, tmp_path) -> None:
    node = outlined(made, matrixOf(scan))
    for number, wait in enumerate((lambda: True, lambda: client.state in ("starting", "busy"))):
        path = tmp_path / f"{number}.dcm"
        export = DicomSegExport(client, tmp_path / "exchange ü", node, scan, path)
        finished: list = []
        export.finished.connect(finished.append)
        export.start()
        assert turn(wait, seconds=30)
        export.cancel()
        export.cancel()
        assert [one.error.code for one in finished] == ["cancelled"]
        assert turn(lambda: client.state == "off", seconds=20)
        assert not path.exists()
        assert not list((tmp_path / "exchange ü").glob("dicom-seg-*"))


def test_a_folder_that_cannot_be_written_is_said(scan, made, client, turn, tmp_path) -> None:
    node = outlined(made, matrixOf(scan))
    path = tmp_path / "gone" / "a.dcm"
    export = run(DicomSegExport(client, tmp_path / "exchange ü", node, scan, path), turn)
    assert export.error.code == "disk"
    assert str(path.parent) in export.error.text
