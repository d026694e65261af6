"""Models of nnU-Net as every automatic method's: describe and load; importing this imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.automatic.segmenter import AutomaticSegmenter, Described
from SegToolkitLib.methods.nnunet.plan import NnunetPlan
from SegToolkitLib.models.card import ModelCard, parse

if TYPE_CHECKING:
    import torch


def describe(card: ModelCard) -> Described:
    """What a person wants to know before it is loaded.

    Raises:
        SegToolkitError: "bad-model-card".
    """
    plan = plan_of(card)
    size = " x ".join(map(str, reversed(plan.patch)))
    spacing = " x ".join(f"{float(mm):.3g}" for mm in reversed(plan.values.get("spacing", [])))
    unit = "pixels" if len(plan.patch) == 2 else "voxels"
    return Described(
        grid=f"patches of {size} {unit}" + ("" if plan.pictures else f" of {spacing} mm"),
        modes=["full", "quick"] if plan.mirrored else ["full"],
        maps=plan.maps,
        small=True,
        memory_mb=None,
    )


def load(folder: Path, card: ModelCard, device: torch.device, precision: str) -> AutomaticSegmenter:
    """Load a model; nnU-Net itself chooses the precision (mixed on a GPU, float32 elsewhere).

    Args:
        folder: of the model.
        card: of that folder.
        device: where to compute.
        precision: not used.

    Raises:
        SegToolkitError: "missing-package", "unknown-trainer", "bad-weights", "bad-model-card",
            "model-mismatch".
    """
    from SegToolkitLib.methods.nnunet.package import require_nnunet

    require_nnunet()
    from SegToolkitLib.methods.nnunet.segment import NnunetSegmenter
    from SegToolkitLib.models.folder import load_state

    return NnunetSegmenter(plan_of(card), load_state(folder, card), device)


def plan_of(card: ModelCard) -> NnunetPlan:
    """The plan that stands in a card.

    Raises:
        SegToolkitError: "bad-model-card".
    """
    return parse(NnunetPlan, card.settings, f"'settings' of {card.name}")
