"""The slices of a run: read once, kept in a cache on disk, and drawn in batches by number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.dataset.cache import Arrays, Cache
from SegToolkitLib.dataset.case_reader import CachedCase, CaseReader
from SegToolkitLib.dataset.channels import files_of, read_channels
from SegToolkitLib.dataset.classes import not_looked_for
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.home import home_folder
from SegToolkitLib.methods.cmer.augment import augmented
from SegToolkitLib.methods.cmer.cases import ignore_value, object_values
from SegToolkitLib.methods.cmer.plan import InputPlan, Supervision
from SegToolkitLib.methods.cmer.prepare import stacked
from SegToolkitLib.methods.cmer.settings import CmerSettings, DataSettings
from SegToolkitLib.methods.cmer.tags import Tag, from_mask

# Of what this module makes; another number makes it anew.
VERSION = 2
# What is drawn, apart from each other.
ORDER, CHANGES = 0, 1
# Pixels that a mask leaves open.
OPEN = 255


def cache_folder() -> Path:
    """Where prepared slices are kept for all runs."""
    return home_folder() / "cache" / "cmer"


@dataclass(frozen=True)
class Scan(CachedCase):
    """One case of a run.

    Attributes:
        case: its files.
        plan: how slices are made.
        modalities: names, in the order of the networks.
        values: labels of the mask that are the object.
        ignore: label of what the mask leaves open; None where there is none.
        cache: keeps what is made.
        resample: bring modalities onto the voxels of the first.
        tags: of the slices.
        complete: whether somebody looked for all of the object in this case.
    """

    case: Case
    plan: InputPlan
    modalities: tuple[str, ...]
    values: tuple[int, ...]
    cache: Cache
    resample: bool = False
    tags: list[Tag] = field(default_factory=list)
    ignore: int | None = None
    complete: bool = True

    @cached_property
    def arrays(self) -> Arrays:
        """ "pixels", float32 [Z, M, Y, X]; "constant", bool [Z, M]; "spacing", mm along z, y, x; where
        there is a mask, "mask", bool [Z, Y, X], and "shown", the slices that it is seen in, bool [Z]; where
        masks leave something open, also "ignored", bool [Z, Y, X], and "open", the slices with such [Z]."""
        return self.cache.get(self._key(), self._read)

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Of the object [Z, Y, X], where there is one that shows all of it."""
        return self.arrays.get("mask") if self.complete else None

    @property
    def ignored(self) -> NDArray[np.bool_] | None:
        """What the mask leaves open (nnU-Net's label "ignore") [Z, Y, X], where it does."""
        return self.arrays.get("ignored")

    def _read(self) -> dict[str, NDArray[Any]]:
        images, label = read_channels(self.case, self.modalities, resample=self.resample)
        stack = stacked(images, self.plan)
        spacing = np.array(stack.prepared.volume.spacing[::-1], np.float64)
        made: dict[str, NDArray[Any]] = {
            "pixels": stack.pixels,
            "constant": stack.constant,
            "spacing": spacing,
        }
        if label is not None:
            made["mask"] = np.isin(stack.label(label), self.values)
            made["shown"] = stack.shown(label, self.values)
            if self.ignore is not None:
                made["ignored"] = stack.label(label) == self.ignore
                made["open"] = stack.shown(label, [self.ignore])
        return made

    def _key(self) -> dict[str, Any]:
        # Where no label is open, the key stays what it was before there were such labels; so with scales.
        left_open = {} if self.ignore is None else {"ignore": self.ignore, "open": "slices"}
        scale = {"standardise": "volume"} if self.plan.standardise == "volume" else {}
        return {
            **left_open,
            **scale,
            "what": "cmer slices",
            "version": VERSION,
            "images": list(files_of(self.case, self.modalities).values()),
            "label": self.case.label,
            "values": list(self.values),
            "resample": self.resample,
            "plan": self.plan.model_dump(mode="json", include={"percentiles", "size"}),
        }


