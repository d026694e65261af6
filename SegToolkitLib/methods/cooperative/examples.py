"""Hard examples of networks as they are, to look at; the training makes its own on the way (:mod:`step`)."""

from __future__ import annotations

import torch
from torch import Tensor

from SegToolkitLib.methods.cooperative.loss import image_loss, segmentation_loss
from SegToolkitLib.methods.cooperative.mask_settings import MaskSettings
from SegToolkitLib.methods.cooperative.masking import Masked, draw_kind, masked
from SegToolkitLib.methods.cooperative.network import Networks
from SegToolkitLib.methods.cooperative.settings import MaskingSettings
from SegToolkitLib.methods.cooperative.step import Examples
from SegToolkitLib.methods.cooperative.stn import exact_shape


def hard_examples(
    networks: Networks,
    images: Tensor,
    labels: Tensor,
    masking: MaskingSettings,
    generator: torch.Generator,
) -> Examples:
    """Decode masked codes of images; no gradient flows into the result, nor into the networks.

    In evaluation mode the norms' running statistics take the place of those of the batch, so the pictures are
    a little tamer than those of the training.

    Args:
        networks: whose codes are masked.
        images: clean ones, [N, channels, Y, X] within 0 and 1.
        labels: classes, int64 [N, Y, X].
        masking: which codes, and how.
        generator: of all that is drawn; on the CPU.
    """
    with torch.no_grad():
        codes = networks.encode(images)
    decoded: list[Tensor | None] = [None, None]
    masks: list[Masked | None] = [None, None]
    decoders = (networks.reconstruct, networks.segment)
    for index, settings in enumerate((masking.image, masking.shape)):
        if settings is None:
            continue
        kind = draw_kind(settings, generator)
        gradient = None
        if kind != "dropout":
            gradient = code_gradient(networks, codes[index], images, labels, settings, of_image=index == 0)
        made = masked(codes[index], kind, settings, generator, gradient)
        with torch.no_grad():
            masks[index], decoded[index] = made, decoders[index](made.code)
    return Examples(decoded[0], decoded[1], masks[0], masks[1])


def code_gradient(
    networks: Networks,
    code: Tensor,
    images: Tensor,
    labels: Tensor,
    settings: MaskSettings,
    of_image: bool,
) -> Tensor:
    """Gradient, in a code, of the loss that chooses what is masked; of the code's shape."""
    with torch.enable_grad():
        code = code.detach().requires_grad_()
        found = networks.reconstruct(code) if of_image else networks.segment(code)
        if settings.loss == "correlation":
            target = images if of_image else exact_shape(labels, networks.classes).to(images)
            loss = (found * target).mean()
        else:
            loss = image_loss(found, images) if of_image else segmentation_loss(found, labels)
        (gradient,) = torch.autograd.grad(loss, [code])
    return gradient
