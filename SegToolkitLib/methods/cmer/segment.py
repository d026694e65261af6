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

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.maps import agreement, fused
from SegToolkitLib.methods.cmer.plan import FUSED, MapPlan, ModelPlan
from SegToolkitLib.methods.cmer.prepare import Stack, stacked
from SegToolkitLib.methods.cmer.validation import CHUNK, see
from SegToolkitLib.methods.cmer.weights import loaded_networks
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


@dataclass(frozen=True)
class MapResult:
    """Maps of a case, all on the grid of its first image.

    Attributes:
        maps: by modality, and the fused one (:data:`FUSED`), 0 to 1; gated as the plan says.
        probability: that the object is visible, of each slice [Z], by modality.
        present: which slices each network takes to show it [Z], by modality.
        thresholds: by modality, and of the fused map.
        notes: for a person.
        slices: of the maps, what they were before they were brought to the grid, [Z, Y, X] by name.
        stack: the slices that were looked at.
    """

    maps: dict[str, Volume]
    probability: dict[str, NDArray[np.float32]]
    present: dict[str, NDArray[np.bool_]]
    thresholds: dict[str, float]
    notes: tuple[str, ...]
    slices: dict[str, NDArray[np.float32]]
    stack: Stack

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
        state: tensors "<number of the modality>.<key>".
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
        networks = loaded_networks(plan.network, len(plan.modalities), state, "The model")
        self.networks = networks.to(device)

    def maps(
        self,
        volumes: Mapping[str, Volume],
        plan: MapPlan | None = None,
        *,
        resample: bool = False,
        small: bool = False,
    ) -> MapResult:
        """Maps of one case.

        Args:
            volumes: by modality (small or large letters alike); further ones are passed over.
            plan: source, kind and gate of the maps; None takes the model's.
            resample: bring the others onto the voxels of the model's first modality.
            small: one slice at a time, for little memory.

        Raises:
            SegToolkitError: "missing-modality", "colour-volume", "not-finite", "channel-grid", "no-overlap".
        """
        names, wanted = self.plan.modalities, plan or self.plan.maps
        stack = stacked(self._chosen(volumes), self.plan.input, resample=resample)
        with autocast(self.device, self._precision):
            seen = see(
                self.networks,
                stack.pixels,
                stack.constant,
                self.plan.input,
                wanted,
                self.device,
                1 if small else CHUNK,
            )
        shown = seen.shown(wanted.gate)
        found = {name: one.numpy() for name, one in zip((*names, FUSED), (*shown, fused(shown)), strict=True)}
        probability = seen.logits.softmax(-1)[..., 1].numpy()
        notes = []
        if not seen.present.any():
            notes.append(NOTHING)
        elif seen.present.all(0).any():
            value = float(agreement(seen.maps[:, seen.present.all(0)]).mean())
            if value < LEAST_AGREEMENT:
                notes.append(DISAGREE.format(value=value))
        return MapResult(
            maps={name: stack.restore(one) for name, one in found.items()},
            probability=dict(zip(names, probability, strict=True)),
            present=dict(zip(names, seen.present.numpy(), strict=True)),
            thresholds={name: self.plan.threshold(name) for name in found},
            notes=tuple(notes),
            slices=found,
            stack=stack,
        )

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
