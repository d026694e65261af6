"""What maps were made of: whether they still say something of the images as these are now."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from SegToolkitGui.scene import Geometry
from SegToolkitGui.scene.VolumeExport import fingerprint

# Of a map: the images that it was made of, and the state of each then, in the same order.
ROLE = "SegToolkit.MapSource"
STATES = "SegToolkit.MapSourceStates"
SAME_PLACE = 1e-3  # voxels: more than what rounding in saved scenes makes

_known: dict[str, tuple[tuple, str]] = {}  # by MRML ID: how it was when it was looked at, and the checksum


def stateOf(volumeNode: Any, first: Any) -> str:
    """A checksum of an image's voxels, and its place beside the first one; as a text, to be saved.

    Raises:
        UserError: "nonlinear", of transforms that bend.
    """
    return " ".join([_checksum(volumeNode), *(f"{one:.6f}" for one in _place(volumeNode, first).ravel())])


def _checksum(volumeNode: Any) -> str:
    """Of all voxels; they are read again only when they have changed."""
    nodeId, now = volumeNode.GetID(), fingerprint(volumeNode)
    if _known.get(nodeId, ((), ""))[0] != now:
        array = vtk_to_numpy(volumeNode.GetImageData().GetPointData().GetScalars())
        _known[nodeId] = (now, f"{zlib.crc32(np.ascontiguousarray(array)):08x}")
    return _known[nodeId][1]


def _place(volumeNode: Any, first: Any) -> np.ndarray:
    """Voxels of an image to voxels of the first one, [3, 4]."""
    return (np.linalg.inv(Geometry.ijkToWorld(first)) @ Geometry.ijkToWorld(volumeNode))[:3]


def _unchanged(state: str, volumeNode: Any, first: Any) -> bool:
    """Whether an image is in that state still."""
    checksum, *place = state.split()
    same = np.allclose(np.array(place, float), _place(volumeNode, first).ravel(), rtol=0, atol=SAME_PLACE)
    return same and checksum == _checksum(volumeNode)


def keep(mapNode: Any, states: Mapping[str, str]) -> None:
    """Say what a map was made of: MRML ID -> state."""
    for number, nodeId in enumerate(states):
        mapNode.SetNthNodeReferenceID(ROLE, number, nodeId)
    mapNode.SetAttribute(STATES, ",".join(states.values()) or None)


def onGridOf(mapNode: Any, volumeNode: Any) -> bool:
    """Whether a map has the voxels of the image that it was made for."""
    size = Geometry.dimensions(volumeNode)
    if Geometry.dimensions(mapNode) != size:
        return False
    return Geometry.sameGrid(Geometry.ijkToLocal(mapNode), Geometry.ijkToLocal(volumeNode), size)


def outdated(mapNodes: Iterable[Any], images: Any) -> str:
    """Why maps say little of the images as they are now, in a sentence; "" if nothing is against them.

    Args:
        mapNodes: the maps of the last run.
        images: the Images that are chosen, which can be used.
    """
    first = images.node()
    for node in mapNodes:
        if not onGridOf(node, first):
            return _("{name} has other voxels than its maps: make the maps again.").format(
                name=first.GetName()
            )
        states = (node.GetAttribute(STATES) or "").split(",")
        for number, state in enumerate(states if states != [""] else []):
            source = node.GetNthNodeReference(ROLE, number)
            if source is None or source.GetID() not in images.ids:
                return _("The maps were made of other images than those that are chosen.")
            if not _unchanged(state, source, first):
                return _("{name} was changed after the maps were made: make the maps again.").format(
                    name=source.GetName()
                )
    return ""
