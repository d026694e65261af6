"""The coarse and the fine network, with the key names of the authors' released checkpoints.

Both map normalised volumes [N, 1, Z, Y, X] to logits [N, classes, Z, Y, X]: one channel an organ, sigmoid,
no background. Stages are numbered from full resolution (0) down; ``convI_0`` encodes and ``convI_(4-I)``
decodes stage I.
Source: Zhang et al., arXiv 2109.10601, and the released code of SemiSeg-CSSN.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.methods.cssn.blocks import LINE, ONE, PLANE, FourLayerBlock, ResidualBlock, Unit, resized
from SegToolkitLib.methods.cssn.context import ContextBlock
from SegToolkitLib.methods.cssn.plan import StagePlan

# Decoders are named after the released depth; a network with fewer stages lacks the deepest ones.
RELEASED_DEPTH = 4


def encoder_name(stage: int) -> str:
    """Of the module that encodes a stage."""
    return f"conv{stage}_0"


def decoder_name(stage: int) -> str:
    """Of the module that decodes a stage."""
    return f"conv{stage}_{RELEASED_DEPTH - stage}"


class CoarseNet(nn.Module):
    """The base residual U-Net ("UNet" in the authors' settings).

    Args:
        classes: organs.
        channels: of the stages, from full resolution down.
        dropout: channel dropout.
    """

    def __init__(self, classes: int, channels: Sequence[int], dropout: float = 0.2) -> None:
        super().__init__()
        self.depth = len(channels) - 1
        for stage, width in enumerate(channels):
            inputs = channels[stage - 1] if stage else 1
            self.add_module(encoder_name(stage), FourLayerBlock(inputs, width, dropout))
        for stage in reversed(range(self.depth)):
            inputs = channels[stage] + channels[stage + 1]
            self.add_module(decoder_name(stage), ResidualBlock(inputs, channels[stage], dropout))
        self.final = nn.Conv3d(channels[0], classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for stage in range(self.depth):
            x = self.get_submodule(encoder_name(stage))(x)
            kept.append(x)
            x = F.max_pool3d(x, 3, stride=2, padding=1)
        x = self.get_submodule(encoder_name(self.depth))(x)
        for stage in reversed(range(self.depth)):
            # Taken out of the list, so that its memory is free after its last use.
            same = kept.pop()
            x = torch.cat([same, resized(x, same.shape[2:])], dim=1)
            del same
            x = self.get_submodule(decoder_name(stage))(x)
        return self.final(x)


class FineNet(nn.Module):
    """EfficientSegNet: strided encoder, context block, additive decoder with anisotropic blocks.

    Args:
        classes: organs.
        channels: of the stages, from full resolution down.
        blocks: encoder blocks: the first number for the first two stages, the others for one stage each.
        size: voxels (z, y, x) of the input, which the strips of the context block span.
        dropout: channel dropout.
    """

    def __init__(
        self,
        classes: int,
        channels: Sequence[int],
        blocks: Sequence[int],
        size: Sequence[int],
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.depth = len(channels) - 1
        for stage, count in enumerate([blocks[0], *blocks[: self.depth]]):
            inputs = channels[stage - 1] if stage else 1
            self.add_module(encoder_name(stage), _encoder(inputs, channels[stage], count, stage > 0, dropout))
        z, y, x = (n >> self.depth for n in size)
        self.context_block = ContextBlock(channels[-1], (z, y, x), dropout)
        for stage in reversed(range(self.depth)):
            width = channels[stage]
            trans = Unit(channels[stage + 1], width, ONE, active=True, dropout=dropout)
            self.add_module(f"trans_{stage + 1}", trans)
            block = ResidualBlock(width, width, dropout, kernels=(PLANE, LINE))
            self.add_module(decoder_name(stage), nn.Sequential(block))
        self.final = nn.Conv3d(channels[0], classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for stage in range(self.depth + 1):
            x = self.get_submodule(encoder_name(stage))(x)
            kept.append(x)
        x = self.context_block(kept.pop())
        for stage in reversed(range(self.depth)):
            x = self.get_submodule(f"trans_{stage + 1}")(x)
            # Taken out of the list, so that its memory is free after its last use.
            same = kept.pop()
            x = resized(x, same.shape[2:]) + same
            del same
            x = self.get_submodule(decoder_name(stage))(x)
        return self.final(x)


def _encoder(channels: int, out: int, count: int, halved: bool, dropout: float) -> nn.Sequential:
    """A stage: the first block projects and, but for the first stage, halves the size."""
    first = ResidualBlock(channels, out, dropout, stride=2 if halved else 1)
    return nn.Sequential(first, *(ResidualBlock(out, out, dropout, project=False) for _ in range(count - 1)))


def build_network(plan: StagePlan, classes: int, seed: int | None = None) -> nn.Module:
    """Build a stage's network with fresh weights: Kaiming normal, fan-in.

    Args:
        plan: of the stage.
        classes: organs.
        seed: of the weights; the caller's random state is left alone then. None draws from that state.
    """
    settings = plan.network
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        network: nn.Module
        if settings.kind == "unet":
            network = CoarseNet(classes, settings.channels, settings.dropout)
        else:
            network = FineNet(classes, settings.channels, settings.blocks, plan.size, settings.dropout)
        for module in network.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
    return network
