"""Which slice of a volume a slice view shows, and how to bring a view to a slice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.scene import Geometry

# Slicer's own limit below which it calls a view aligned with a volume.
TILT_LIMIT_DEGREES = 0.1


@dataclass(frozen=True)
class ViewSlice:
    """A slice view against the grid of a volume.

    Attributes:
        axis: 0, 1 or 2: the slice lies across the volume's axis i, j or k; -1 if there is no volume.
        index: number of the slice along that axis, from 0; -1 if there is none.
        tilt: angle in degrees between the view and the volume's slices.
        problem: "", "tilted", "outside", "nonlinear", "flat" or "no-volume".
        text: the problem in a sentence, or "".
    """

    axis: int
    index: int
    tilt: float
    problem: str = ""
    text: str = ""


def viewNames() -> list[str]:
    """Names of the slice views; none where Slicer runs without a main window."""
    layout = slicer.app.layoutManager()
    return list(layout.sliceViewNames()) if layout is not None else []


def sliceWidget(name: str):
    """The slice view of that name, or None."""
    layout = slicer.app.layoutManager()
    return layout.sliceWidget(name) if layout is not None and name else None


def sliceInView(sliceNode, volumeNode) -> ViewSlice:
    """The slice of ``volumeNode`` that lies in the plane of a view, whatever volume the view shows."""
    if sliceNode is None or volumeNode is None or min(Geometry.dimensions(volumeNode)) == 0:
        return ViewSlice(-1, -1, 0.0, "no-volume", _("No volume is chosen."))
    name = volumeNode.GetName()
    if Geometry.hasNonLinearTransform(volumeNode):
        text = _("{name} lies under a transform that bends it: a flat view does not show one of its slices.")
        return ViewSlice(-1, -1, 0.0, "nonlinear", text.format(name=name))
    matrix = Geometry.ijkToWorld(volumeNode)
    if not np.all(np.isfinite(matrix)) or np.linalg.matrix_rank(matrix[:3, :3]) < 3:
        text = _("The voxels of {name} have no size in one direction: check its spacing and its transform.")
        return ViewSlice(-1, -1, 0.0, "flat", text.format(name=name))
    size = np.array(Geometry.dimensions(volumeNode))
    view = Geometry.toArray(sliceNode.GetSliceToRAS())
    axis, tilt = _axisAcross(matrix, view[:3, 2])
    if tilt > TILT_LIMIT_DEGREES:
        text = _("The view is tilted by {tilt:.1f} degrees against the slices of {name}.").format(
            tilt=tilt, name=name
        )
        return ViewSlice(axis, -1, tilt, "tilted", text)
    # Not the view's own centre: with the tiny tilt that is allowed, a point far off may be on another slice.
    point = _nearCentre(view, matrix, size)
    index = math.floor(np.linalg.solve(matrix, [*point, 1])[axis] + 0.5)
    if not 0 <= index < size[axis]:
        text = _("The view does not cut {name}.").format(name=name)
        return ViewSlice(axis, -1, tilt, "outside", text)
    return ViewSlice(axis, index, tilt)


def alignView(sliceNode, volumeNode) -> ViewSlice:
    """Turn a view into the nearest plane of the volume, at the place where it is, and onto a slice.

    Returns:
        What the view shows now; its problem is "" unless the volume cannot be shown.
    """
    before = sliceInView(sliceNode, volumeNode)
    if before.axis < 0:
        return before
    position = _lookedAt(Geometry.toArray(sliceNode.GetSliceToRAS()), volumeNode)
    if before.problem == "tilted":
        sliceNode.RotateToVolumePlane(volumeNode, False)
    matrix = Geometry.ijkToWorld(volumeNode)
    axis = _axisAcross(matrix, Geometry.toArray(sliceNode.GetSliceToRAS())[:3, 2])[0]
    last = Geometry.dimensions(volumeNode)[axis] - 1
    index = math.floor(np.linalg.solve(matrix, [*position, 1])[axis] + 0.5)
    _jump(sliceNode, volumeNode, matrix, axis, min(max(index, 0), last))
    return sliceInView(sliceNode, volumeNode)


def showSlice(sliceNode, volumeNode, axis: int, index: int) -> ViewSlice:
    """Bring a view to a slice of the volume; the view is turned if it shows another plane.

    Returns:
        What the view shows now.
    """
    now = sliceInView(sliceNode, volumeNode)
    if now.axis < 0:
        return now
    matrix = Geometry.ijkToWorld(volumeNode)
    if now.axis != axis or now.problem == "tilted":
        _turn(sliceNode, volumeNode, matrix, axis)
    _jump(sliceNode, volumeNode, matrix, axis, index)
    return sliceInView(sliceNode, volumeNode)


def _nearCentre(view: np.ndarray, matrix: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The point of a view's plane that is next to the volume's centre, RAS mm [3]."""
    normal = view[:3, 2] / np.linalg.norm(view[:3, 2])
    centre = (matrix @ [*((size - 1) / 2), 1])[:3]
    return centre + normal * np.dot(view[:3, 3] - centre, normal)


