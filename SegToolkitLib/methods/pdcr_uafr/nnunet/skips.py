"""Which features of nnU-Net's encoder PDCR compares, where their cells lie, and how they are handed out.

Source: Liu et al., arXiv 2201.08779, and the released code, whose fixed numbers (3-D, strides 4 and 8, cubic
kernels) follow here from the network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from SegToolkitLib.methods.pdcr_uafr.nnunet.heads import dims_of
from SegToolkitLib.methods.pdcr_uafr.pdcr import Layer
from SegToolkitLib.methods.pdcr_uafr.sampling import Cells, steps_for

STRIDES = (4, 8)
APART = 32


class WithSkips(NamedTuple):
    """What the network gives while it trains.

    Attributes:
        outputs: as without PDCR: logits, or a list of them from full resolution down.
        skips: features [B, C, ...] of the chosen stages.
    """

    outputs: Any
    skips: tuple[Tensor, ...]


def hand_out(decoder: nn.Module, stages: Sequence[int]) -> RemovableHandle:
    """Let a decoder give the features of encoder stages besides its outputs, but only while it trains.

    In evaluation mode the outputs are those of the untouched network, so validation and prediction need not
    know of it.
    """
    chosen = tuple(stages)

    def hook(module: nn.Module, given: tuple[Any, ...], outputs: Any) -> Any:
        if not module.training:
            return outputs
        return WithSkips(outputs, tuple(given[0][stage] for stage in chosen))

    return decoder.register_forward_hook(hook)


def cells_of(encoder: Any) -> list[tuple[Cells, ...]]:
    """How the cells of each encoder stage lie in the image: a :class:`Cells` for each axis.

    Shortcuts of residual blocks see less than their main path, and do not count.
    """
    axes = [Cells() for _ in range(dims_of(encoder))]
    found = []
    for number, stage in enumerate(encoder.stages):
        parts = (
            [*_windows(getattr(encoder, "stem", None)), *_windows(stage)] if number == 0 else _windows(stage)
        )
        for part in parts:
            shape = zip(*(_each(value, len(axes)) for value in _numbers(part)), strict=True)
            axes = [
                cells.after(kernel, stride, dilation, padding)
                for cells, (kernel, stride, dilation, padding) in zip(axes, shape, strict=True)
            ]
        found.append(tuple(axes))
    return found


def chosen_stages(cells: Sequence[tuple[Cells, ...]], strides: Sequence[int] = STRIDES) -> list[int]:
    """Stages whose in-plane strides are these, or the nearest there are; each once, in order.

    Args:
        cells: of each stage.
        strides: wanted, in pixels.
    """
    # The first axis of an anisotropic volume is pooled later than the slices' own.
    planes = [max(axis.stride for axis in stage[-2:]) for stage in cells]
    found: list[int] = []
    for wanted in strides:
        left = [stage for stage in range(len(planes)) if stage not in found]
        if left:
            found.append(min(left, key=lambda stage: (abs(math.log2(planes[stage] / wanted)), stage)))
    return sorted(found)


def layers_of(
    encoder: Any, stages: Sequence[int], patch: Sequence[int], apart: int = APART, cross: bool = True
) -> list[Layer]:
    """The layers of both terms, named "skip.S".

    Args:
        encoder: of the network.
        stages: that take part.
        patch: size of the training's patches in voxels.
        apart: voxels between two compared vectors, at most a quarter of the patch.
        cross: with the cross-layer term, for which features are projected.
    """
    cells = cells_of(encoder)
    found: list[Layer] = []
    for term in ("encoder", "cross") if cross else ("encoder",):
        for stage in stages:
            steps = steps_for(patch, [axis.stride for axis in cells[stage]], apart)
            channels = encoder.output_channels[stage] if term == "cross" else None
            found.append(Layer(f"skip.{stage}", term, cells=cells[stage], steps=steps, channels=channels))
    return found


def _windows(part: nn.Module | None) -> list[nn.Module]:
    """Convolutions and poolings of the main path, in their order."""
    if part is None:
        return []
    return [
        module
        for name, module in part.named_modules()
        if hasattr(module, "kernel_size") and hasattr(module, "stride")
        if not {"skip", "squeeze_excitation"} & set(name.split("."))
    ]


def _numbers(part: Any) -> tuple[Any, Any, Any, Any]:
    return part.kernel_size, part.stride, getattr(part, "dilation", 1), part.padding


def _each(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)
