"""The trained coarse stage in a fine training: where the organs of unlabelled images are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.plan import ModelPlan, StagePlan
from SegToolkitLib.methods.cssn.prepare import Triple
from SegToolkitLib.models.card import ModelCard, read_card
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.validation import validated
from SegToolkitLib.volume import Volume

PREFIX = "coarse."


@dataclass(frozen=True)
class Coarse:
    """A model of which the coarse stage is used.

    Attributes:
        card: of the model.
        plan: of the stage.
        inference: rules that came with it.
        state: its tensors, named "coarse.<key>".
    """

    card: ModelCard
    plan: StagePlan
    inference: Any
    state: Mapping[str, Tensor]

    @classmethod
    def load(cls, folder: Path, organs: Mapping[int, str]) -> Coarse:
        """Read a model.

        Args:
            folder: of the model, or of the run that made it.
            organs: value -> name, of the training.

        Raises:
            SegToolkitError: "not-coarse": another method's, or one without a coarse stage;
                "coarse-labels": it knows other organs; and what reading raises.
        """
        folder = next((one for one in (folder / "result" / "model",) if one.is_dir()), folder)
        card = read_card(folder)
        plan = (
            validated(ModelPlan, card.settings, f"The card of {card.name}") if card.method == "cssn" else None
        )
        if plan is None or plan.coarse is None:
            raise SegToolkitError(
                "not-coarse",
                f"{folder} holds no coarse model of this method.",
                "Train one (segtoolkit train cssn --stage coarse), or import one.",
            )
        known = {label.value: label.name for label in card.labels}
        if known != dict(organs):
            raise SegToolkitError(
                "coarse-labels",
                f"The coarse model {card.name} finds {_told(known)}, the data set has {_told(organs)}.",
                "Train a coarse model on this data set.",
            )
        state = {key: value for key, value in load_state(folder, card).items() if key.startswith(PREFIX)}
        return cls(card, plan.coarse, plan.inference, state)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its weights."""
        assert self.card.weights is not None
        return self.card.weights.sha256

    def finder(self, device: torch.device, precision: str) -> Finder:
        """Get ready to look for organs on a device."""
        return Finder(self, device, precision)


class Finder:
    """Finds where the organs are, with the code of the inference."""

    def __init__(self, coarse: Coarse, device: torch.device, precision: str) -> None:
        from SegToolkitLib.methods.cssn.segment import CssnSegmenter

        # Without a margin: training adds its own, and a random one.
        rules = coarse.inference.model_copy(update={"margin_mm": 0.0})
        plan = ModelPlan(coarse=coarse.plan, inference=rules)
        self._segmenter = CssnSegmenter(plan, coarse.state, coarse.card.labels, device, precision)

    def extent(self, volume: Volume) -> tuple[Triple, Triple]:
        """First and last voxel (z, y, x), both included, of the organs in a canonical volume."""
        box = self._segmenter.region_of(volume)
        low, high = ((int(a), int(b), int(c)) for a, b, c in box)
        return low, (high[0] - 1, high[1] - 1, high[2] - 1)


def _told(labels: Mapping[int, str]) -> str:
    return ", ".join(f"{value} {name}" for value, name in list(labels.items())[:20]) or "nothing"
