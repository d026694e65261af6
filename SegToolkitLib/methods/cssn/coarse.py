"""The trained coarse stage in a fine training: where the organs of unlabelled images are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from SegToolkitLib.automatic.tested import trained_cases
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.plan import InferencePlan, ModelPlan, StagePlan
from SegToolkitLib.methods.cssn.prepare import Triple
from SegToolkitLib.methods.cssn.settings import CssnSettings, OwnRules
from SegToolkitLib.models.card import CARD_FILE, ModelCard, read_card
from SegToolkitLib.models.files import install, read_weights
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.validation import validated
from SegToolkitLib.volume import Volume

PREFIX = "coarse."
# What the coarse stage goes by; the other rules are the fine stage's, or say what becomes of the region.
RULES = ("threshold", "exclusive", "half_height_mm", "coarse_least_mm3", "components")


@dataclass(frozen=True)
class Coarse:
    """A model of which the coarse stage is used.

    Attributes:
        folder, card: of the model.
        plan: of the stage.
        inference: rules that it finds organs by in the training, and in the model that is made.
        state: its tensors, named "coarse.<key>".
    """

    folder: Path
    card: ModelCard
    plan: StagePlan
    inference: InferencePlan
    state: Mapping[str, Tensor]

    @classmethod
    def load(cls, folder: Path, organs: Mapping[int, str], own: InferencePlan) -> Coarse:
        """Read a model.

        Args:
            folder: of the model, or of the run that made it.
            organs: value -> name, of the training.
            own: rules of the training's settings; what they set holds for the coarse stage as well.

        Raises:
            SegToolkitError: "not-coarse": another method's, or one without a coarse stage;
                "coarse-labels": it knows other organs; and what reading raises.
        """
        folder = model_of(folder)
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
        return cls(folder, card, plan.coarse, joined_rules(own, plan.rules("coarse")), state)

    def keep(self, folder: Path) -> None:
        """Copy the model, weights and card as they are, to a folder that may hold an earlier copy.

        Raises:
            SegToolkitError: "bad-weights", "write-failed".
        """
        content = read_weights(self.folder, self.card)
        (folder / CARD_FILE).unlink(missing_ok=True)
        assert self.card.weights is not None
        install(folder, self.card, content, self.card.weights.dtype)

    def seen(self, dataset: Dataset, ids: Iterable[str]) -> list[str]:
        """Those of the cases that its training saw, or another image of whose patient it saw."""
        seen = trained_cases(dataset, self.card)
        patients = {dataset.patients.get(id, id) for id in seen}
        return [id for id in ids if id in seen or dataset.patients.get(id, id) in patients]

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


def model_of(folder: Path) -> Path:
    """The model of a finished run, or the folder itself."""
    made = folder / "result" / "model"
    return made if made.is_dir() else folder


def joined_rules(own: InferencePlan, coarse: InferencePlan) -> InferencePlan:
    """Rules of the coarse stage in a fine training: those of its card, but for what the training sets.

    Args:
        own: of the training's settings; a rule counts as set that is neither the usual one of own trainings
            nor the released one, which all runs had once.
        coarse: of the coarse model's card.
    """
    usual = (OwnRules(), InferencePlan())
    left = [name for name in RULES if getattr(own, name) in [getattr(one, name) for one in usual]]
    return InferencePlan(**own.model_dump() | {name: getattr(coarse, name) for name in left})


def model_plan(settings: CssnSettings, coarse: Coarse | None) -> ModelPlan:
    """What a model of a run is.

    Args:
        settings: of the run.
        coarse: the model that its fine stage was given.
    """
    own = InferencePlan(**settings.inference.model_dump())
    if coarse is None:
        return ModelPlan(**{settings.stage: settings.plan}, inference=own)
    differs = coarse.inference if coarse.inference != own else None
    return ModelPlan(coarse=coarse.plan, fine=settings.plan, inference=own, coarse_inference=differs)


def _told(labels: Mapping[int, str]) -> str:
    return ", ".join(f"{value} {name}" for value, name in list(labels.items())[:20]) or "nothing"
