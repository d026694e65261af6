"""The table of support examples."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from SegToolkitGui.fewshot.Supports import SupportExample
from SegToolkitGui.scene import Geometry, MaskExport
from SegToolkitGui.scene.VolumeExport import fingerprint

COLUMNS = (_("Volume"), _("Slice"), _("Structures"), _("Voxels"))


class SupportTable:
    """Shows examples as rows; a row that cannot be used says why.

    Args:
        widget: a QTableWidget.
    """

    def __init__(self, widget) -> None:
        self._widget = widget
        self._shown: list[tuple] = []
        self._counted: dict[tuple, int] = {}
        widget.setColumnCount(len(COLUMNS))
        widget.setHorizontalHeaderLabels(list(COLUMNS))
        # Names share what the numbers leave; a long one is cut short, and its tool tip is whole.
        for column, fits in enumerate((False, True, False, True)):
            mode = qt.QHeaderView.ResizeToContents if fits else qt.QHeaderView.Stretch
            widget.horizontalHeader().setSectionResizeMode(column, mode)
        widget.verticalHeader().setVisible(False)

    def show(self, examples: list[SupportExample]) -> None:
        """Fill the table; nothing is touched where nothing changed."""
        rows = [self._row(example) for example in examples]
        if rows == self._shown:
            return
        self._shown = rows
        self._widget.setRowCount(len(rows))
        for number, (texts, problem) in enumerate(rows):
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(problem or text)
                if problem:
                    item.setForeground(qt.QBrush(qt.QColor(192, 57, 43)))
                self._widget.setItem(number, column, item)

    def selected(self, examples: list[SupportExample]) -> list[SupportExample]:
        """The selected examples, in their order."""
        rows = sorted({item.row() for item in self._widget.selectedItems()})
        return [examples[row] for row in rows if row < len(examples)]

    def _row(self, example: SupportExample) -> tuple[tuple[str, ...], str]:
        problem = example.problem()
        name = example.volume.GetName() if example.volume is not None else _("(deleted)")
        if example.frame is not None:
            name = _("{name}, frame {frame}").format(name=name, frame=example.frame)
        plane = Geometry.planeOf(example.volume, example.axis) if example.volume is not None else ""
        texts = [name, f"{plane} {example.index}".strip(), ", ".join(example.structureNames()), ""]
        if not problem:
            count = self._count(example)
            texts[3] = str(count)
            if count == 0:
                problem = _("Nothing is outlined on this slice any more.")
        return tuple(texts), problem

    def _count(self, example: SupportExample) -> int:
        """Outlined voxels; counted anew only when the outlines changed."""
        segmentation = example.segmentation.GetSegmentation()
        stamps = [segmentation.GetMTime(), fingerprint(example.volume)]
        for segmentId in example.presentSegmentIds():
            # The segmentation's own stamp does not tell of strokes of the brush.
            source = segmentation.GetSegment(segmentId).GetRepresentation(
                segmentation.GetSourceRepresentationName()
            )
            stamps.append(source.GetMTime() if source is not None else 0)
        for node in (example.volume, example.segmentation):
            parent = node.GetParentTransformNode()
            stamps.extend([node.GetTransformNodeID(), parent.GetTransformToWorldMTime() if parent else 0])
        key = (example, *stamps)
        if key not in self._counted:
            self._counted = {one: n for one, n in self._counted.items() if one[0] != example}
            counts = MaskExport.outlinedVoxels(
                example.segmentation,
                example.presentSegmentIds(),
                example.volume,
                example.axis,
                example.index,
                example.frame,
            )
            self._counted[key] = sum(counts.values())
        return self._counted[key]
