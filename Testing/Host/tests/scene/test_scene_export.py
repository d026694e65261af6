"""Volumes as files: geometry, types, pieces, changes meanwhile, the cache, sequences."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from scene_nodes import GRIDS, SHAPE, affine

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Geometry, Steps
from SegToolkitGui.scene.SequenceFrames import currentFrame, dataNodeOfFrame
from SegToolkitGui.scene.VolumeExport import ExportCache, VolumeExport
from SegToolkitLib.methods.alpnet.slices import slice_axis
from SegToolkitLib.volume import read_volume

TYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


def exported(node, path):
    VolumeExport(node, path).finish()
    return sitk.ReadImage(str(path))


@pytest.mark.parametrize("name", GRIDS)
def test_simpleitk_finds_every_voxel_at_the_nodes_place(made, tmp_path, name):
    node = made.volume(matrix=GRIDS[name])
    image = exported(node, tmp_path / "blank and ü.nrrd")
    for ijk in [(0, 0, 0), (12, 0, 0), (0, 10, 0), (0, 0, 8), (5, 7, 3)]:
        ras = (GRIDS[name] @ [*ijk, 1])[:3]
        lps = np.array(image.TransformIndexToPhysicalPoint(ijk))
        np.testing.assert_allclose(lps * [-1, -1, 1], ras, atol=1e-6)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), slicer.util.arrayFromVolume(node))


def test_parent_transform_stays_out_of_the_file(made, tmp_path):
    node = made.volume(matrix=GRIDS["oblique"])
    node.SetAndObserveTransformNodeID(made.transform(affine(np.eye(3), (1, 1, 1), (100, 0, 0))).GetID())
    image = exported(node, tmp_path / "a.nrrd")
    np.testing.assert_allclose(np.array(image.GetOrigin()) * [-1, -1, 1], GRIDS["oblique"][:3, 3])


@pytest.mark.parametrize("dtype", TYPES)
def test_every_scalar_type_arrives_unchanged(made, tmp_path, dtype):
    array = np.zeros(SHAPE, dtype=dtype)
    info = np.finfo(dtype) if "float" in dtype else np.iinfo(dtype)
    array[0, 0, :3] = info.min, info.max, 7
    node = made.volume(np.zeros(SHAPE, np.int16))
    image = node.GetImageData()
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    types = {"int64": vtk.VTK_LONG_LONG, "uint64": vtk.VTK_UNSIGNED_LONG_LONG}
    image.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True, array_type=types.get(dtype)))
    read = sitk.GetArrayFromImage(exported(node, tmp_path / "a.nrrd"))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_one_slice_is_a_volume(made, tmp_path):
    node = made.volume(np.arange(12, dtype=np.int16).reshape(1, 3, 4), GRIDS["oblique"])
    assert exported(node, tmp_path / "a.nrrd").GetSize() == (4, 3, 1)


def test_unusable_volumes_are_refused_in_a_sentence(made, tmp_path):
    sheared = GRIDS["identity"].copy()
    sheared[1, 2] = 0.2
    colour = made.volume(np.zeros((*SHAPE, 3), np.uint8), name="Photo", cls="vtkMRMLVectorVolumeNode")
    empty = made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    gone = made.volume()
    made.scene.RemoveNode(gone)
    cases = {
        "colour-volume": colour,
        "empty-volume": empty,
        "sheared": made.volume(matrix=sheared),
        "volume-deleted": gone,
    }
    for code, node in cases.items():
        with pytest.raises(UserError) as raised:
            ExportCache(tmp_path).pathFor(node)
        assert raised.value.code == code
        assert raised.value.text.endswith((".", "?)."))
        assert raised.value.hint


@pytest.mark.parametrize(
    ("what", "code"), [("edit", "changed"), ("move", "changed"), ("delete", "volume-deleted")]
)
def test_change_while_written_leaves_no_file(made, tmp_path, monkeypatch, what, code):
    monkeypatch.setattr("SegToolkitGui.scene.VolumeExport.CHUNK_BYTES", 256)
    node = made.volume()
    export = VolumeExport(node, tmp_path / "a.nrrd")
    assert not export.step(0)
    if what == "edit":
        slicer.util.arrayFromVolume(node)[:] = 5
        slicer.util.arrayFromVolumeModified(node)
    elif what == "move":
        node.SetOrigin(1, 2, 3)
    else:
        made.scene.RemoveNode(node)
    with pytest.raises(UserError) as raised:
        export.finish()
    assert raised.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_file_appears_only_when_complete(made, tmp_path, monkeypatch):
    monkeypatch.setattr("SegToolkitGui.scene.VolumeExport.CHUNK_BYTES", 256)
    path = tmp_path / "a.nrrd"
    export = VolumeExport(made.volume(), path)
    assert not export.step(0)
    assert not export.step(0)
    assert 0 < export.fraction < 1
    assert not path.exists()
    export.finish()
    assert path.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.nrrd"]


def test_closed_export_takes_its_file_back(made, tmp_path, monkeypatch):
    monkeypatch.setattr("SegToolkitGui.scene.VolumeExport.CHUNK_BYTES", 256)
    export = VolumeExport(made.volume(), tmp_path / "a.nrrd")
    export.step(0)
    export.close()
    assert list(tmp_path.iterdir()) == []
    assert export.step(0)


def test_cache_writes_again_only_what_changed(made, tmp_path):
    node, other = made.volume(), made.volume(name="other")
    cache = ExportCache(tmp_path / "new")
    path, export = cache.pathFor(node)
    export.finish()
    cache.pathFor(other)[1].finish()
    assert cache.pathFor(node) == (path, None)
    node.SetAndObserveTransformNodeID(made.transform(np.eye(4)).GetID())
    assert cache.pathFor(node) == (path, None)
    slicer.util.arrayFromVolume(node)[0, 0, 0] = 99
    slicer.util.arrayFromVolumeModified(node)
    changed, export = cache.pathFor(node)
    assert changed != path
    export.finish()
    assert not path.exists()
    assert len(list((tmp_path / "new").iterdir())) == 2
    node.SetSpacing(2, 2, 2)
    assert cache.pathFor(node)[1] is not None
    cache.clear()
    assert list((tmp_path / "new").iterdir()) == []


@pytest.fixture
def series(made, scene):
    """A proxy volume of four frames; frame n holds the value n everywhere."""
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "frames")
    for number in range(4):
        node = made.volume(np.full(SHAPE, number, np.int16), GRIDS["oblique"])
        sequence.SetDataNodeAtValue(node, str(number))
        scene.RemoveNode(node)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)

    def show(frame):
        browser.SetSelectedItemNumber(frame)
        logic.UpdateProxyNodesFromSequences(browser)

    show(1)
    yield browser.GetProxyNode(sequence), show
    logic.SetMRMLScene(None)


def test_frame_is_exported_though_the_sequence_moves_on(series, tmp_path):
    proxy, show = series
    assert currentFrame(proxy) == 1
    cache = ExportCache(tmp_path)
    path, export = cache.pathFor(proxy, 1)
    show(3)
    export.finish()
    assert currentFrame(proxy) == 3
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))) == {1}
    now, export = cache.pathFor(proxy, 3)
    export.finish()
    assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(now))))) == {3}
    assert cache.pathFor(proxy, 1) == (path, None)


def test_current_content_of_a_proxy_moves_with_the_sequence(series, tmp_path):
    proxy, show = series
    export = VolumeExport(proxy, tmp_path / "a.nrrd")
    show(2)
    with pytest.raises(UserError, match="changed") as raised:
        export.finish()
    assert raised.value.code == "changed"


def test_frame_that_is_not_there_is_told(series, made):
    with pytest.raises(UserError) as raised:
        dataNodeOfFrame(series[0], 7)
    assert raised.value.code == "no-frame"
    plain = made.volume()
    assert currentFrame(plain) is None
    assert dataNodeOfFrame(plain, None) is plain


@pytest.mark.parametrize("name", GRIDS)
def test_planes_are_named_as_in_the_library(made, tmp_path, name):
    node = made.volume(matrix=GRIDS[name])
    exported(node, tmp_path / "a.nrrd")
    volume = read_volume(tmp_path / "a.nrrd")
    assert Geometry.axisLetters(node) == volume.orientation
    for axis in range(3):
        assert slice_axis(volume, Geometry.planeOf(node, axis)) == axis


def test_planes_of_random_rotations_are_named_as_in_the_library(made, tmp_path):
    generator = np.random.default_rng(1)
    node = made.volume()
    for _ in range(40):
        q, _r = np.linalg.qr(generator.normal(size=(3, 3)))
        node.SetIJKToRASMatrix(Geometry.toVtk(affine(q)))
        volume = read_volume(_written(node, tmp_path))
        assert Geometry.axisLetters(node) == volume.orientation


def _written(node, folder):
    exported(node, folder / "a.nrrd")
    return folder / "a.nrrd"


def test_step_ends_near_the_time_it_was_given():
    import time

    class Endless(Steps.Steps):
        def _work(self):
            while True:
                time.sleep(0.001)
                yield

    work = Endless()
    began = time.perf_counter()
    assert not work.step(20)
    assert 0.015 < time.perf_counter() - began < 1
