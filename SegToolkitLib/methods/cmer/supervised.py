"""The second stage: one step of a network that learns masks, pixel by pixel.

Ours; cross-entropy with Dice is what supervised segmentation commonly learns by (Milletari et al., 3DV 2016;
Isensee et al., Nature Methods 2021).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from SegToolkitLib.methods.cmer.data import OPEN
from SegToolkitLib.methods.cmer.maps import OBJECT
from SegToolkitLib.methods.cmer.network import Networks
from SegToolkitLib.methods.cmer.settings import CmerSettings
from SegToolkitLib.methods.cmer.transforms import draw

# Of the Dice of a batch without the object: a few pixels' worth, so that few false pixels cost little.
SMOOTH = 1.0
HALF = 0.5


def masks_step(
    networks: Networks, slices: Tensor, masks: Tensor, settings: CmerSettings, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a batch, up to the backward pass. The transform of both views serves as augmentation.

    Args:
        networks: the one network, in training mode.
        slices: raw, [N, M, Y, X] in any unit, registered; the modalities are its channels.
        masks: uint8 [N, Y, X]: 0 and 1, and :data:`OPEN` where a pixel has no say.
        settings: of loss, transform and input.
        generator: of the transform; on the CPU.

    Returns:
        The loss, and what to log: "loss", "ce", "dice" (the soft Dice, not its loss), without gradient.
    """
    rows, columns = slices.shape[-2:]
    transform = draw(settings.transform, len(slices), rows, columns, generator)
    shown = torch.stack([masks == OBJECT, masks == OPEN], 1).to(slices.dtype)
    shown = transform(shown)
    target, open_ = (shown[:, 0] > HALF).long(), shown[:, 1] > HALF
    cam = networks.see(0, transform(slices), settings.input).cam
    if cam.shape[-2:] != target.shape[-2:]:
        cam = F.interpolate(cam, target.shape[-2:], mode="bilinear", align_corners=False)
    ce, dice = pixel_terms(cam, target, open_)
    total = settings.loss.ce_weight * ce + settings.loss.dice_weight * (1 - dice)
    return total, {"loss": total.detach(), "ce": ce.detach(), "dice": dice.detach()}


def pixel_terms(logits: Tensor, target: Tensor, left_open: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy, and soft Dice of the object over the whole batch, of pixels that have a say.

    Args:
        logits: [N, classes, Y, X].
        target: 0 or 1, int64 [N, Y, X].
        left_open: pixels without a say, bool [N, Y, X].
    """
    said = (~left_open).to(logits.dtype)
    ce = (F.cross_entropy(logits, target, reduction="none") * said).sum() / said.sum().clamp(min=1)
    found = logits.softmax(1)[:, OBJECT] * said
    wanted = target.to(logits.dtype) * said
    dice = (2 * (found * wanted).sum() + SMOOTH) / (found.sum() + wanted.sum() + SMOOTH)
    return ce, dice
