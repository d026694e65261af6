"""Tables of results as nodes: made of columns, shown in a widget, copied and saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError

ARRAYS = {str: vtk.vtkStringArray, int: vtk.vtkIntArray, float: vtk.vtkDoubleArray}
Column = tuple[str, Sequence]  # its title, and texts or numbers; None where there is no number


def makeTable(name: str, columns: Sequence[Column], description: str = ""):
    """A new table node of the scene.

    Columns of texts become texts, of counts whole numbers, all others numbers; a number that is not there
    becomes NaN, so that plots leave it out.
    """
    scene = slicer.mrmlScene
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName(name))
    node.SetDescription(description)
    fill(node, columns)
    return node


def fill(node, columns: Sequence[Column]) -> None:
    """Give a table other contents."""
    table = vtk.vtkTable()
    for title, values in columns:
        kind = _kind(values)
        array = ARRAYS[kind]()
        array.SetName(title)
        for value in values:
            array.InsertNextValue(float("nan") if value is None else kind(value))
        table.AddColumn(array)
    node.SetAndObserveTable(table)


def _kind(values: Sequence) -> type:
    for kind in (str, int):
        if values and all(isinstance(value, kind) for value in values):
            return kind
    return float


def cells(node) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of a table as short texts; "" where there is no number."""
    table = node.GetTable()
    columns = [table.GetColumn(number) for number in range(table.GetNumberOfColumns())]
    rows = [
        [_text(column.GetValue(number)) for column in columns] for number in range(table.GetNumberOfRows())
    ]
    return [column.GetName() for column in columns], rows


def _text(value) -> str:
    if isinstance(value, (str, int)):
        return str(value)
    if value != value:  # NaN
        return ""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def asCsv(node) -> str:
    """A table as text for a spreadsheet, all digits, tabs between the cells as spreadsheets paste them."""
    table = node.GetTable()
    columns = [table.GetColumn(number) for number in range(table.GetNumberOfColumns())]
    lines = ["\t".join(column.GetName() for column in columns)]
    for number in range(table.GetNumberOfRows()):
        values = [column.GetValue(number) for column in columns]
        lines.append("\t".join("" if value != value else str(value) for value in values))
    return "\n".join(lines) + "\n"


def save(node, path: str) -> None:
    """Write a table with Slicer's own writer, commas or tabs by the ending of the file's name.

    Raises:
        UserError: "not-saved".
    """
    try:
        # Without properties of our own it keeps the format of the first export for all that follow.
        written = slicer.util.exportNode(node, path, {})
    except ValueError:  # an ending that Slicer does not know
        written = False
    if not written or not Path(path).is_file():
        raise UserError(
            "not-saved",
            _("{path} could not be written.").format(path=path),
            _("Choose another folder, or a name that ends in .csv or .tsv."),
        )
