"""What a person says of the slices of a volume: the object is visible, it is not, or nothing.

Tags are a table node of the scene with the columns "slice" and "visible" (1, 0, or nothing), so they are
saved with it and can be looked at in the module Tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import slicer
import vtk
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Placement
from SegToolkitGui.weak.Images import sliceAxis, sliceCount

Tag = bool | None
COLUMNS = ("slice", "visible")
# Of the table node: which volume its slices are of, and across which of its axes.
VOLUME_ROLE = "SegToolkit.TaggedVolume"
AXIS = "SegToolkit.TaggedAxis"
TEXTS: dict[Tag, str] = {True: "1", False: "0", None: ""}
NUMBER = re.compile(r"[0-9]+(\.0*)?")  # columns of whole numbers may come back as others
STEPS = 50  # of undo


def tableOf(volumeNode):
    """The table with a volume's tags, or None."""
    for node in slicer.util.getNodesByClass("vtkMRMLTableNode"):
        if node.GetAttribute(AXIS) and node.GetNodeReference(VOLUME_ROLE) is volumeNode:
            return node
    return None


def read(volumeNode) -> list[Tag]:
    """The tags of all slices of a volume; a table of another volume's shape does not count."""
    count = sliceCount(volumeNode)
    tags: list[Tag] = [None] * count
    node = tableOf(volumeNode)
    if node is None or node.GetAttribute(AXIS) != str(sliceAxis(volumeNode)):
        return tags
    table = node.GetTable()
    columns = [table.GetColumnByName(name) if table is not None else None for name in COLUMNS]
    if None in columns:  # somebody changed the table by hand
        return tags
    for row in range(table.GetNumberOfRows()):
        number, tag = (str(column.GetValue(row)).strip() for column in columns)
        if NUMBER.fullmatch(number) and float(number) < count:
            tags[int(float(number))] = _tagOf(tag)
    return tags


def write(volumeNode, tags: list[Tag]) -> None:
    """Keep the tags of all slices; the table is made at the first ones."""
    node = tableOf(volumeNode)
    if node is None:
        if not any(tag is not None for tag in tags):
            return
        scene = volumeNode.GetScene()
        name = _("{name} tags").format(name=volumeNode.GetName())
        node = scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName(name))
        node.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
        Placement.underSamePatient(node, volumeNode)
    table = vtk.vtkTable()
    numbers, texts = vtk.vtkIntArray(), vtk.vtkStringArray()
    for array, name in zip((numbers, texts), COLUMNS, strict=True):
        array.SetName(name)
    for number, tag in enumerate(tags):
        numbers.InsertNextValue(number)
        texts.InsertNextValue(TEXTS[tag])
    for array in (numbers, texts):
        table.AddColumn(array)
    with slicer.util.NodeModify(node):
        node.SetAttribute(AXIS, str(sliceAxis(volumeNode)))
        node.SetAndObserveTable(table)


def _tagOf(text: str) -> Tag:
    """The tag that a cell says; people write what they like into tables."""
    word = text.casefold()
    if word in ("1", "1.0", "true", "yes", "visible"):
        return True
    return False if word in ("0", "0.0", "false", "no", "not visible") else None


def changed(tags: list[Tag], slices: Iterable[int], tag: Tag) -> list[Tag]:
    """The tags with some slices' changed."""
    wanted = set(slices)
    return [tag if number in wanted else old for number, old in enumerate(tags)]


def toggled(tags: list[Tag], slices: Iterable[int]) -> list[Tag]:
    """The tags with some slices visible, or not visible where all of them were visible before."""
    wanted = list(slices)
    return changed(tags, wanted, not all(tags[number] is True for number in wanted))


def asDict(tags: list[Tag]) -> dict[int, bool]:
    """Slices that are tagged."""
    return {number: tag for number, tag in enumerate(tags) if tag is not None}


def fromDict(values: Mapping[int, Tag], count: int) -> list[Tag]:
    """Tags of all slices.

    Raises:
        UserError: "bad-tags".
    """
    tags: list[Tag] = [None] * count
    for number, tag in values.items():
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
            raise UserError(
                "bad-tags",
                _("There is no slice {number!r}; slices are numbered from 0 to {last}.").format(
                    number=number, last=count - 1
                ),
            )
        if tag not in (True, False, None):
            raise UserError(
                "bad-tags",
                _("The tag of slice {number} is {tag!r}.").format(number=number, tag=tag),
                _("Use True (visible), False (not visible) or None (not said)."),
            )
        tags[number] = None if tag is None else bool(tag)
    return tags


def notVisible(tags: list[Tag]) -> list[int]:
    """The slices in which the object is said not to be visible."""
    return [number for number, tag in enumerate(tags) if tag is False]


def summary(tags: list[Tag]) -> str:
    """How many slices are tagged, and what is still needed to train on them."""
    visible, absent = tags.count(True), tags.count(False)
    text = _("{tagged} of {count} slices tagged: {visible} visible, {absent} not visible.").format(
        tagged=visible + absent, count=len(tags), visible=visible, absent=absent
    )
    if not visible and not absent:
        return text + " " + _("Training needs slices of both kinds.")
    if not visible:
        return text + " " + _("Training needs slices in which the object is visible as well.")
    if not absent:
        return text + " " + _("Training needs slices in which the object is not visible as well.")
    return text


class TagHistory:
    """Undo and redo of tags, of one volume at a time.

    What was changed elsewhere (the module Tables, a script) is a step as well, of the next change here.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all steps: the scene is closed."""
        self._volumeId = ""
        self._before: list[list[Tag]] = []
        self._after: list[list[Tag]] = []

    def write(self, volumeNode, tags: list[Tag]) -> None:
        """Change a volume's tags; they can be taken back."""
        self._follow(volumeNode)
        old = read(volumeNode)
        if tags != old:
            self._before = [*self._before, old][-STEPS:]
            self._after = []
            write(volumeNode, tags)

    def undo(self, volumeNode) -> bool:
        """Take the last change back; False if there is none."""
        self._follow(volumeNode)
        return self._go(volumeNode, self._before, self._after)

    def redo(self, volumeNode) -> bool:
        """Do again what was taken back; False if nothing was."""
        self._follow(volumeNode)
        return self._go(volumeNode, self._after, self._before)

    def can(self, volumeNode) -> tuple[bool, bool]:
        """Whether there is something to undo, and to redo."""
        ours = volumeNode is not None and volumeNode.GetID() == self._volumeId
        return ours and bool(self._before), ours and bool(self._after)

    @staticmethod
    def _go(volumeNode, origin: list, other: list) -> bool:
        if not origin:
            return False
        other.append(read(volumeNode))
        write(volumeNode, origin.pop())
        return True

    def _follow(self, volumeNode) -> None:
        if volumeNode.GetID() != self._volumeId:
            self.clear()
            self._volumeId = volumeNode.GetID()
