"""Maps and images out to the worker, a mask back as a finished segment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import slicer
from slicer.i18n import tr as _

from SegToolkitGui import Paths
from SegToolkitGui.run.States import State
from SegToolkitGui.scene.ResultImport import ResultImport, refusal
from SegToolkitGui.weak import MapNodes, MapSources, Review, Structures
from SegToolkitGui.weak.Images import Images
from SegToolkitGui.weak.MapsRun import ImagesRun

OUTPUT_MODES = ("new", "add", "replace", "merge")


@dataclass
class RefineSettings:
    """Settings of a run.

    Attributes:
        images: the volumes; without ``resample``, those on other voxels than the first are left out.
        mapIds: name -> MRML ID of the maps, which lie on the voxels of the first image.
        thresholds: by map; None as they are in the scene.
        tags: slice -> whether the object is visible; slices without it stay empty.
        slices: only these; None for all.
        resample: bring the other images onto the voxels of the maps.
        values: settings of the library's refinement, see docs/cmer.md.
        structure: name of the segment.
        outputMode: "new" segmentation; or into ``segmentationId``: "add", "replace" or "merge".
        segmentationId: MRML ID; "" makes a new one.
    """

    images: Images
    mapIds: dict[str, str]
    thresholds: dict[str, float] | None = None
    tags: dict[int, bool] = field(default_factory=dict)
    slices: list[int] | None = None
    resample: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    structure: str = "Lesion"
    outputMode: str = "new"
    segmentationId: str = ""

    acceptLicence = False  # no model is used

    @property
    def segmentation(self):
        """The segmentation to write into, or None."""
        return slicer.mrmlScene.GetNodeByID(self.segmentationId) if self.segmentationId else None

    def nodeIds(self) -> set[str]:
        """Nodes without which the run makes no sense."""
        return {*self.images.ids, *self.mapIds.values(), *([self.segmentationId] * bool(self.segmentationId))}

    def problem(self) -> str:
        """Why this cannot be run, in a sentence for the person; "" if it can."""
        if not self.mapIds:
            return _("There are no maps of the first image yet: press Make maps.")
        problem = self.images.problem() or Structures.nameProblem(self.structure)
        if problem:
            return problem
        maps = [slicer.mrmlScene.GetNodeByID(one) for one in self.mapIds.values()]
        if None in maps:
            return _("A map is no longer in the scene: make the maps again.")
        first = self.images.node()
        if not all(MapSources.onGridOf(node, first) for node in maps):
            return _("{name} has other voxels than its maps: make the maps again.").format(
                name=first.GetName()
            )
        if self.outputMode not in OUTPUT_MODES:
            return _("There is no output mode {mode!r}; there are {modes}.").format(
                mode=self.outputMode, modes=", ".join(OUTPUT_MODES)
            )
        if self.segmentationId and self.segmentation is None:
            return _("The output segmentation is no longer in the scene.")
        refused = refusal(self.segmentation) if self.segmentationId else None
        return str(refused) if refused is not None else ""


@dataclass
class RefineResult:
    """What came out.

    Attributes:
        volumeId, segmentationId, segmentId: MRML IDs; the latter two are "" where nothing was left.
        before, after: voxels above the thresholds, and of the mask.
        slices: {"slice", "before", "after"} of each.
        notes: sentences the person should know.
        seconds: the worker's time, by part.
    """

    volumeId: str
    segmentationId: str
    segmentId: str
    before: int
    after: int
    slices: list[dict] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


class RefineRun(ImagesRun):
    """A run under way that makes a mask of maps."""

    verb = "refine"
    undoneAttributes = (Review.ACCEPTED,)

    def _work(self):
        settings, session = self.settings, self._session
        apart = set() if settings.resample else set(settings.images.apart())
        kept = [
            (name, one)
            for name, one in zip(settings.images.names, settings.images.ids, strict=True)
            if name not in apart
        ]
        if apart:
            text = _("{names} lies on other voxels and is not looked at for edges.")
            self.logged.emit(text.format(names=", ".join(sorted(apart))))
        images = Images(tuple(name for name, _id in kept), tuple(one for _name, one in kept))
        paths = yield from self._exportedImages(images)
        maps = {}
        for name, nodeId in settings.mapIds.items():
            maps[name] = str((yield from self._exported(nodeId, None)))
        self._enter(State.RUNNING)
        folder = session.newResultFolder()
        try:
            body = {
                "method": "cmer",
                "images": dict(zip(images.names, map(str, paths), strict=True)),
                "maps": maps,
                "threshold": self._thresholds(),
                "tags": {str(number): tag for number, tag in sorted(settings.tags.items())} or None,
                "slices": settings.slices,
                "settings": settings.values,
                "resample": settings.resample,
                "out": str(folder),
            }
            outputs = yield from self._answered(body)
            self._enter(State.IMPORTING)
            with self._oneUndoStep():
                yield from self._taken(outputs)
        finally:
            Paths.removeFolder(folder)

    def _thresholds(self) -> dict[str, float]:
        given, nodes = self.settings.thresholds, self.settings.mapIds
        if given is not None:
            return {name: float(value) for name, value in given.items() if name in nodes}
        return {name: MapNodes.threshold(self._node(one)) for name, one in nodes.items()}

    def _taken(self, outputs: dict[str, Any]):
        """The mask as a segment."""
        settings = self.settings
        volume = self._node(settings.images.ids[0])
        name = settings.structure.strip()
        after = int(outputs["voxels"]["after"])
        title = _("{volume} {structure}").format(volume=volume.GetName(), structure=name.lower())
        choice = self._output(settings.outputMode, volume, title)
        structures = (
            [{"label": 1, "name": name, "voxels": after}] if after or choice.mode == "replace" else []
        )
        work = ResultImport(
            {**outputs, "structures": structures}, volume, choice, {name: Structures.appearance(name)}
        )
        before = self._accepted(choice.segmentationNode, volume)
        made = yield from self._brought(work, choice)
        node = work.segmentationNode
        notes = [*outputs.get("notes", ()), *self._unaccepted(node, volume, before)]
        self.results.append(
            RefineResult(
                volumeId=volume.GetID(),
                segmentationId=node.GetID() if node is not None else "",
                segmentId=work.segmentIds.get(name, ""),
                before=int(outputs["voxels"]["before"]),
                after=after,
                slices=list(outputs["slices"]),
                notes=tuple(notes),
                seconds=dict(outputs["seconds"]),
            )
        )
        self._keep(work, made)

    @staticmethod
    def _accepted(node, volume) -> dict[int, int]:
        """What the slices hold that a person has accepted, as checksums."""
        return Review.contents(node, volume, Review.accepted(node)) if node is not None else {}

    @staticmethod
    def _unaccepted(node, volume, before: dict[int, int]) -> list[str]:
        """Nobody has looked yet at slices that are others now; says how many were accepted before."""
        now = Review.contents(node, volume, before) if before and node is not None else before
        changed = {number for number, content in before.items() if now[number] != content}
        if not changed:
            return []
        Review.setAccepted(node, set(Review.accepted(node)) - changed)
        text = _("Accepted slices that have another mask now: {count}. Look at them again.")
        return [text.format(count=len(changed))]
