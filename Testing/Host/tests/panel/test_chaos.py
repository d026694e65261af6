"""A real patient: the panel's result is the library's own, voxel for voxel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SegToolkitTestData as data
import SimpleITK as sitk
import slicer
import vtk

ROOT = Path(__file__).parents[4]
STRUCTURES = {1: "liver", 2: "right kidney", 3: "left kidney", 4: "spleen"}


@pytest.fixture(scope="module")
def scan(chaos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Image and label of one scan, and the label of one slice alone, as files."""
    image = sorted(chaos.glob("image_*.nii.gz"))[0]
    label = chaos / image.name.replace("image_", "label_")
    full = sitk.ReadImage(str(label))
    voxels = sitk.GetArrayFromImage(full)
    # The slice with most structures; among those, the one with the largest smallest one.
    counts = [np.bincount(plane.ravel(), minlength=5)[1:] for plane in voxels]
    shown = max(
        range(len(voxels)), key=lambda k: ((counts[k] > 0).sum(), min(counts[k][counts[k] > 0], default=0))
    )
    alone = np.zeros_like(voxels)
    alone[shown] = voxels[shown]
    picture = sitk.GetImageFromArray(alone)
    picture.CopyInformation(full)
    folder = tmp_path_factory.mktemp("scan")
    sitk.WriteImage(picture, str(folder / "slice.nii.gz"))
    return {"image": image, "label": label, "slice": folder / "slice.nii.gz", "folder": folder}


@pytest.fixture(scope="module")
def libraryResult(scan: dict[str, Path]) -> tuple[np.ndarray, list[str]]:
    """Labels [k, j, i] of the command line for the same outlines, and the structures' names."""
    present = np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(scan["slice"]))))
    names = {value: name for value, name in STRUCTURES.items() if value in present}
    out = scan["folder"] / "library.nii.gz"
    command = [sys.executable, "-m", "SegToolkitLib", "segment", "alpnet", "--model", "abdomen-mr-t2-compact"]
    command += ["--support", str(scan["image"]), str(scan["slice"]), "--accept-licence"]
    command += ["--structures", ",".join(f"{value}={name}" for value, name in names.items())]
    command += ["--query", str(scan["image"]), "--out", str(out), "--device", "cpu"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(out))), list(names.values())


def gridOf(node) -> sitk.Image:
    """An empty image on the node's grid; Slicer turns left-handed files over when it reads them."""
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ slicer.util.arrayFromVTKMatrix(ijkToRas(node))
    image = sitk.Image(node.GetImageData().GetDimensions(), sitk.sitkUInt8)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    return image


def ijkToRas(node):
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def onGrid(labels: sitk.Image, node) -> np.ndarray:
    """A label image on the node's grid [k, j, i]."""
    moved = sitk.Resample(labels, gridOf(node), sitk.Transform(), sitk.sitkNearestNeighbor)
    return sitk.GetArrayFromImage(moved)


def outlined(volume, labels: np.ndarray):
    """Segmentation node with the outlines in ``labels`` [k, j, i], and segment IDs by name."""
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "outlines")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    ids = {}
    for value, name in STRUCTURES.items():
        if (labels == value).any():
            ids[name] = segmentation.GetSegmentation().AddEmptySegment("", name)
            mask = (labels == value).astype(np.uint8)
            slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, ids[name], volume)
    return segmentation, ids


@pytest.mark.parametrize("stored", ["as it is", "RSA", "PIR"])
def test_the_panels_result_is_the_librarys(panel, scan, libraryResult, stored):
    """However the patient lies in the file: voxels flipped and axes exchanged, the same place is found."""
    expected, names = libraryResult
    path = scan["image"]
    if stored != "as it is":
        path = scan["folder"] / f"{stored}.nrrd"
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(scan["image"])), stored), str(path))
    volume = slicer.util.loadVolume(str(path))
    labels = onGrid(sitk.ReadImage(str(scan["slice"])), volume)
    segmentation, ids = outlined(volume, labels)
    assert list(ids) == names
    axis = next(n for n in range(3) if len(np.unique(np.nonzero(labels)[2 - n])) == 1)
    index = int(np.nonzero(labels)[2 - axis][0])
    panel.choose(volume, segmentation, list(ids.values()))
    panel.addSlice(volume, index, axis)
    run = panel.apply()
    assert run.state.value == "done", panel.told()
    result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    original = sitk.ReadImage(str(scan["image"]))
    picture = sitk.GetImageFromArray(expected)
    picture.CopyInformation(original)
    wanted = onGrid(picture, volume)
    for number, name in enumerate(names, start=1):
        found = data.maskOf(result, run.results[0].segmentIds[name], volume)
        assert np.array_equal(found, wanted == number), name
    truth = onGrid(sitk.ReadImage(str(scan["label"])), volume)
    liver = data.maskOf(result, run.results[0].segmentIds["liver"], volume)
    assert data.dice(liver, truth == 1) > 0.6
