"""A made-up body part for tests: two organs in a noisy box, on any grid."""

import numpy as np
import slicer
import vtk

SIZE = (96, 80, 12)  # voxels along i, j, k
SPACING = (1.8, 1.8, 7.0)  # mm
ORGANS = {"large organ": ((34, 40, 5.5), (20, 24, 5.2)), "small organ": ((68, 34, 6.0), (11, 13, 4.0))}


def directions(kind="axial"):
    """Columns: directions of i, j, k in RAS [3, 3], right-handed or mirrored, oblique or not."""
    if kind == "axial":
        return np.diag([-1.0, -1.0, 1.0])
    if kind == "flipped":
        return np.diag([1.0, -1.0, -1.0])
    if kind == "sagittal":
        return np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    if kind == "oblique":
        tilt, turn = np.deg2rad(17), np.deg2rad(-11)
        about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
        about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        return about_z @ about_x @ np.diag([-1.0, -1.0, 1.0])
    raise ValueError(kind)


def organMask(name):
    """Mask of an organ [k, j, i]."""
    centre, radii = ORGANS[name]
    k, j, i = np.meshgrid(*(np.arange(n) for n in reversed(SIZE)), indexing="ij")
    return sum(((axis - c) / r) ** 2 for axis, c, r in zip((i, j, k), centre, radii, strict=True)) <= 1


def makeVolume(name="patient", kind="axial", seed=0):
    """A scalar volume node of the scene, 16 bit, with both organs."""
    random = np.random.default_rng(seed)
    voxels = random.normal(180, 18, tuple(reversed(SIZE)))
    _k, j, i = np.meshgrid(*(np.arange(n) for n in reversed(SIZE)), indexing="ij")
    body = ((i - 48) / 46) ** 2 + ((j - 40) / 38) ** 2 <= 1
    voxels[~body] = np.abs(random.normal(0, 8, (~body).sum()))
    voxels[organMask("large organ")] += 260
    voxels[organMask("small organ")] += 480
    matrix = np.eye(4)
    matrix[:3, :3] = directions(kind) * np.array(SPACING)
    matrix[:3, 3] = (35.0, -20.0, 110.0)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    slicer.util.updateVolumeFromArray(node, np.clip(voxels, 0, 2000).astype(np.int16))
    node.CreateDefaultDisplayNodes()
    return node


def outline(volume, names=("large organ",), index=5):
    """A segmentation node in which organs are outlined on slice k = index; segment IDs by name."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{volume.GetName()} outlines")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    ids = {}
    for name in names:
        ids[name] = node.GetSegmentation().AddEmptySegment("", name)
        mask = np.zeros(tuple(reversed(SIZE)), np.uint8)
        mask[index] = organMask(name)[index]
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, ids[name], volume)
    return node, ids


def dice(one, other):
    """Dice of two masks."""
    return 2 * np.logical_and(one, other).sum() / max(1, one.sum() + other.sum())


def maskOf(segmentation, segmentId, volume):
    """A segment on a volume's grid [k, j, i]."""
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segmentId, volume) > 0


def transformNode(scale=1.0):
    """A linear transform of the scene: turned about z and shifted."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform = vtk.vtkTransform()
    transform.RotateZ(23)
    transform.RotateX(9)
    transform.Translate(11, -5, 17)
    transform.Scale(scale, scale, scale)
    node.SetMatrixTransformToParent(transform.GetMatrix())
    return node
