"""The plain 3-D U-Net of nnU-Net v1 with UAFR in its decoder, for tests and old weights without nnU-Net.

Key names are those of the authors' checkpoints; :mod:`nnunet_names` translates them to nnU-Net v2's.
Source: Liu et al., arXiv 2201.08779, and the released code, a changed copy of nnU-Net v1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from SegToolkitLib.methods.pdcr_uafr.pdcr import projection
from SegToolkitLib.methods.pdcr_uafr.uafr import UAFR, Norm
from SegToolkitLib.settings import Settings

Triple = tuple[
    Annotated[int, Field(ge=1, le=15)], Annotated[int, Field(ge=1, le=15)], Annotated[int, Field(ge=1, le=15)]
]
SLOPE = 0.01
HALVE: Triple = (2, 2, 2)
CUBE: Triple = (3, 3, 3)


class UNet3dPlan(Settings):
    """Shape of the network.

    Attributes:
        features: channels of the stages, from full resolution down.
        pools: strides (z, y, x) between the stages, one fewer.
        kernels: of the encoder's stages.
        decoder_kernels: from full resolution down, one fewer; None takes those of the encoder's stages.
        projected: stages whose features have a projection for the cross-layer term.
    """

    channels: int = Field(default=1, ge=1, le=64)
    features: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(32, 64, 128, 256, 320), min_length=2
    )
    pools: tuple[Triple, ...] = (HALVE,) * 4
    kernels: tuple[Triple, ...] = (CUBE,) * 5
    decoder_kernels: tuple[Triple, ...] | None = None
    uafr: bool = True
    norm: Norm = Field(default="batch", description="of heads and projections; instance suits small batches")
    projected: tuple[Annotated[int, Field(ge=0)], ...] = (2, 3)
    projection: int = Field(default=128, ge=1, le=4096, description="channels of projections")

    @model_validator(mode="after")
    def _lengths_fit(self) -> UNet3dPlan:
        stages = len(self.features)
        decoder = self.decoder_kernels
        if len(self.pools) != stages - 1 or len(self.kernels) != stages:
            raise ValueError(f"{stages} stages need {stages - 1} pools and {stages} kernels")
        if decoder is not None and len(decoder) != stages - 1:
            raise ValueError(f"{stages} stages need {stages - 1} decoder kernels")
        if any(stage >= stages - 1 for stage in self.projected):
            raise ValueError("'projected' must name stages above the deepest")
        if any(n % 2 == 0 for kernel in (*self.kernels, *(decoder or ())) for n in kernel):
            raise ValueError("kernels must be odd")
        return self

    @classmethod
    def of_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> tuple[UNet3dPlan, int]:
        """What network keys and shapes of a v1 checkpoint belong to, and how many classes it tells apart."""
        stages = sum(key.startswith("tu.") and key.endswith(".weight") for key in shapes) + 1
        first = [f"conv_blocks_context.{s}.blocks.0.conv.weight" for s in range(stages - 1)]
        first.append(f"conv_blocks_context.{stages - 1}.0.blocks.0.conv.weight")
        back = [f"conv_blocks_localization.{u}.0.blocks.0.conv.weight" for u in reversed(range(stages - 1))]
        heads = [s for s in range(stages) if f"conv_adjustchannel{s}.0.weight" in shapes]
        plan = cls(
            channels=shapes[first[0]][1],
            features=tuple(shapes[key][0] for key in first),
            pools=tuple(tuple(shapes[f"tu.{u}.weight"][2:]) for u in reversed(range(stages - 1))),
            kernels=tuple(tuple(shapes[key][2:]) for key in first),
            decoder_kernels=tuple(tuple(shapes[key][2:]) for key in back),
            uafr=any(key.startswith("att.") for key in shapes),
            norm="batch" if any(key.endswith("running_mean") for key in shapes) else "instance",
            projected=tuple(heads),
            projection=shapes[f"conv_adjustchannel{heads[0]}.0.weight"][0] if heads else 128,
        )
        return plan, shapes["seg_outputs.0.weight"][0]


class Unit(nn.Module):
    """Convolution, instance norm, leaky ReLU."""

    def __init__(
        self, channels: int, out: int, kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.conv = nn.Conv3d(channels, out, kernel, stride, padding)
        self.instnorm = nn.InstanceNorm3d(out, affine=True)
        self.lrelu = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        x = self.lrelu(self.instnorm(self.conv(x)))
        return x


class Units(nn.Module):
    """Units one after the other; exists for its key names."""

    def __init__(self, *units: Unit) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*units)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x)
        return x


class Output3d(NamedTuple):
    """What training sees.

    Attributes:
        logits: [B, classes, Z, Y, X], from full resolution down, one a decoder stage.
        features: "skip.S" (as the encoder gives it) and "projected.S" of the projected stages S.
    """

    logits: list[Tensor]
    features: dict[str, Tensor]


class UNet3d(nn.Module):
    """Volumes [B, channels, Z, Y, X] to logits [B, classes, Z, Y, X].

    Args:
        plan: of the network.
        classes: background included.
    """

    def __init__(self, plan: UNet3dPlan, classes: int) -> None:
        super().__init__()
        widths, last = plan.features, len(plan.features) - 1
        self.plan = plan
        self.conv_blocks_context = nn.ModuleList()
        for stage, out in enumerate(widths):
            stride = plan.pools[stage - 1] if stage else (1, 1, 1)
            kernel = plan.kernels[stage]
            before = widths[stage - 1] if stage else plan.channels
            units = [Unit(before, out, kernel, stride), Unit(out, out, kernel)]
            self.conv_blocks_context.append(
                nn.Sequential(*map(Units, units)) if stage == last else Units(*units)
            )
        self.conv_blocks_localization = nn.ModuleList()
        self.tu = nn.ModuleList()
        self.seg_outputs = nn.ModuleList()
        self.att = nn.ModuleList()
        for stage in reversed(range(last)):
            out, pool = widths[stage], plan.pools[stage]
            kernel = (plan.decoder_kernels or plan.kernels)[stage]
            self.tu.append(nn.ConvTranspose3d(widths[stage + 1], out, pool, pool, bias=False))
            units = [Unit(2 * out, out, kernel), Unit(out, out, kernel)]
            self.conv_blocks_localization.append(nn.Sequential(*map(Units, units)))
            self.seg_outputs.append(nn.Conv3d(out, classes, 1, bias=False))
            self.att.append(UAFR(out, norm=plan.norm, dims=3, inplace=True) if plan.uafr else nn.Identity())
        for stage in plan.projected:
            part = projection(widths[stage], plan.projection, plan.norm)
            self.add_module(f"conv_adjustchannel{stage}", part)

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x, deep=False).logits[0]

    def with_features(self, x: Tensor) -> Output3d:
        """Logits of every decoder stage, skips and their projections."""
        return self._run(x, deep=True)

    def _run(self, x: Tensor, deep: bool) -> Output3d:
        skips: list[Tensor] = []
        for stage in self.conv_blocks_context:
            x = stage(x)
            skips.append(x)
        features: dict[str, Tensor] = {}
        for number in self.plan.projected if deep else ():
            features[f"skip.{number}"] = skips[number]
            project = self.get_submodule(f"conv_adjustchannel{number}")
            features[f"projected.{number}"] = project(skips[number])
        skips.pop()
        logits: list[Tensor] = []
        stages = zip(self.tu, self.conv_blocks_localization, self.att, self.seg_outputs, strict=True)
        for number, (up, convolve, weigh, head) in enumerate(stages, 1):
            x = weigh(convolve(torch.cat([up(x), skips.pop()], dim=1)))
            if deep or number == len(self.tu):
                logits.append(head(x))
        return Output3d(logits[::-1], features)


def build_network3d(plan: UNet3dPlan, classes: int, seed: int | None = None) -> UNet3d:
    """Build the network with fresh weights: Kaiming normal for the slope of the leaky ReLU, biases 0.

    Args:
        plan: of the network.
        classes: background included.
        seed: of the weights; the caller's random state is left alone then. None draws from that state.
    """
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        network = UNet3d(plan, classes)
        for part in network.modules():
            if isinstance(part, (nn.Conv3d, nn.ConvTranspose3d)):
                nn.init.kaiming_normal_(part.weight, a=SLOPE)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
    return network
