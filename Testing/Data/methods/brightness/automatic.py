"""The bands as every automatic method: describe and load; importing this imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.automatic.segmenter import AutomaticSegmenter, Described
from SegToolkitLib.models.card import ModelCard, parse

from .settings import MAPS, BrightnessSettings

if TYPE_CHECKING:
    import torch


def describe(card: ModelCard) -> Described:
    """What a person wants to know before it is loaded."""
    settings = parse(BrightnessSettings, card.settings, f"The settings of {card.name}")
    return Described(
        grid="the volume's own voxels",
        modes=list(settings.modes),
        maps={name: MAPS[name] for name in settings.maps},
        small=True,
        memory_mb=None,
    )


def load(folder: Path, card: ModelCard, device: torch.device, precision: str) -> AutomaticSegmenter:
    """A model with its limits."""
    from SegToolkitLib.models.folder import load_state

    from .segment import BrightnessSegmenter

    settings = parse(BrightnessSettings, card.settings, f"The settings of {card.name}")
    limits = load_state(folder, card)["limits"].numpy()
    return BrightnessSegmenter(card.labels, limits, settings, device)