def _lookedAt(view: np.ndarray, volumeNode) -> np.ndarray:
    """The middle of a view if it is in the volume, else the point of its plane next to the centre."""
    matrix, size = Geometry.ijkToWorld(volumeNode), np.array(Geometry.dimensions(volumeNode))
    ijk = np.linalg.solve(matrix, view[:, 3])[:3]
    inside = np.all((ijk > -0.5) & (ijk < size - 0.5))
    return view[:3, 3] if inside else _nearCentre(view, matrix, size)


def _axisAcross(matrix: np.ndarray, normal: np.ndarray) -> tuple[int, float]:
    """The axis whose slices are most parallel to a view, and the angle between both in degrees."""
    columns = matrix[:3, :3]
    # Normals of the slices, which are not the axes themselves if a parent transform shears the grid.
    normals = np.cross(columns[:, [1, 2, 0]], columns[:, [2, 0, 1]], axis=0)
    normals = normals / np.linalg.norm(normals, axis=0)
    normal = normal / np.linalg.norm(normal)
    axis = int(np.argmax(np.abs(normal @ normals)))
    sine = np.linalg.norm(np.cross(normal, normals[:, axis]))
    return axis, math.degrees(math.asin(min(1.0, float(sine))))


def _turn(sliceNode, volumeNode, matrix: np.ndarray, axis: int) -> None:
    """Give a view the plane across an axis, the way up that people are used to."""
    world = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    plane = ("Sagittal", "Coronal", "Axial")[int(np.argmax(np.abs(world[:, axis])))]
    if sliceNode.HasSliceOrientationPreset(plane):
        sliceNode.SetOrientation(plane)
        sliceNode.RotateToVolumePlane(volumeNode, False)
    view = Geometry.toArray(sliceNode.GetSliceToRAS())
    found, tilt = _axisAcross(matrix, view[:3, 2])
    if found == axis and tilt <= TILT_LIMIT_DEGREES:
        return
    # Far oblique or sheared: no preset leads there. Keep the view's right-hand side as far as possible.
    right, other = world[:, (axis + 1) % 3], world[:, (axis + 2) % 3]
    normal = np.cross(right, other)
    normal *= np.sign(np.dot(normal, view[:3, 2])) or 1.0
    across = view[:3, 0] - normal * np.dot(view[:3, 0], normal) / np.dot(normal, normal)
    if np.linalg.norm(across) < 0.1:
        across = right
    sliceNode.SetSliceToRASByNTP(*normal, *across, *view[:3, 3], 0)


def _jump(sliceNode, volumeNode, matrix: np.ndarray, axis: int, index: int) -> None:
    point = (np.array(Geometry.dimensions(volumeNode), dtype=float) - 1) / 2
    point[axis] = index
    # Moves along the normal only, so that what is in sight stays.
    sliceNode.JumpSliceByOffsetting(*(matrix @ [*point, 1])[:3])
