"""UAFR in the networks of nnU-Net: a head behind each stage of the decoder, as the authors have it in v1.

Needed to predict with a model that was trained with UAFR; nothing of the losses is imported here.
Source: Liu et al., arXiv 2201.08779, and the released code.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.uafr import CONVOLUTIONS, UAFR, Norm

HEAD = "uafr"


def add_heads(network: nn.Module, norm: Norm = "batch") -> nn.Module:
    """Weigh the features of every decoder stage, before its segmentation layer and the next upsampling.

    The keys of the network stay what they are; those of the heads are ``decoder.stages.U.uafr.*``, U = 0 at
    the coarsest. Fresh heads begin like nnU-Net's own convolutions.

    Args:
        network: a U-Net of dynamic-network-architectures, 2-D or 3-D, plain or residual; is changed.
        norm: of the heads.

    Returns:
        The network.

    Raises:
        SegToolkitError: "not-a-unet".
    """
    encoder, stages = encoder_of(network), stages_of(network)
    dims = dims_of(encoder)
    # The decoder runs from the deepest stage but one to full resolution.
    widths = list(encoder.output_channels)[-2::-1]
    for stage, width in zip(stages, widths, strict=True):
        head = UAFR(width, norm=norm, dims=dims, inplace=True)
        begin_like(network, head)
        # A hook in place of a wrapper: nnU-Net and its tools find every tensor under its usual name.
        stage.add_module(HEAD, head)
        stage.register_forward_hook(_weighed)
    return network


def _weighed(stage: nn.Module, _given: Any, features: Tensor) -> Tensor:
    weighed: Tensor = stage.get_submodule(HEAD)(features)
    return weighed


def begin_like(network: nn.Module, part: nn.Module) -> None:
    """Give a part the weights that convolutions of the network begin with, if the network says which."""
    initialise: Any = getattr(network, "initialize", None)
    if initialise is not None:
        part.apply(initialise)


def encoder_of(network: nn.Module) -> Any:
    """The encoder of a U-Net.

    Raises:
        SegToolkitError: "not-a-unet".
    """
    encoder = getattr(network, "encoder", None)
    if not hasattr(encoder, "stages") or not hasattr(encoder, "output_channels"):
        raise _no_unet(network)
    return encoder


def stages_of(network: nn.Module) -> Any:
    """The stages of a U-Net's decoder, the coarsest first.

    Raises:
        SegToolkitError: "not-a-unet".
    """
    stages = getattr(getattr(network, "decoder", None), "stages", None)
    if stages is None:
        raise _no_unet(network)
    return stages


def dims_of(encoder: Any) -> int:
    """2 or 3, by the encoder's convolutions.

    Raises:
        SegToolkitError: "not-a-unet".
    """
    for dims, convolution in CONVOLUTIONS.items():
        if issubclass(encoder.conv_op, convolution):
            return dims
    raise _no_unet(encoder)


def head_name(key: str) -> str:
    """Name here of a tensor of a head in the authors' checkpoints (``att.U.*``); other names stay."""
    return re.sub(r"^att\.(\d+)\.", rf"decoder.stages.\1.{HEAD}.", key)


def _no_unet(network: object) -> SegToolkitError:
    return SegToolkitError(
        "not-a-unet",
        f"PDCR and UAFR need a U-Net with stages in encoder and decoder; this is {type(network).__name__}.",
        "Choose plans with a PlainConvUNet or a ResidualEncoderUNet, the usual ones of nnU-Net.",
    )
