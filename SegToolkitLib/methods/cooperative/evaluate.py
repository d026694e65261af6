"""Models on clean volumes and on corrupted copies of them, volume by volume.

Source of the protocol: released evaluation of cooperative training: Dice of each structure in each volume, of
every frame, on the networks' own pixels, before and after the shape correction. Ours by default: on the
volume's own grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.automatic.segmenter import AutomaticOptions
from SegToolkitLib.dataset.batch import Failures
from SegToolkitLib.dataset.dataset import Case, read_case
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.corruptions import CorruptionSettings, Kind, copy_seed, corrupted
from SegToolkitLib.evaluation.robustness import VolumeResult
from SegToolkitLib.evaluation.scoring import OrganScore, generic, score_case
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cooperative import typicality
from SegToolkitLib.methods.cooperative.kept_results import KeptResults
from SegToolkitLib.methods.cooperative.plan import InputPlan
from SegToolkitLib.methods.cooperative.predict import Outputs
from SegToolkitLib.methods.cooperative.prepare import Stack, stacked
from SegToolkitLib.methods.cooperative.segment import CooperativeSegmenter
from SegToolkitLib.volume import Volume

CLEAN = "clean"
# What files have that were made without a spacing; real volumes have it, too.
UNIT_SPACING = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Candidate:
    """A model to be tested.

    Attributes:
        name, run: see :class:`VolumeResult`.
        segmenter: the model.
        cases: ids that it is tested on.
        classes: label value of the data set -> class.
        names: of the classes 1, 2, ..., in their order.
    """

    name: str
    run: str
    segmenter: CooperativeSegmenter
    cases: frozenset[str]
    classes: Mapping[int, int]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Sets:
    """What the models are tested on.

    Attributes:
        clean: the volumes themselves.
        kinds: of corruption.
        repeats: copies of each volume and kind.
        seed: of the copies; each depends on it, its kind, its case and its number alone.
        settings: of the corruptions.
        prefix: of the sets' names, where there are several data sets.
    """

    clean: bool = True
    kinds: tuple[Kind, ...] = ()
    repeats: int = 1
    seed: int = 0
    settings: CorruptionSettings = field(default_factory=CorruptionSettings)
    prefix: str = ""

    def copies(self, image: Volume, case: str) -> Iterator[tuple[str, int | None, Volume]]:
        """The sets that a volume is part of: name, number of the copy, volume."""
        if self.clean:
            yield self.prefix + CLEAN, None, image
        for kind in self.kinds:
            for repeat in range(self.repeats):
                rng = np.random.default_rng(copy_seed(self.seed, kind, case, repeat))
                yield self.prefix + kind, repeat, corrupted(image, kind, self.settings, rng).volume

    def prefixed(self, prefix: str) -> Sets:
        """The same, of one of several data sets."""
        return replace(self, prefix=prefix)

    @property
    def count(self) -> int:
        """Volumes for each case."""
        return self.clean + len(self.kinds) * self.repeats


@dataclass(frozen=True)
class Scoring:
    """How results are compared with labels.

    Attributes:
        passes: numbers of passes to compare; none: a single one and as many as the model's card says.
        grid: "native", the volume's own; "released", the networks' pixels after the crop.
        tolerance_mm: of the NSD (native grid; what has no spacing has none); None leaves out all distances.
        small: one slice at a time.
        spacing: "described" by the data set; of each "file", which is told of where it may never have had
            one; "none": there is none, so there are no distances and volumes.
    """

    passes: tuple[int, ...] = ()
    grid: Literal["native", "released"] = "native"
    tolerance_mm: float | None = 2.0
    small: bool = False
    spacing: Literal["described", "file", "none"] = "file"


def evaluate(
    candidates: Sequence[Candidate],
    cases: Sequence[Case],
    sets: Sets,
    scoring: Scoring,
    reporter: Reporter,
    kept: KeptResults | None = None,
    described: DatasetDescription | None = None,
) -> tuple[list[VolumeResult], Failures]:
    """Test models; all see the same copies.

    Args:
        candidates: the models.
        cases: with labels; each is for the candidates that name it.
        sets: which copies.
        scoring: how.
        reporter: hears of progress.
        kept: takes up what is found, case by case; what it has already is not done again.
        described: the data set of the cases, whose labels may have no other values; None asks for nothing.

    Returns:
        Results by model, then set, then case; and why cases could not be used.

    Raises:
        SegToolkitError: "write-failed": results cannot be kept.
    """
    found: list[VolumeResult] = []
    failures: Failures = {}
    total, done = len(cases) * sets.count, 0
    again = unit = 0
    for number, case in enumerate(cases, start=1):
        asked = [one for one in candidates if case.id in one.cases]
        runs = [one.run for one in asked]
        own = kept.load(case, runs) if kept is not None else None
        if own is not None:
            again += 1
            found += own
            done = sets.count * number
            continue
        own = []
        try:
            image, label = read_case(case)
            assert label is not None  # cases without are not asked for
            _check(image, label, described)
            unit += scoring.spacing == "file" and image.spacing == UNIT_SPACING
            for name, repeat, volume in sets.copies(image, case.id):
                reporter.progress("evaluating", done, total)
                own += _of_volume(asked, case.id, name, repeat, volume, label, scoring)
                done += 1
        except SegToolkitError as error:
            failures[case.id] = error
            reporter.warning(f"Case {case.id} is left out: {error.message}", error.hint)
            done = sets.count * number
            continue
        if kept is not None:
            kept.save(case, runs, own)
        found += own
    reporter.progress("evaluating", total, total)
    if unit and scoring.tolerance_mm is not None:
        reporter.warning(
            f"{unit} volume(s) have voxels of 1 x 1 x 1 mm, as files have that never had a spacing; distances"
            " and volumes take it for true.",
            "If it is, write it into the dataset.json ('spacing': [1, 1, 1]); else take --tolerance none.",
        )
    if again:
        reporter.info(f"{again} of {len(cases)} cases had been evaluated before; they were not done again.")
    order = {id(one): number for number, one in enumerate(found)}
    place = {one.run: number for number, one in enumerate(candidates)}
    names = {name: number for number, name in enumerate(dict.fromkeys(one.set for one in found))}
    found.sort(key=lambda one: (place[one.run], one.variant, names[one.set], order[id(one)]))
    return found, failures


def _check(image: Volume, label: Volume, described: DatasetDescription | None) -> None:
    """Refuse what would be scored as if the model were wrong."""
    if image.voxels.min() == image.voxels.max():
        raise SegToolkitError(
            "flat-image", f"Every voxel of the image is {image.voxels.flat[0]:g}.", "Export it again."
        )
    unknown = described.unknown_labels(np.unique(label.voxels).astype(int).tolist()) if described else None
    if unknown:
        raise SegToolkitError(
            "unknown-label", f"Of its label, {unknown}.", "Mend the label, or describe its values."
        )


def _of_volume(
    candidates: Sequence[Candidate],
    case: str,
    name: str,
    repeat: int | None,
    volume: Volume,
    label: Volume,
    scoring: Scoring,
) -> Iterator[VolumeResult]:
    stacks: dict[InputPlan, Stack] = {}
    for candidate in candidates:
        plan = candidate.segmenter.plan
        if plan.input not in stacks:
            stacks[plan.input] = stacked(volume, plan.input)
        stack = stacks[plan.input]
        own = plan.inference.passes
        for passes, outputs in _passes(
            candidate.segmenter, stack, scoring.passes or tuple({1, own}), scoring
        ):
            classes = outputs.first if passes == 1 else outputs.labels
            unlike = None
            if plan.typicality is not None:
                unlike = len(plan.typicality.unlike(_signed(outputs, passes)))
            scores = _scores(candidate, case, stack, classes, label, scoring)
            yield VolumeResult(
                candidate.name,
                candidate.run,
                "1 pass" if passes == 1 else f"{passes} passes",
                name,
                case,
                repeat,
                tuple(scores),
                len(stack),
                unlike,
            )


def _passes(
    segmenter: CooperativeSegmenter, stack: Stack, passes: Sequence[int], scoring: Scoring
) -> Iterator[tuple[int, Outputs]]:
    """What each number of passes gives; the first one is part of the others."""
    wanted, options = sorted(set(passes), reverse=True), AutomaticOptions(small=scoring.small)
    outputs = None
    for number in wanted:
        if outputs is None or number > 1:
            outputs = segmenter.predict(stack, options, passes=number)
        yield number, outputs


def _signed(outputs: Outputs, passes: int) -> NDArray[np.float32]:
    """The signatures as this number of passes would give them."""
    signatures = outputs.signatures.copy()
    if passes == 1:
        signatures[:, typicality.DISAGREEMENT] = np.nan
    return signatures


def _scores(
    candidate: Candidate,
    case: str,
    stack: Stack,
    classes: NDArray[np.uint8],
    label: Volume,
    scoring: Scoring,
) -> list[OrganScore]:
    if scoring.grid == "released":
        found, truth = classes, _classes(stack.label(label), candidate.classes)
        spacing = stack.prepared.volume.spacing
    else:
        found = stack.restore(classes).voxels.astype(np.uint8)
        truth, spacing = _classes(label.voxels, candidate.classes), stack.volume.spacing
    protocol = replace(
        generic({name: number for number, name in enumerate(candidate.names, 1)}, scoring.tolerance_mm or 0),
        distances=scoring.tolerance_mm is not None and scoring.grid == "native",
        spacing_known=scoring.spacing != "none",
    )
    return score_case(case, truth, found, spacing[::-1], protocol)


def _classes(label: NDArray[Any], classes: Mapping[int, int]) -> NDArray[np.uint8]:
    found = np.zeros(label.shape, np.uint8)
    for value, number in classes.items():
        found[label == value] = number
    return found
