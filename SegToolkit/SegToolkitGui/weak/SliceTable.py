"""The slices as rows of a table: tag, probability, agreement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import qt
from slicer.i18n import tr as _

from SegToolkitGui.weak import Colours
from SegToolkitGui.weak.SliceTags import Tag

TITLES = (_("Slice"), _("Object"), _("Probability"), _("Modalities"), _("Seeds"))
TIPS = (
    _("Number of the slice, from 0."),
    _("Your tag: whether the object is visible in this slice."),
    _("That the object is visible, as the networks say: mean of the modalities."),
    _("How well the maps of the modalities agree in this slice (soft Dice, 1 is best)."),
    _("How well the maps of the model's seeds agree in this slice (soft Dice, 1 is best)."),
)
TAGS: dict[Tag, str] = {True: _("visible"), False: _("not visible"), None: ""}
# Of every cell, and there are hundreds: translated once, not at each refresh.
NOT_SAID = _("not said")
NOTHING_TO_COMPARE = _("Nothing to compare: too few maps show the object here.")
POOR_AGREEMENT = _("Poor agreement: look at this slice.")
TAG_COLOURS: dict[Tag, tuple[int, int, int] | None] = {
    True: (198, 224, 180),
    False: (225, 225, 225),
    None: None,
}


@dataclass
class SliceFacts:
    """What the networks said of a slice; None where nothing is known.

    Attributes:
        probability: of each modality that the object is visible.
        modalities, seeds: agreement of the maps, from 0 to 1.
    """

    probability: dict[str, float] = field(default_factory=dict)
    modalities: float | None = None
    seeds: float | None = None

    @property
    def mean(self) -> float | None:
        """Mean probability of the modalities."""
        return sum(self.probability.values()) / len(self.probability) if self.probability else None


class SliceTable:
    """Shows slices as rows of a QTableWidget; only what changed is touched.

    Args:
        widget: the table.
        onSelected: called without arguments when a person selects other rows.
    """

    def __init__(self, widget: Any, onSelected: Callable[[], Any]) -> None:
        self._widget = widget
        self._onSelected = onSelected
        self._shown: list[tuple] = []
        self._quiet = False
        widget.setColumnCount(len(TITLES))
        widget.setHorizontalHeaderLabels(list(TITLES))
        header = widget.horizontalHeader()
        for column, tip in enumerate(TIPS):
            widget.horizontalHeaderItem(column).setToolTip(tip)
            stretch = qt.QHeaderView.Stretch if column == 1 else qt.QHeaderView.ResizeToContents
            header.setSectionResizeMode(column, stretch)
        widget.verticalHeader().setVisible(False)
        widget.verticalHeader().setDefaultSectionSize(20)
        widget.connect("itemSelectionChanged()", self._onSelection)

    def show(self, tags: list[Tag], facts: dict[int, SliceFacts]) -> None:
        """Bring the rows in line; columns of which nothing is known are hidden."""
        rows = [(tag, _cells(number, tag, facts.get(number))) for number, tag in enumerate(tags)]
        widget = self._widget
        if len(rows) != len(self._shown):
            self._quiet = True
            try:
                widget.setRowCount(len(rows))
            finally:
                self._quiet = False
            self._shown = [()] * len(rows)
        for number, (row, old) in enumerate(zip(rows, self._shown, strict=True)):
            if row != old:
                self._fill(number, row[1])
        self._shown = rows
        known = [one for one in facts.values() if one.probability]
        widget.setColumnHidden(2, not known)
        widget.setColumnHidden(3, not known)
        widget.setColumnHidden(4, not any(one.seeds is not None for one in facts.values()))

    def _fill(self, number: int, cells: tuple) -> None:
        for column, (text, tip, colour) in enumerate(cells):
            item = self._widget.item(number, column)
            if item is None:
                item = qt.QTableWidgetItem()
                if column != 1:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self._widget.setItem(number, column, item)
            item.setText(text)
            item.setToolTip(tip)
            if colour is None:
                item.setData(qt.Qt.BackgroundRole, None)
                item.setData(qt.Qt.ForegroundRole, None)
            else:
                item.setBackground(qt.QBrush(qt.QColor(*colour)))
                item.setForeground(qt.QBrush(qt.QColor(0, 0, 0)))

    # Selecting

    @property
    def selected(self) -> list[int]:
        """Numbers of the selected slices, in their order."""
        return sorted({index.row() for index in self._widget.selectionModel().selectedRows()})

    @property
    def current(self) -> int:
        """The slice with the cursor, -1 for none."""
        return self._widget.currentRow() if self.selected else -1

    def select(self, number: int) -> None:
        """Select one slice alone, and bring it in sight; nobody is told."""
        if not 0 <= number < len(self._shown) or self.selected == [number]:
            return
        self._quiet = True
        try:
            self._widget.setCurrentCell(number, 0)
            self._widget.scrollToItem(self._widget.item(number, 0))
        finally:
            self._quiet = False

    def _onSelection(self) -> None:
        if not self._quiet:
            self._onSelected()


def _cells(number: int, tag: Tag, facts: SliceFacts | None) -> tuple:
    """Text, tool tip and colour (or None) of each cell."""
    facts = facts or SliceFacts()
    each = "\n".join(f"{name}: {value:.2f}" for name, value in facts.probability.items())
    return (
        (str(number), "", None),
        (TAGS[tag], TAGS[tag] or NOT_SAID, TAG_COLOURS[tag]),
        (_number(facts.mean), each, Colours.colourOf(facts.mean, Colours.PROBABILITY)),
        (_number(facts.modalities), _told(facts.modalities), Colours.colourOf(facts.modalities)),
        (_number(facts.seeds), _told(facts.seeds), Colours.colourOf(facts.seeds)),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _told(value: float | None) -> str:
    if value is None:
        return NOTHING_TO_COMPARE
    return POOR_AGREEMENT if value < Colours.POOR else ""
