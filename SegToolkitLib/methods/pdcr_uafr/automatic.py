"""This method as every automatic one: describe and load; importing this imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.automatic.segmenter import AutomaticSegmenter, Described
from SegToolkitLib.methods.pdcr_uafr.plan import ModelPlan
from SegToolkitLib.models.card import ModelCard, parse

if TYPE_CHECKING:
    import torch


def describe(card: ModelCard) -> Described:
    """What a person wants to know before it is loaded.

    Raises:
        SegToolkitError: "bad-model-card".
    """
    plan = plan_of(card)
    rows, columns = plan.input.size
    what = "pictures" if card.preprocessing.modality == "picture" else "slices"
    return Described(
        grid=f"{what}, seen at {columns} x {rows} pixels",
        modes=["full"],
        maps=plan.maps,
        small=True,
        memory_mb=None,
    )


def load(folder: Path, card: ModelCard, device: torch.device, precision: str) -> AutomaticSegmenter:
    """Load a model.

    Its terms are not asked for: who loads a model has accepted them, see
    :func:`SegToolkitLib.models.licence.ensure_accepted`.

    Args:
        folder: of the model.
        card: of that folder.
        device: where to compute.
        precision: "auto", "float32", "bfloat16" or "float16".

    Raises:
        SegToolkitError: "bad-weights", "bad-model-card", "model-mismatch".
    """
    from SegToolkitLib.methods.pdcr_uafr.segment import PdcrUafrSegmenter
    from SegToolkitLib.models.folder import load_state

    return PdcrUafrSegmenter(plan_of(card), load_state(folder, card), card.labels, device, precision)


def plan_of(card: ModelCard) -> ModelPlan:
    """The plan that stands in a card.

    Raises:
        SegToolkitError: "bad-model-card".
    """
    return parse(ModelPlan, card.settings, f"'settings' of {card.name}")
