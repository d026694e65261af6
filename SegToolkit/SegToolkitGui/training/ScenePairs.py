"""Which segmentation belongs to which volume."""

from __future__ import annotations

from typing import Any

import numpy as np
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError

# So much of the outlined box must lie in a volume's box for the two to belong together.
INSIDE = 0.5


def pairs(volumes: list[Any], segmentations: list[Any]) -> list[tuple[Any, list[Any] | None]]:
    """Each volume with its segmentations, None where it has none; quick, fit for showing what comes.

    A segmentation belongs to the volume it was made on (its reference geometry). Where that is not chosen or
    not known: to the only chosen volume at the same place; of several, the one in the same study, then one
    that no other segmentation takes.

    Raises:
        UserError: "nothing-chosen", "no-volume-for", "which-volume", "same-structure".
    """
    volumes = _unique(volumes)
    if not volumes:
        raise UserError("nothing-chosen", _("No volume is chosen."), _("Tick the volumes to train on."))
    found: dict[str, list[Any]] = {node.GetID(): [] for node in volumes}
    unsure = []
    for node in _unique(segmentations):
        reference = referenceVolume(node)
        if reference is not None and reference.GetID() in found:
            found[reference.GetID()].append(node)
        else:
            unsure.append(node)
    for node in unsure:
        found[_nearest(node, volumes, found).GetID()].append(node)
    for volume in volumes:
        _checkNames(volume, found[volume.GetID()])
    return [(volume, found[volume.GetID()] or None) for volume in volumes]


def referenceVolume(segmentationNode: Any) -> Any:
    """The volume on which a segmentation was made, or None."""
    return segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())


def _unique(nodes: list[Any]) -> list[Any]:
    """Nodes without gaps and doubles, in their order."""
    known: dict[str, Any] = {}
    for node in nodes:
        if node is not None and node.GetScene() is not None:
            known.setdefault(node.GetID(), node)
    return list(known.values())


def _nearest(segmentation: Any, volumes: list[Any], found: dict[str, list[Any]]) -> Any:
    candidates = [volume for volume in volumes if _shareInside(segmentation, volume) >= INSIDE]
    sameStudy = [one for one in candidates if _study(one) == _study(segmentation) != 0]
    free = [one for one in sameStudy or candidates if not found[one.GetID()]]
    for chosen in (candidates, sameStudy, free):
        if len(chosen) == 1:
            return chosen[0]
    name = segmentation.GetName()
    if candidates:
        raise UserError(
            "which-volume",
            _("{name} could belong to {volumes}.").format(
                name=name, volumes=_(" or ").join(one.GetName() for one in candidates)
            ),
            _("Set its source volume in the Segment Editor, or tick one of them only."),
        )
    reference = referenceVolume(segmentation)
    hint = _("Tick the volume on which it was outlined, or leave the segmentation out.")
    if reference is not None:
        hint = _("It was outlined on {name}: tick that volume too.").format(name=reference.GetName())
    raise UserError("no-volume-for", _("{name} lies in none of the chosen volumes.").format(name=name), hint)


def _shareInside(segmentation: Any, volume: Any) -> float:
    """How much of the segmentation's box lies in the volume's box, from 0 to 1."""
    outlined, image = _bounds(segmentation), _bounds(volume)
    if outlined is None or image is None:
        return 0.0
    size = np.maximum(outlined[1] - outlined[0], 1e-6)
    common = np.minimum(outlined[1], image[1]) - np.maximum(outlined[0], image[0])
    return float(np.prod(np.clip(common / size, 0, 1)))


def _bounds(node: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Lowest and highest corner in world RAS mm, None where nothing is there."""
    values = [0.0] * 6
    node.GetRASBounds(values)
    low, high = np.array(values[0::2]), np.array(values[1::2])
    return (low, high) if np.all(high >= low) and np.any(high > low) else None


def _study(node: Any) -> int:
    """Item of the subject hierarchy below which a node stands; 0 for none."""
    hierarchy = node.GetScene().GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    parent = hierarchy.GetItemParent(item) if item else 0
    return 0 if not parent or parent == hierarchy.GetSceneItemID() else parent


def _checkNames(volume: Any, segmentations: list[Any]) -> None:
    """Two segmentations of one volume may add up, but not outline the same structure."""
    seen: dict[str, Any] = {}
    for node in segmentations:
        segmentation = node.GetSegmentation()
        for name in {segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()}:
            if name in seen:
                raise UserError(
                    "same-structure",
                    _("{one} and {other} both outline {structure} on {volume}.").format(
                        one=seen[name].GetName(),
                        other=node.GetName(),
                        structure=name,
                        volume=volume.GetName(),
                    ),
                    _("Tick one of them only."),
                )
        seen.update({segmentation.GetSegment(one).GetName(): node for one in segmentation.GetSegmentIDs()})
