"""What changes a training slice before the step: a shift by whole pixels, the same for all modalities.

Source: released code of WSS-CMER, which draws it for each modality by itself.
"""

from __future__ import annotations

import torch
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


def augmented(slices: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Draw a shift and apply it to one slice [M, Y, X]."""
    modalities, rows, columns = slices.shape
    return shifted(slices, draw_shift(settings, modalities, rows, columns, generator))


def _after(shift: int, length: int) -> slice:
    return slice(max(shift, 0), length + min(shift, 0))


def _before(shift: int, length: int) -> slice:
    return slice(max(-shift, 0), length - max(shift, 0))
