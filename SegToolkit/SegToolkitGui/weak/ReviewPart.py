"""The section "6. Review": slices of the mask, accepted, sent back to the tags, or edited."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part
from SegToolkitGui.scene import VolumeExport
from SegToolkitGui.scene.NodeWatch import NodeWatch
from SegToolkitGui.weak import Colours, Review, SliceTags
from SegToolkitGui.weak.CollectRun import OTHERS, CollectSettings

TITLES = (_("Slice"), _("Voxels"), _("Agreement"), _("Review"))
OTHERS_TITLES = {"left": _("Left out"), "background": _("Background")}
ACCEPTED_COLOUR = (198, 224, 180)
ACCEPTED = _("accepted")
MISSED = _("You tagged the object as visible here, but the mask is empty: look at this slice.")


class ReviewPart(Part):
    """A row for each slice with voxels, a positive tag, or a tick of the person."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self._slices: list[int] = []
        self._rows: list[tuple] = []
        self._counted: tuple = ((), [])
        self._watch = NodeWatch(panel.changed)
        self._folder = ""  # that masks were exported into last
        table = ui.reviewTable
        table.setColumnCount(len(TITLES))
        table.setHorizontalHeaderLabels(list(TITLES))
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(20)
        for column in range(len(TITLES)):
            last = column == len(TITLES) - 1
            mode = qt.QHeaderView.Stretch if last else qt.QHeaderView.ResizeToContents
            table.horizontalHeader().setSectionResizeMode(column, mode)
        table.connect("itemSelectionChanged()", self.onSelected)
        ui.othersCombo.addItems([OTHERS_TITLES[one] for one in OTHERS])
        ui.othersCombo.connect("currentIndexChanged(int)", self.onOthers)
        for button, slot in (
            (ui.acceptSlicesButton, self.onAccept),
            (ui.backToTagsButton, self.onBack),
            (ui.editSliceButton, self.onEdit),
            (ui.acceptAllButton, self.onAcceptAll),
            (ui.exportMasksButton, self.onExport),
        ):
            button.connect("clicked(bool)", panel.guarded(slot))

    def exit(self) -> None:
        """Nobody looks: somebody may be painting in the Segment Editor, and each stroke would be counted."""
        self._watch.follow([])

    def detach(self) -> None:
        """The scene goes."""
        self._watch.follow([])

    # What is there

    def segmentation(self) -> Any:
        """The masks that are looked at, or None."""
        return self.panel.running.resultNode()

    def counts(self) -> list[int]:
        """Voxels of each slice; counted anew only where the masks changed, and somebody looks."""
        segmentation, volume = self.segmentation(), self.panel.tags.volume()
        if segmentation is None or volume is None:
            return []
        key = (*Review.stamp(segmentation), volume.GetID(), VolumeExport.fingerprint(volume))
        if key != self._counted[0] and self.panel.shown:
            self._counted = (key, Review.voxels(segmentation, volume))
        return self._counted[1]

    def selected(self) -> list[int]:
        """The slices of the selected rows."""
        rows = {index.row() for index in self.ui.reviewTable.selectionModel().selectedRows()}
        return [self._slices[row] for row in sorted(rows) if row < len(self._slices)]

    def settings(self) -> CollectSettings:
        """What "Export accepted masks" writes."""
        parameters, segmentation = self.panel.parameters, self.segmentation()
        return CollectSettings(
            images=self.panel.images.images(),
            folder=self._folder,
            name=parameters.datasetName,
            modality=parameters.datasetModality,
            segmentationId=segmentation.GetID() if segmentation is not None else "",
            accepted=Review.accepted(segmentation),
            absent=SliceTags.notVisible(self.panel.tags.tags()),
            others=parameters.others,
            resample=parameters.resample,
            keepNames=parameters.keepNames,
        )

    # Showing

    def refresh(self) -> None:
        """Bring the section in line."""
        ui, segmentation = self.ui, self.segmentation()
        self._watch.follow([segmentation] if self.panel.shown else [])
        counts, accepted = self.counts(), Review.accepted(segmentation)
        visible = {number for number, tag in enumerate(self.panel.tags.tags()) if tag}
        if counts and not any(counts) and not Review.fits(segmentation, self.panel.tags.volume()):
            visible = set()  # its masks lie on other voxels: what is in these slices is not known
        listed = visible.union(accepted)
        self._slices = [n for n, count in enumerate(counts) if count or n in listed]
        facts = self.panel.facts()
        rows = []
        for number in self._slices:
            agreement = facts[number].modalities if number in facts else None
            missed = number in visible and not counts[number]
            rows.append((number, counts[number], agreement, number in accepted, missed))
        if rows != self._rows:
            self._fill(rows)
        self._rows = rows
        ui.reviewLabel.setText(self._summary(rows) if any(counts) else self._nothing(segmentation))
        chosen, busy = bool(self.selected()), self.panel.running.busy
        for button, tip in (
            (ui.acceptSlicesButton, _("The mask is right in the selected slices; pressed again: not yet.")),
            (ui.backToTagsButton, _("Clear the tags of the selected slices, and show them in the tags.")),
            (ui.editSliceButton, _("Correct the mask of this slice in the Segment Editor.")),
        ):
            button.setEnabled(chosen and not busy)
            button.setToolTip(tip if chosen else _("Select slices of the table."))
        ui.acceptAllButton.setEnabled(any(counts) and not busy)
        others = self.panel.parameters.others
        ui.othersCombo.setCurrentIndex(OTHERS.index(others) if others in OTHERS else 0)
        ui.othersLabel.setText(
            _(
                "Slices that were not accepted are taken for background: what the mask or you missed there is"
                " learnt as background."
            )
            if others != "left"
            else _(
                "Slices that were not accepted are left out, but for those tagged as not visible: they are"
                " background. Each run of neighbouring slices becomes a case of its own, of the same patient."
            )
        )
        reason = self.panel.setup.problem() or self._exportProblem()
        self.panel.running.showStart(
            ui.exportMasksButton, reason, _("Ask for a folder, and write images and accepted masks into it.")
        )

    @staticmethod
    def _summary(rows: list[tuple]) -> str:
        """How far the review is."""
        done = sum(row[3] for row in rows)
        text = _("{done} of {count} slices are accepted.").format(done=done, count=len(rows))
        missed = [str(row[0]) for row in rows if row[4] and not row[3]]
        if missed:
            text += " " + _("Tagged visible, but without a mask: {slices}.").format(slices=", ".join(missed))
        return text

    def _nothing(self, segmentation) -> str:
        """Why no slice is listed."""
        volume = self.panel.tags.volume()
        if segmentation is None or volume is None:
            return _("Make a mask first: its slices are listed here.")
        text = _("{name} has no mask on the voxels of {volume}.")
        return text.format(name=segmentation.GetName(), volume=volume.GetName())

    def _exportProblem(self) -> str:
        if self.segmentation() is None:
            return _("Make a mask first.")
        settings = self.settings()
        settings.folder = settings.folder or "asked for later"
        return settings.problem()

    def _fill(self, rows: list[tuple]) -> None:
        table = self.ui.reviewTable
        if len(rows) != table.rowCount:
            table.setRowCount(len(rows))
        for row, (number, count, agreement, done, missed) in enumerate(rows):
            texts = (
                str(number),
                str(count),
                "" if agreement is None else f"{agreement:.2f}",
                ACCEPTED if done else "",
            )
            counted = Colours.colourOf(0.0) if missed else None
            colours = (None, counted, Colours.colourOf(agreement), ACCEPTED_COLOUR if done else None)
            for column, (text, colour) in enumerate(zip(texts, colours, strict=True)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(MISSED if missed else "")
                if column < 3:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                if colour is not None:
                    item.setBackground(qt.QBrush(qt.QColor(*colour)))
                    item.setForeground(qt.QBrush(qt.QColor(0, 0, 0)))
                table.setItem(row, column, item)

    # What the person does

    def onSelected(self) -> None:
        """Show the slice with the cursor."""
        row = self.ui.reviewTable.currentRow()
        if self._free() and self.selected() and 0 <= row < len(self._slices):
            self.panel.tags.show(self._slices[row])
            self.panel.changed()

    def _chosen(self) -> list[int]:
        chosen = self.selected()
        if not chosen:
            raise UserError("no-slice", _("No slice is selected."), _("Select rows of the table."))
        return chosen

    def onAccept(self) -> None:
        """Accept the selected slices, or take that back where all of them are accepted."""
        node, chosen = self.segmentation(), set(self._chosen())
        before = set(Review.accepted(node))
        Review.setAccepted(node, before - chosen if chosen <= before else before | chosen)

    def onAcceptAll(self) -> None:
        """Accept all slices with a mask; those that should have one and have none are to be looked at."""
        node, counts = self.segmentation(), self.counts()
        Review.setAccepted(node, [*Review.accepted(node), *(n for n in self._slices if counts[n])])

    def onBack(self) -> None:
        """Send the selected slices back to the tags."""
        node, chosen = self.segmentation(), self._chosen()
        Review.setAccepted(node, set(Review.accepted(node)) - set(chosen))
        self.panel.tags.clear(chosen)
        self.ui.tagSection.collapsed = False

    def onEdit(self) -> None:
        """Open the Segment Editor with the masks and the first image at the selected slice."""
        node, volume, chosen = self.segmentation(), self.panel.tags.volume(), self._chosen()
        self.panel.tags.show(chosen[0])
        self.panel.openModule("SegmentEditor", _("Segment Editor"))
        editor = slicer.util.getModuleWidget("SegmentEditor").editor
        editor.setSegmentationNode(node)
        editor.setSourceVolumeNode(volume)

    def onOthers(self, index: int) -> None:
        """Slices that were not accepted become something else."""
        if self._free() and 0 <= index < len(OTHERS):
            self.panel.parameters.others = OTHERS[index]

    def onExport(self) -> None:
        """Ask for a folder and write the accepted slices."""
        start = self._folder or self.panel.session.machine.lastFolder
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of the data set of masks"), start)
        if folder:
            self.export(str(folder))

    def export(self, folder: str) -> None:
        """Write the accepted slices into the data set in a folder."""
        self._folder = folder
        self.panel.session.machine.lastFolder = folder
        self.panel.running.message = ""
        self.panel.runner.collect(self.settings())