class Reader(CaseReader):
    """Reads the cases of a run, see :class:`CaseReader`.

    Args:
        dataset: of the run.
        settings: of its data.
        plan: how slices are made.
        tags: given by case; other cases have those of their masks.
        cache: folder of what was prepared before.
        reporter: hears of progress and of cases that are left out.
        supervision: after "masks" cases without one are left out, and tags are those of the masks.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: DataSettings,
        plan: InputPlan,
        tags: Mapping[str, Sequence[Tag]],
        cache: Path,
        reporter: Reporter,
        supervision: Supervision = "tags",
    ) -> None:
        super().__init__(Cache(cache, settings.cache_gb), reporter)
        self._supervision = supervision
        self._dataset, self._settings, self._plan = dataset, settings, plan
        self._tags = tags
        self._values = object_values(dataset, settings.structures)
        self._ignore = ignore_value(dataset)

    def read(self, ids: Iterable[str], what: str) -> list[Scan]:
        """The scans of these cases; ``what`` they are, for the progress."""
        scans = self._each(ids, what, self._scan)
        by_masks = [scan for scan in scans if self._supervision == "tags" and scan.id not in self._tags]
        unknown = [count for scan in by_masks if (count := scan.tags.count(None))]
        if unknown:
            self._reporter.warning(
                f"{sum(unknown)} slices of {len(unknown)} {what} are left out: their masks do not show the"
                " object, and nobody looked for all of it there.",
                "If it is known whether they show it, tag them (--place tags=FILE).",
            )
        return scans

    def _scan(self, id: str) -> Scan:
        settings, case = self._settings, self._dataset.case(id)
        scan = Scan(
            case,
            self._plan,
            settings.modalities,
            self._values,
            self._cache,
            settings.resample,
            ignore=self._ignore,
            complete=not not_looked_for(self._dataset, id, self._values),
        )
        scan.tags.extend(self._tags_of(scan))
        if scan.mask is None and all(tag is None for tag in scan.tags):
            raise SegToolkitError(
                "no-tags",
                f"Nothing says which slices of case {id} show the object.",
                "Tag them (--place tags=FILE), or leave the case out.",
            )
        for modality, file in files_of(case, settings.modalities).items():
            self.checksums[f"{id} {modality}"] = self._cache.content_hash(file)
        self._note_label(case)
        return scan

    def _tags_of(self, scan: Scan) -> Sequence[Tag]:
        """Of the slices of a scan: those given, else of its mask, else none."""
        shown = scan.arrays.get("shown")
        if self._supervision == "masks":
            if scan.mask is None or shown is None:
                raise SegToolkitError(
                    "no-mask",
                    f"Case {scan.id} has no mask of all of the object to learn from.",
                    "Add one, or learn from tags.",
                )
            # Pixels that are left open have no say; others of the same slice teach that there is nothing.
            return from_mask(shown.tolist())
        if scan.id in self._tags:
            return self._tags[scan.id]
        if shown is None:
            return [None] * len(scan.arrays["pixels"])
        left_open = scan.arrays.get("open")
        return from_mask(shown.tolist(), None if left_open is None else left_open.tolist(), scan.complete)


@dataclass(frozen=True)
class Batch:
    """What one step takes.

    Attributes:
        slices: raw, float32 [N, M, Y, X].
        tags: int64 [N].
        number: of the batch, which seeds what its step draws.
        masks: where masks teach, uint8 [N, Y, X]: 0, 1, or :data:`OPEN`.
    """

    slices: Tensor
    tags: Tensor
    number: int = 0
    masks: Tensor | None = None


@dataclass(frozen=True)
class Sampler:
    """Draws batches; each depends on the seed and the batch's number alone.

    Attributes:
        scans: of the training; all their tagged slices in which something can be seen are gone through in a
            new order again and again.
        settings: of the run.
    """

    scans: Sequence[Scan]
    settings: CmerSettings

    @cached_property
    def index(self) -> list[tuple[int, int, bool]]:
        """Scan, slice and tag of every slice of a round.

        Raises:
            SegToolkitError: "slice-sizes": slices of several sizes cannot share a batch.
        """
        sizes = {scan.arrays["pixels"].shape[2:]: scan.id for scan in self.scans}
        if len(sizes) > 1:
            told = " and ".join(f"{rows} x {columns} (case {id})" for (rows, columns), id in sizes.items())
            raise SegToolkitError(
                "slice-sizes",
                f"The slices have different sizes: {told}.",
                "Scale them to one: input.size=256, for instance.",
            )
        return [
            (number, k, tag)
            for number, scan in enumerate(self.scans)
            for k, tag in enumerate(scan.tags)
            if tag is not None and not scan.arrays["constant"][k].any()
        ]

    @property
    def batches(self) -> int:
        """Batches of a round through all slices (an epoch); a last one that is too small is dropped."""
        batch, least = self.settings.optimiser.batch, self.settings.data.smallest_batch
        whole, rest = divmod(len(self.index), batch)
        return max(1, whole + (rest >= least and rest > 0))

    def draw(self, number: int) -> Batch:
        """The batch of this number, from 0 on."""
        seed, own = self.seed_of(number)
        turn, place = divmod(own, self.batches)
        order = self._order(seed, turn)
        batch = self.settings.optimiser.batch
        learns_masks = self.settings.supervision == "masks"
        augment = self.settings.data.augment
        if learns_masks:
            # A mask belongs to all modalities.
            augment = augment.model_copy(update={"modalities": "together"})
        slices, tags, masks = [], [], []
        for position in range(place * batch, min((place + 1) * batch, len(order))):
            scan, k, tag = self.index[order[position]]
            one = torch.from_numpy(np.array(self.scans[scan].arrays["pixels"][k]))
            if learns_masks:
                one = torch.cat([one, torch.from_numpy(target(self.scans[scan], k))[None]])
            generator = seeded(seed, CHANGES, turn, position)
            one = augmented(one, augment, generator, labels=int(learns_masks))
            if learns_masks:
                masks.append(one[-1].byte())
                one = one[:-1]
            slices.append(one)
            tags.append(int(tag))
        taught = torch.stack(masks) if learns_masks else None
        return Batch(torch.stack(slices), torch.tensor(tags), number, taught)

    def seed_of(self, number: int) -> tuple[int, int]:
        """The seed of a batch, and its number among those of that seed: as in a run with that seed alone."""
        trial, own = divmod(number, self.settings.steps_per_seed * self.settings.accumulate)
        return self.settings.seed + trial, own

    def _order(self, seed: int, turn: int) -> NDArray[np.int64]:
        return _order(seed, turn, self._tags, self.settings.data.balanced)

    @cached_property
    def _tags(self) -> tuple[bool, ...]:
        return tuple(tag for _, _, tag in self.index)


def target(scan: Scan, k: int) -> NDArray[np.float32]:
    """What a slice's mask teaches, as floats [Y, X]: 0, 1, or :data:`OPEN`."""
    assert scan.mask is not None
    found = scan.mask[k].astype(np.float32)
    if scan.ignored is not None:
        found[scan.ignored[k]] = OPEN
    return found


@lru_cache(maxsize=16)
def _order(seed: int, turn: int, tags: tuple[bool, ...], balanced: bool) -> NDArray[np.int64]:
    """Positions of the slices of a round; balanced: of the rarer kind as many, by taking them again, where
    there are both (masks teach without slices that lack the object, too)."""
    rng = np.random.default_rng((seed, ORDER, turn, len(tags)))
    if not balanced or len(set(tags)) < 2:
        return rng.permutation(len(tags))
    halves = (len(tags) // 2, len(tags) - len(tags) // 2)
    drawn = []
    for kind, count in zip((True, False), halves, strict=True):
        own = np.flatnonzero(np.array(tags) == kind)
        drawn.append(np.concatenate([rng.permutation(own) for _ in range(-(-count // len(own)))])[:count])
    return rng.permutation(np.concatenate(drawn))


def seeded(*words: int) -> torch.Generator:
    """A generator on the CPU that these numbers (0 or more) seed together."""
    (state,) = np.random.SeedSequence(words).generate_state(1, np.uint64).tolist()
    return torch.Generator().manual_seed(state)
