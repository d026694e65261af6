"""Apply, undo, and what came out of maps, masks and collections."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.run.Durations import duration
from SegToolkitGui.run.RunPartBase import RunPartBase
from SegToolkitGui.run.States import State
from SegToolkitGui.weak import Colours
from SegToolkitGui.weak.CollectRun import CollectRun
from SegToolkitGui.weak.MapsRun import MapsRun
from SegToolkitGui.weak.RefineRun import RefineRun


class RunPart(RunPartBase):
    """Runs, and what became of them."""

    def _showButtons(self, reason: str) -> None:
        self.showStart(self.ui.applyButton, reason, _("Make a map of each modality, and the fused one."))

    def resultNode(self) -> Any:
        """The masks that are looked at; None if there are none."""
        return self.panel.parameters.outputSegmentation

    # What the run tells

    def onFinished(self, run) -> None:
        """Say what came out."""
        if isinstance(run, CollectRun):
            self.panel.dataset.checked = ""  # what was known of the folder is out of date
        super().onFinished(run)

    def _tell(self, run) -> None:
        if self.panel.parameters is None:
            return
        if isinstance(run, MapsRun):
            self._tellMaps(run)
        elif isinstance(run, RefineRun):
            self._tellMask(run)
        elif run.state == State.DONE:
            self._tellCases(run)

    def _tellMaps(self, run: MapsRun) -> None:
        result = run.results[0]
        seen = [one for one in result.slices if any(one["present"].values())]
        texts = [
            _("{count} maps made ({time}); the object is seen in {seen} of {slices} slices.").format(
                count=len(result.mapIds),
                time=duration(run.seconds),
                seen=len(seen),
                slices=len(result.slices),
            )
        ]
        for key, title in (("modalities", _("modalities")), ("seeds", _("seeds"))):
            values = [one[key] for one in result.slices if one.get(key) is not None]
            if values:
                poor = sum(value < Colours.POOR for value in values)
                texts.append(
                    _("Agreement between {what}: {mean:.2f} on the mean, poor in {poor} slices.").format(
                        what=title, mean=sum(values) / len(values), poor=poor
                    )
                )
        if result.seeds < 2:
            texts.append(_("The model has one seed: nothing tells how far its maps depend on chance."))
        self.showMessage(" ".join([*texts, *result.notes]))
        self.panel.maps.overlay()

    def _tellMask(self, run: RefineRun) -> None:
        result = run.results[0]
        took = duration(run.seconds)
        node = slicer.mrmlScene.GetNodeByID(result.segmentationId) if result.segmentationId else None
        if node is not None:
            self.panel.parameters.outputSegmentation = node
        if not result.after:
            text = _("Nothing is left of the maps ({time}): lower the threshold or loosen the rules.")
            self.showMessage(" ".join([text.format(time=took), *result.notes]))
            return
        slices = sum(bool(one["after"]) for one in result.slices)
        text = _("{name}: {after} voxels in {slices} slices, from {before} above the threshold ({time}).")
        texts = [
            text.format(
                name=run.settings.structure,
                after=result.after,
                slices=slices,
                before=result.before,
                time=took,
            )
        ]
        self.showMessage(" ".join([*texts, *result.notes]))

    def _tellCases(self, run: CollectRun) -> None:
        text = _("Added to the data set in {folder}: {cases}.")
        told = text.format(folder=run.settings.folder, cases=", ".join(run.cases))
        self.showMessage(" ".join([told, *run.notes]))
