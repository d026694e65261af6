"""The maps of a patient in the scene: volumes, their thresholds, and the table of what was said of slices.

A run's maps carry its name, so that the last one's are found again, also in a scene that was saved.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.scene import Placement, TableNodes
from SegToolkitGui.weak import MapSources
from SegToolkitGui.weak.Images import FUSED
from SegToolkitGui.weak.SliceTable import SliceFacts

RUN = "SegToolkit.MapRun"
NAME = "SegToolkit.MapName"
THRESHOLD = "SegToolkit.MapThreshold"
MODEL_THRESHOLD = "SegToolkit.MapModelThreshold"
VOLUME_ROLE = "SegToolkit.MappedVolume"
# Titles of the table's columns; the probabilities' begin so.
SLICE, MODALITIES, SEEDS = "slice", "modalities", "seeds"
PROBABILITY = "probability "
DEFAULT = 0.5


def newRun() -> str:
    """A name for a run's maps."""
    return uuid.uuid4().hex


def mark(
    node: Any,
    volumeNode: Any,
    run: str,
    name: str = "",
    threshold: float = DEFAULT,
    sources: Mapping[str, str] | None = None,
) -> None:
    """Say of a node which run's it is, and of a map which one and what it was made of (see MapSources)."""
    with slicer.util.NodeModify(node):
        node.SetAttribute(RUN, run)
        node.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
        if name:
            node.SetAttribute(NAME, name)
            node.SetAttribute(THRESHOLD, repr(float(threshold)))
            node.SetAttribute(MODEL_THRESHOLD, repr(float(threshold)))
            MapSources.keep(node, sources or {})


def lastRun(volumeNode: Any) -> str:
    """The last run that made maps of a volume and left some; "" if none did."""
    if volumeNode is None:
        return ""
    runs = [
        node.GetAttribute(RUN)
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if node.GetAttribute(NAME) and node.GetNodeReference(VOLUME_ROLE) is volumeNode
    ]
    return runs[-1] if runs else ""


def mapsOf(volumeNode: Any) -> dict[str, Any]:
    """The maps of the last run by name, the fused one last."""
    run = lastRun(volumeNode)
    found = {
        node.GetAttribute(NAME): node
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if run and node.GetAttribute(RUN) == run and node.GetAttribute(NAME) and node.GetImageData()
    }
    return dict(sorted(found.items(), key=lambda one: one[0] == FUSED))


def threshold(mapNode: Any) -> float:
    """The threshold of a map, as it was moved."""
    return _number(mapNode.GetAttribute(THRESHOLD))


def modelThreshold(mapNode: Any) -> float:
    """The threshold of a map that the model came with."""
    return _number(mapNode.GetAttribute(MODEL_THRESHOLD))


def setThreshold(mapNode: Any, value: float) -> None:
    """Move a map's threshold."""
    mapNode.SetAttribute(THRESHOLD, repr(round(float(value), 4)))


def _number(text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        return DEFAULT
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else DEFAULT


def titleOf(name: str) -> str:
    """What a map is called in the panel."""
    return _("Fused") if name == FUSED else name


# What was said of slices


def makeTable(volumeNode: Any, run: str, slices: Sequence[Mapping[str, Any]]) -> Any:
    """A table node of what the networks said of each slice.

    Args:
        slices: as the worker's verb "maps" tells them.
    """
    modalities = list(slices[0]["probability"]) if slices else []
    columns: list[tuple[str, list]] = [(SLICE, [int(one["slice"]) for one in slices])]
    for name in modalities:
        columns.append((PROBABILITY + name, [float(one["probability"][name]) for one in slices]))
    for title in (MODALITIES, SEEDS):
        values = [one.get(title) for one in slices]
        columns.append((title, [None if value is None else float(value) for value in values]))
    node = TableNodes.makeTable(
        _("{name} agreement").format(name=volumeNode.GetName()),
        columns,
        _("Probability that the object is visible, and agreement of the maps (soft Dice), by slice."),
    )
    Placement.underSamePatient(node, volumeNode)
    mark(node, volumeNode, run)
    return node


def tableOf(volumeNode: Any) -> Any:
    """The table of the last run's maps, or None."""
    run = lastRun(volumeNode)
    nodes = slicer.util.getNodesByClass("vtkMRMLTableNode") if run else []
    return next((node for node in nodes if node.GetAttribute(RUN) == run), None)


def facts(volumeNode: Any) -> dict[int, SliceFacts]:
    """What the networks said of each slice of a volume."""
    node = tableOf(volumeNode)
    if node is None:
        return {}
    table = node.GetTable()
    columns = {
        table.GetColumnName(number): [
            _value(table.GetColumn(number).GetValue(row)) for row in range(table.GetNumberOfRows())
        ]
        for number in range(table.GetNumberOfColumns())
    }
    nothing = [None] * table.GetNumberOfRows()
    probabilities = {
        title[len(PROBABILITY) :]: values
        for title, values in columns.items()
        if title.startswith(PROBABILITY)
    }
    found = {}
    for row, number in enumerate(columns.get(SLICE, [])):
        if number is not None:
            told = {name: values[row] for name, values in probabilities.items() if values[row] is not None}
            agreements = (columns.get(title, nothing)[row] for title in (MODALITIES, SEEDS))
            found[int(number)] = SliceFacts(told, *agreements)
    return found


def _value(cell: Any) -> float | None:
    """A cell's number; saved and loaded, columns of numbers may have become texts."""
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
