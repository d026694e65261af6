"""Maps and masks of a case: prepare, see, restore.

A model needs one volume for each of its modalities, so it is none of those that segment a volume by
themselves (the panel Auto Segment); this module and ``segtoolkit maps cmer`` are the ways to use it.

Example:
    >>> from SegToolkitLib.methods.cmer.segment import load
    >>> mapper = load("runs/prostate/result/model")  # doctest: +SKIP
    >>> result = mapper.maps({"T2": t2, "ADC": adc})  # doctest: +SKIP
    >>> result.mask("fused").same_grid(t2)  # doctest: +SKIP
    True
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.dataset.channels import on_one_grid
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.maps import agreement, fused
from SegToolkitLib.methods.cmer.network import Networks
from SegToolkitLib.methods.cmer.plan import FUSED, MapPlan, ModelPlan
from SegToolkitLib.methods.cmer.prepare import Stack, stacked
from SegToolkitLib.methods.cmer.seeing import CHUNK, Known, Progress, Seen, named_maps, see, slice_agreement
from SegToolkitLib.methods.cmer.weights import loaded_networks, split
from SegToolkitLib.models.card import ModelCard, parse, read_card
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.training.precision import autocast
from SegToolkitLib.volume import Volume

# Below this the modalities' maps lie at different places.
LEAST_AGREEMENT = 0.1
DISAGREE = (
    "The maps of the modalities hardly agree (soft Dice {value:.2f} over the slices in which all see the"
    " object): see whether the images are registered, and look at each map."
)
NOTHING = "No network sees the object in any slice."
SEEDS_DISAGREE = (
    "Networks of other seeds of the same training hardly agree (soft Dice {value:.2f} over the slices in"
    " which the object is seen): the maps may be chance."
)


@dataclass(frozen=True)
class MapResult:
    """Maps of a case, all on the grid of its first image.

    Attributes:
        maps: by modality, and the fused one (:data:`FUSED`), 0 to 1; gated as the plan says. Of a model that
            masks have taught there is the fused one alone, and so in what follows.
        probability: that the object is visible, of each slice [Z], by modality.
        present: which slices each network takes to show it [Z], by modality.
        thresholds: by modality, and of the fused map.
        notes: for a person.
        slices: of the maps, what they were before they were brought to the grid, [Z, Y, X] by name.
        stack: the slices that were looked at.
        modality_agreement: mean soft Dice of the maps of all pairs of modalities in each slice [Z]; None
            where no network sees the object, or there is one network.
        seed_agreement: the same of the fused maps of all pairs of seeds whose networks the model holds; None
            where no seed sees it, or there is one seed.
    """

    maps: dict[str, Volume]
    probability: dict[str, NDArray[np.float32]]
    present: dict[str, NDArray[np.bool_]]
    thresholds: dict[str, float]
    notes: tuple[str, ...]
    slices: dict[str, NDArray[np.float32]]
    stack: Stack
    modality_agreement: list[float | None]
    seed_agreement: list[float | None]

    def shown_images(self, volumes: Mapping[str, Volume], resample: bool = False) -> dict[str, Volume]:
        """The images that the maps were made of, on the maps' grid.

        Raises:
            SegToolkitError: "channel-grid", "no-overlap".
        """
        first = next(iter(self.maps.values()))
        moved = on_one_grid({"the maps": first, **volumes}, "this patient", resample=resample)
        return {name: moved[name] for name in volumes}

    def mask(self, name: str = FUSED, threshold: float | None = None) -> Volume:
        """Where a map is above (not at) a threshold, uint8.

        Args:
            name: a modality, or "fused".
            threshold: None takes the model's.
        """
        wanted = self.thresholds[name] if threshold is None else threshold
        volume = self.maps[name]
        return volume.with_voxels((volume.voxels > wanted).astype(np.uint8))


class CmerMapper:
    """A model of this method, loaded.

    Args:
        plan: of the model.
        state: tensors, see :mod:`weights`.
        device: where to compute.
        precision: see ``training.precision``.

    Raises:
        SegToolkitError: "model-mismatch"; "image-channels": the networks want more than one number a pixel.
    """

    def __init__(
        self, plan: ModelPlan, state: Mapping[str, Tensor], device: torch.device, precision: str = "auto"
    ) -> None:
        if plan.network.image_channels != 1:
            raise SegToolkitError(
                "image-channels",
                f"The networks want images of {plan.network.image_channels} channels; volumes have one.",
                "Choose another model.",
            )
        self.plan, self.device, self._precision = plan, device, precision
        own, seeds = split(state)
        self.networks = loaded_networks(plan.each, len(plan.parts), own, "The model").to(device)
        self._seeds = [self._of_seed(one) for one in seeds]

    @property
    def seeds(self) -> int:
        """Seeds whose networks the model holds."""
        return max(1, len(self._seeds))

    def maps(
        self,
        volumes: Mapping[str, Volume],
        plan: MapPlan | None = None,
        *,
        resample: bool = False,
        small: bool = False,
        progress: Progress | None = None,
    ) -> MapResult:
        """Maps of one case.

        Args:
            volumes: by modality (small or large letters alike); further ones are passed over.
            plan: source, kind and gate of the maps; None takes the model's.
            resample: bring the others onto the voxels of the model's first modality.
            small: one slice at a time, for little memory.
            progress: is told of slices that are done, of all that one network has to see.

        Raises:
            SegToolkitError: "missing-modality", "colour-volume", "not-finite", "channel-grid", "no-overlap".
        """
        names, wanted = self.plan.parts, plan or self.plan.maps
        gate = wanted.gate and self.plan.supervision == "tags"
        stack = stacked(self._chosen(volumes), self.plan.input, resample=resample)
        every = self._see_all(stack, wanted, CHUNK if not small else 1, progress)
        seen = every[0]
        shown = seen.shown(gate)
        found = named_maps(self.plan.map_names, shown)
        probability = seen.logits.softmax(-1)[..., 1].numpy()
        of_seeds = torch.stack([fused(one.shown(gate)) for one in every[1:] or every[:1]])
        seed_agreement = slice_agreement(of_seeds, torch.stack([one.present.any(0) for one in every]))
        notes = _notes(seen, seed_agreement)
        return MapResult(
            maps={name: stack.restore(one) for name, one in found.items()},
            probability=dict(zip(names, probability, strict=True)),
            present=dict(zip(names, seen.present.numpy(), strict=True)),
            thresholds={name: self.plan.threshold(name) for name in found},
            notes=tuple(notes),
            slices=found,
            stack=stack,
            modality_agreement=slice_agreement(shown, seen.present),
            seed_agreement=seed_agreement,
        )

    def _see_all(self, stack: Stack, wanted: MapPlan, chunk: int, progress: Progress | None) -> list[Seen]:
        """What the networks that are used see, then those of each seed."""
        known: Known = {}
        fit, supervision = self.plan.input, self.plan.supervision
        networks = [self.networks, *self._seeds]
        apart = {id(one) for own in networks for one in own}
        whole, before = len(apart) * len(stack), 0

        def tell(done: int, _total: int) -> None:
            if progress is not None:
                progress(before + done, whole)

        every = []
        with autocast(self.device, self._precision):
            for own in networks:
                before = len(known) * len(stack)
                every.append(
                    see(
                        own,
                        stack.pixels,
                        stack.constant,
                        fit,
                        wanted,
                        self.device,
                        chunk,
                        supervision,
                        known,
                        tell,
                    )
                )
        return every

    def _of_seed(self, state: Mapping[str, Tensor]) -> Networks:
        """Networks of a seed; those that are used anyway are not loaded, and not asked, twice."""
        plan = self.plan
        networks = loaded_networks(plan.each, len(plan.parts), state, "A seed of the model").to(self.device)
        for number, (used, other) in enumerate(zip(self.networks, networks, strict=True)):
            pairs = zip(used.state_dict().values(), other.state_dict().values(), strict=True)
            if all(torch.equal(a, b) for a, b in pairs):
                networks[number] = used
        return networks

    def _chosen(self, volumes: Mapping[str, Volume]) -> dict[str, Volume]:
        given = {name.casefold(): volume for name, volume in volumes.items()}
        missing = [name for name in self.plan.modalities if name.casefold() not in given]
        if missing:
            raise SegToolkitError(
                "missing-modality",
                f"The model needs {', '.join(self.plan.modalities)}; there is no {', '.join(missing)}.",
                f"Give one for each: --image {missing[0]}=FILE.",
            )
        return {name: given[name.casefold()] for name in self.plan.modalities}


def _notes(seen: Seen, seed_agreement: list[float | None]) -> list[str]:
    if not seen.present.any():
        return [NOTHING]
    notes = []
    if len(seen.maps) > 1 and seen.present.all(0).any():
        value = float(agreement(seen.maps[:, seen.present.all(0)]).mean())
        if value < LEAST_AGREEMENT:
            notes.append(DISAGREE.format(value=value))
    told = [value for value in seed_agreement if value is not None]
    if told and float(np.mean(told)) < LEAST_AGREEMENT:
        notes.append(SEEDS_DISAGREE.format(value=float(np.mean(told))))
    return notes


def load(
    folder: str | os.PathLike[str],
    card: ModelCard | None = None,
    device: torch.device | None = None,
    precision: str = "auto",
) -> CmerMapper:
    """Load a model.

    Args:
        folder: of the model.
        card: of that folder; None reads it.
        device: where to compute; None takes the CPU.
        precision: "auto", "float32", "bfloat16" or "float16".

    Raises:
        SegToolkitError: "no-model", "bad-weights", "bad-model-card", "model-mismatch", "image-channels".
    """
    card = card or read_card(folder)
    return CmerMapper(plan_of(card), load_state(folder, card), device or torch.device("cpu"), precision)


def plan_of(card: ModelCard) -> ModelPlan:
    """The plan that stands in a card.

    Raises:
        SegToolkitError: "bad-model-card".
    """
    return parse(ModelPlan, card.settings, f"'settings' of {card.name}")
