"""The table of a run: how large and how bright each organ is."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.scene import Placement, TableNodes


def make(results: list, single: bool):
    """A table node of the results; beside the volume in the subject hierarchy where it is about one alone."""
    volume = slicer.mrmlScene.GetNodeByID(results[0].volumeId)
    name = _("{name} volumes").format(name=results[0].name) if single else _("Volumes of the organs")
    node = TableNodes.makeTable(name, columns(results), _("Volumes of organs, by SegToolkit"))
    if single:
        Placement.underSamePatient(node, volume)
    return node


def fill(node, results: list) -> None:
    """Show these results in a table that is there."""
    TableNodes.fill(node, columns(results))


def columns(results: list) -> list[TableNodes.Column]:
    """Volume, organ, millilitres, mean; the unit of the mean is told where all results have the same."""
    units = {result.unit for result in results}
    unit = units.pop() if len(units) == 1 else ""
    rows = [(result.name, row) for result in results for row in result.rows]
    return [
        (_("Volume"), [name for name, _row in rows]),
        (_("Organ"), [row["name"] for _name, row in rows]),
        (_("ml"), [row["ml"] for _name, row in rows]),
        (
            _("Mean {unit}").format(unit=unit) if unit else _("Mean intensity"),
            [row["mean"] for _n, row in rows],
        ),
    ]
