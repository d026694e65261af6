"""The images of a patient: their names, their volumes, and whether their voxels lie at the same places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Geometry
from SegToolkitGui.scene.VolumeExport import checkVolume

FEWEST, MOST = 2, 8
# Of the smallest spacing: two grids whose corners are no farther apart are one (as in the library).
TOLERANCE = 0.05
# Spacings that differ by less are equal but for rounding (as in the library).
CLEARLY_COARSER = 1.01
# Also the name of the map of all images, which no image may have.
FUSED = "fused"
ROLE = "Image"


class ImageRows:
    """The volumes of the rows, as node references of the module's parameter node.

    The parameter wrapper has no list in which a place may stay empty.
    """

    def __init__(self, parameterNode) -> None:
        self._node = parameterNode

    def volumes(self, count: int) -> list:
        """The volumes of so many rows; None where none is chosen."""
        return [self._node.GetNodeReference(f"{ROLE}{number}") for number in range(count)]

    def setVolumes(self, volumes: list) -> None:
        """Keep these; what was kept for further rows is dropped."""
        with slicer.util.NodeModify(self._node):
            for number in range(max(MOST, len(volumes))):
                volume = volumes[number] if number < len(volumes) else None
                self._node.SetNodeReferenceID(f"{ROLE}{number}", volume.GetID() if volume else None)


def sliceAxis(volumeNode) -> int:
    """Axis (0, 1, 2 for i, j, k) across which slices are counted: the clearly coarsest one, else k."""
    matrix, size = Geometry.ijkToLocal(volumeNode), Geometry.dimensions(volumeNode)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if size[2] == 1:
        return 2
    coarsest = int(np.argmax(spacing))
    return coarsest if spacing[coarsest] > CLEARLY_COARSER * spacing[2] else 2


def sliceCount(volumeNode) -> int:
    """How many slices there are across that axis."""
    return Geometry.dimensions(volumeNode)[sliceAxis(volumeNode)]


def placeBeside(volumeNode, first) -> np.ndarray | None:
    """Index to mm [4, 4] of a volume in the local space of the first; None where that is its own.

    Raises:
        UserError: "nonlinear".
    """
    if Geometry.transformBetween(volumeNode, first) is None:
        return None
    return np.linalg.inv(_toWorld(first)) @ Geometry.ijkToWorld(volumeNode)


def _toWorld(volumeNode) -> np.ndarray:
    """Local mm to world mm [4, 4]."""
    return Geometry.ijkToWorld(volumeNode) @ np.linalg.inv(Geometry.ijkToLocal(volumeNode))


def distance(volumeNode, first) -> float:
    """How far corners of two grids of the same size are apart, in mm; infinite for other sizes."""
    size = Geometry.dimensions(first)
    if Geometry.dimensions(volumeNode) != size:
        return float("inf")
    corners = np.array([[i, j, k, 1] for i in (0, size[0]) for j in (0, size[1]) for k in (0, size[2])]).T
    apart = (Geometry.ijkToWorld(volumeNode) - Geometry.ijkToWorld(first)) @ corners
    return float(np.linalg.norm(apart[:3], axis=0).max())


def onOneGrid(volumeNode, first) -> bool:
    """Whether the voxels of two volumes lie at the same places of the world, transforms counted."""
    spacing = np.linalg.norm(Geometry.ijkToWorld(first)[:3, :3], axis=0).min()
    return distance(volumeNode, first) <= TOLERANCE * spacing


@dataclass(frozen=True)
class Images:
    """Named volumes of one patient.

    Attributes:
        names, ids: of the images, in their order; the first gives the grid.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]

    def node(self, number: int = 0):
        """One of the volumes; None where it is not there (any longer)."""
        return slicer.mrmlScene.GetNodeByID(self.ids[number]) if self.ids[number:] else None

    @property
    def nodes(self) -> list:
        """The volumes; None where one is not there."""
        return [self.node(number) for number in range(len(self.ids))]

    def problem(self) -> str:
        """Why these images cannot be used, whatever their grids; "" if they can."""
        if len(self.ids) < FEWEST or not all(self.ids):
            return _("Choose two or more volumes, one for each modality.")
        names = [name.strip().casefold() for name in self.names]
        if not all(names):
            return _("Give each image the name of its modality, such as FLAIR or T1c.")
        if len(set(names)) < len(names):
            return _("Two images have the same modality name.")
        if FUSED in names:
            return _("{name!r} is the name of the map of all modalities: choose another one.").format(
                name=FUSED
            )
        if len(set(self.ids)) < len(self.ids):
            return _("The same volume is chosen twice.")
        for node in self.nodes:
            try:
                checkVolume(node)
                Geometry.ijkToWorld(node)
            except UserError as error:
                return str(error)
        return ""

    def apart(self) -> list[str]:
        """Names of the images that do not lie on the voxels of the first."""
        first = self.node()
        pairs = zip(self.names, self.nodes, strict=True)
        return [name for name, node in pairs if node is not first and not onOneGrid(node, first)]

    def gridProblem(self) -> str:
        """Where the images lie on other voxels than the first, in a sentence; "" if they do not."""
        apart = self.apart()
        if not apart:
            return ""
        first, node = self.node(), self.node(self.names.index(apart[0]))
        if Geometry.dimensions(node) != Geometry.dimensions(first):
            why = _("{one} voxels, not {other}").format(one=sizeText(node), other=sizeText(first))
        else:
            why = _("up to {mm:.3g} mm apart").format(mm=distance(node, first))
        return _("{names} lies on other voxels than {first} ({why}).").format(
            names=", ".join(apart), first=self.names[0], why=why
        )


def sizeText(volumeNode) -> str:
    """ "240 x 240 x 155"."""
    return " x ".join(str(count) for count in Geometry.dimensions(volumeNode))
