"""How codes are masked; importing this imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from SegToolkitLib.settings import Settings


class MaskSettings(Settings):
    """Of one of the two codes; the defaults are released."""

    kind: Literal["random", "dropout", "channel", "spatial"] = Field(
        default="random", description="random: one of the others, drawn for each batch"
    )
    max_threshold: float = Field(
        default=0.5, ge=0, lt=1, description="largest part of channels or places that is masked"
    )
    random_threshold: bool = Field(
        default=True, description="draw the part between 0 and the largest; dropout always takes the largest"
    )
    soft: bool = Field(
        default=True, description="weaken what is masked to at most half at random; false sets it to 0"
    )
    loss: Literal["fit", "correlation"] = Field(
        default="fit",
        description="whose gradient chooses what is masked: the squared error or cross-entropy of what is"
        " decoded; correlation: its mean product with image or label",
    )
