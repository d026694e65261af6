"""Confidence maps, support examples of a zip, NRRD files in their variants."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from scene_nodes import ENTRY, GRIDS, SHAPE, blob

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Appearance, ColourRamps, Geometry, NrrdFile
from SegToolkitGui.scene.MaskExport import exportMask
from SegToolkitGui.scene.NrrdFile import NrrdReader
from SegToolkitGui.scene.SupportScene import SupportLoad, loadSupportItems
from SegToolkitGui.scene.ValueMap import ValueMapImport
from SegToolkitGui.scene.VolumeExport import VolumeExport

MATRIX = GRIDS["permuted oblique"]


def read(path):
    reader = NrrdReader(path)
    array = np.empty(reader.size[::-1], reader.dtype)
    for _ in reader.readInto(array):
        pass
    return reader, array


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", GRIDS)
def test_files_of_simpleitk_are_read_with_their_place(tmp_path, compressed, name):
    image = sitk.GetImageFromArray(np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE))
    lps = np.diag([-1, -1, 1, 1]) @ GRIDS[name]
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetDirection((lps[:3, :3] / spacing).ravel())
    image.SetSpacing(spacing)
    image.SetOrigin(lps[:3, 3])
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"), compressed)
    reader, array = read(tmp_path / "a.nrrd")
    np.testing.assert_allclose(reader.ijkToRas, GRIDS[name], atol=1e-6)
    np.testing.assert_array_equal(array, sitk.GetArrayFromImage(image))


def test_big_endian_file_is_read(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    head = NrrdFile.header((4, 3, 2), np.int16, np.eye(4)).replace(b"endian: little", b"endian: big")
    (tmp_path / "a.nrrd").write_bytes(head + array.astype(">i2").tobytes())
    np.testing.assert_array_equal(read(tmp_path / "a.nrrd")[1], array)


@pytest.mark.parametrize("content", [b"", b"no nrrd", b"NRRD0004\ntype: short\n\n", None])
def test_broken_files_are_told(tmp_path, content):
    path = tmp_path / "a.nrrd"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        NrrdReader(path)
    assert raised.value.code == "bad-file"
    assert "a.nrrd" in raised.value.text


@pytest.mark.parametrize("extra", [-1, 1])
def test_data_of_another_length_is_told(tmp_path, extra):
    path = tmp_path / "a.nrrd"
    path.write_bytes(NrrdFile.header((4, 3, 2), np.uint8, np.eye(4)) + bytes(24 + extra))
    with pytest.raises(UserError):
        read(path)


def test_confidence_lies_on_its_volume(made, scene, tmp_path):
    hierarchy = scene.GetSubjectHierarchyNode()
    volume = made.volume(matrix=MATRIX)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(study, volume)
    volume.SetAndObserveTransformNodeID(made.transform(GRIDS["oblique"]).GetID())
    values = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    NrrdFile.write(tmp_path / "c.nrrd", values, MATRIX)
    tables = scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode")
    first, second, other = (
        valueMap(tmp_path / "c.nrrd", volume, ramp)
        for ramp in (ColourRamps.CONFIDENCE, ColourRamps.CONFIDENCE, ColourRamps.rampOfMap(5))
    )
    assert scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode") == tables + 2
    assert other.GetDisplayNode().GetColorNode() is not first.GetDisplayNode().GetColorNode()
    for node in (first, second):
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), values)
        np.testing.assert_allclose(Geometry.ijkToLocal(node), MATRIX)
        assert node.GetTransformNodeID() == volume.GetTransformNodeID()
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
        display = node.GetDisplayNode()
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1)
        assert display.GetColorNode().GetNumberOfColors() == 256
    assert first.GetName() == "How sure"
    assert second.GetName() != "How sure"


def valueMap(path, volume, ramp):
    work = ValueMapImport(path, volume, "How sure", ramp)
    work.finish()
    return work.volumeNode


@pytest.mark.parametrize("number", range(len(ColourRamps.MAPS)))
def test_an_overlay_lets_the_image_shine_through_where_there_is_nothing(scene, number):
    colours = ColourRamps.table(scene, ColourRamps.rampOfMap(number))
    brightness, opacity = [], []
    for value in range(colours.GetNumberOfColors()):
        colour = [0.0] * 4
        colours.GetColor(value, colour)
        brightness.append(np.dot(colour[:3], (0.3, 0.59, 0.11)))
        opacity.append(colour[3])
    assert (np.diff(brightness) >= 0).all()
    assert brightness[-1] > brightness[0] + 0.5
    assert (opacity[0], opacity[-1]) == (0, 1)
    assert (np.diff(opacity) >= 0).all()


def packed(made, tmp_path):
    """Two slices of one volume and one of another, as the worker unpacks them."""
    items = []
    for name, slices in (("A", (3, 5)), ("B", (4,))):
        volume = made.volume(matrix=MATRIX, name=name)
        node = made.segmentation({"liver": blob(), "cyst": np.roll(blob(), 3, axis=2) & ~blob()}, MATRIX)
        segment = node.GetSegmentation().GetSegment("liver")
        segment.SetColor(0.25, 0.5, 0.75)
        Appearance.setTerminology(segment, ENTRY)
        VolumeExport(volume, tmp_path / f"{name}.nrrd").finish()
        for index in slices:
            # The order of labels differs between slices.
            ids = ["liver", "cyst"] if index == 3 else ["cyst", "liver"]
            mask = exportMask(node, ids, volume, 2, index, tmp_path / f"{name}{index}.nrrd")
            items.append({
                "image": str(tmp_path / f"{name}.nrrd"),
                "mask": str(mask.path),
                "offset": list(mask.offset),
                "axis": 2,
                "plane": "axial",
                "slices": [index],
                "name": name,
                "structures": {str(value): one for value, one in mask.structures.items()},
            })  # fmt: skip
    made.scene.Clear(0)
    return items


def test_support_examples_come_back_as_they_were(made, scene, tmp_path):
    loaded = loadSupportItems(packed(made, tmp_path))
    assert [(one.axis, one.index) for one in loaded] == [(2, 3), (2, 5), (2, 4)]
    assert loaded[0].volumeNode is loaded[1].volumeNode
    assert loaded[0].segmentationNode is loaded[1].segmentationNode
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2
    expected = np.zeros(SHAPE, bool)
    expected[[3, 5]] = blob()[[3, 5]]
    first = loaded[0]
    names = [first.segmentationNode.GetSegmentation().GetSegment(one).GetName() for one in first.segmentIds]
    liver = first.segmentIds[names.index("liver")]
    found = slicer.util.arrayFromSegmentBinaryLabelmap(first.segmentationNode, liver, first.volumeNode)
    np.testing.assert_array_equal(found.astype(bool), expected)
    segment = first.segmentationNode.GetSegmentation().GetSegment(liver)
    assert segment.GetColor() == (0.25, 0.5, 0.75)
    assert Appearance.terminologyOf(segment) == ENTRY
    assert first.volumeNode.GetName() == "A"


def test_broken_support_leaves_nothing_in_the_scene(made, scene, tmp_path):
    items = packed(made, tmp_path)
    (tmp_path / "B4.nrrd").write_bytes(b"NRRD0004\n")
    before = scene.GetNumberOfNodes()
    with pytest.raises(UserError):
        SupportLoad(items).finish()
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert scene.GetNumberOfNodesByClass("vtkMRMLDisplayNode") == 0
    assert scene.GetNumberOfNodes() <= before + 1


def test_a_saved_table_leaves_no_format_behind_for_other_exports(tmp_path):
    from SegToolkitGui.scene import TableNodes

    node = TableNodes.makeTable("sizes", [("organ", ["liver"]), ("ml", [1500.0])])
    TableNodes.save(node, str(tmp_path / "sizes.csv"))
    (shared, *_others) = slicer.util.exportNode.__defaults__
    assert shared == {}
    TableNodes.save(node, str(tmp_path / "sizes.tsv"))
    assert "liver\t" in (tmp_path / "sizes.tsv").read_text(encoding="utf-8").replace('"', "")
    slicer.mrmlScene.RemoveNode(node)
