"""This method as every automatic one: describe and load; importing this imports no torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.automatic.segmenter import UNCERTAINTY, AutomaticSegmenter, Described
from SegToolkitLib.methods.cssn.plan import ModelPlan, StagePlan
from SegToolkitLib.models.card import ModelCard, parse

if TYPE_CHECKING:
    import torch

# Large maps come and go in a forward pass, and Linux maps their memory in pages of 4 KB, each at its first
# touch: filling 256 MB took 0.19 s so, and 0.05 s in large pages. torch asks for those if it finds this when
# it first takes memory; other systems ignore it.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def describe(card: ModelCard) -> Described:
    """What a person wants to know before it is loaded.

    Raises:
        SegToolkitError: "bad-model-card".
    """
    plan = _plan(card)
    both = plan.coarse is not None and plan.fine is not None
    grids = [_size(stage) for stage in (plan.coarse, plan.fine) if stage is not None]
    return Described(
        grid=f"{grids[0]} of the whole, then {grids[1]} around the organs"
        if both
        else f"{grids[0]} of the whole",
        modes=["full", "quick"] if both else ["full"],
        maps={UNCERTAINTY: "Uncertainty"},
        small=True,
        memory_mb=None,
    )


def load(folder: Path, card: ModelCard, device: torch.device, precision: str) -> AutomaticSegmenter:
    """Load a model.

    Args:
        folder: of the model.
        card: of that folder.
        device: where to compute.
        precision: "auto", "float32", "bfloat16" or "float16".

    Raises:
        SegToolkitError: "bad-weights", "bad-model-card", "model-mismatch".
    """
    from SegToolkitLib.methods.cssn.segment import CssnSegmenter
    from SegToolkitLib.models.folder import load_state

    return CssnSegmenter(_plan(card), load_state(folder, card), card.labels, device, precision)


def _plan(card: ModelCard) -> ModelPlan:
    return parse(ModelPlan, card.settings, f"'settings' of {card.name}")


def _size(stage: StagePlan) -> str:
    return " x ".join(str(n) for n in stage.size) + " voxels"
