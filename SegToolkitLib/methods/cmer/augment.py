"""What changes a training slice before the step: a shift by whole pixels, the same for all modalities.

Source: released code of WSS-CMER, which draws it for each modality by itself. Changes of size and turns are
ours.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from SegToolkitLib.methods.cmer.settings import AugmentSettings


def draw_shift(
    settings: AugmentSettings, modalities: int, rows: int, columns: int, generator: torch.Generator
) -> Tensor:
    """Pixels (to the right, down) for each modality of one slice, int64 [M, 2].

    Args:
        settings: how far, and whether modalities stay together.
        modalities: of the slice.
        rows, columns: of the slice.
        generator: the only source of chance; on the CPU.
    """
    drawn = 1 if settings.modalities == "together" else modalities
    most = settings.shift * torch.tensor([columns, rows])
    pixels = ((2 * torch.rand(drawn, 2, generator=generator) - 1) * most).round().long()
    return pixels.expand(modalities, 2)


def shifted(slices: Tensor, pixels: Tensor) -> Tensor:
    """Move each modality; what comes in is 0.

    Args:
        slices: [M, Y, X].
        pixels: (to the right, down) of each, [M, 2].
    """
    result = torch.zeros_like(slices)
    rows, columns = slices.shape[-2:]
    for one, into, (right, down) in zip(slices, result, pixels.tolist(), strict=True):
        if abs(right) < columns and abs(down) < rows:
            into[_after(down, rows), _after(right, columns)] = one[
                _before(down, rows), _before(right, columns)
            ]
    return result


def augmented(
    slices: Tensor, settings: AugmentSettings, generator: torch.Generator, labels: int = 0
) -> Tensor:
    """Draw a shift and, where they are wanted, a size and a turn, and apply them to one slice.

    Args:
        slices: [M, Y, X].
        settings: how far.
        generator: the only source of chance; on the CPU.
        labels: how many of the last planes are labels, whose values are not mixed.
    """
    modalities, rows, columns = slices.shape
    moved = shifted(slices, draw_shift(settings, modalities, rows, columns, generator))
    if settings.scale:
        factor = 1 + settings.scale * (2 * float(torch.rand((), generator=generator)) - 1)
        split = modalities - labels
        parts = [scaled(moved[:split], factor), scaled(moved[split:], factor, "nearest")]
        moved = torch.cat([part for part in parts if len(part)])
    return turned(moved, generator) if settings.turned else moved


def turned(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Slices [M, Y, X], mirrored or not and turned by 0 to 3 quarters; by 0 or 2 if they are not square."""
    mirrored, quarters = (int(torch.randint(most, (), generator=generator)) for most in (2, 4))
    if slices.shape[-2] != slices.shape[-1]:
        quarters -= quarters % 2
    if mirrored:
        slices = slices.flip(-1)
    return slices.rot90(quarters, (-2, -1))


def scaled(slices: Tensor, factor: float, mode: str = "bilinear") -> Tensor:
    """Slices [M, Y, X] made larger (a factor above 1) or smaller around their centre; what comes in is 0."""
    if not len(slices):
        return slices
    matrix = torch.tensor([[1 / factor, 0.0, 0.0], [0.0, 1 / factor, 0.0]], dtype=slices.dtype)
    grid = F.affine_grid(matrix[None], [1, *slices.shape], align_corners=False)
    return F.grid_sample(slices[None], grid, mode=mode, padding_mode="zeros", align_corners=False)[0]


def _after(shift: int, length: int) -> slice:
    return slice(max(shift, 0), length + min(shift, 0))


def _before(shift: int, length: int) -> slice:
    return slice(max(-shift, 0), length - max(shift, 0))
