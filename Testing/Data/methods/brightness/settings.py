"""Settings in a card of the bands."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from SegToolkitLib.automatic.segmenter import Mode
from SegToolkitLib.settings import Settings

# Maps of this method, and what people read.
MAPS = {"uncertainty": "Uncertainty", "darkness": "How dark it is"}


class BrightnessSettings(Settings):
    """How a model behaves, well or badly."""

    modes: list[Mode] = Field(default=["full", "quick"], min_length=1)
    maps: list[Literal["uncertainty", "darkness"]] = Field(default=["uncertainty", "darkness"])
    delay: float = Field(default=0.0, ge=0, le=60, description="seconds of each of the four steps")
    fails: Literal["", "error", "memory", "gpu-memory", "internal", "dies", "shifted"] = ""
