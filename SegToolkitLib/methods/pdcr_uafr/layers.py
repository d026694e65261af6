"""Where the layers of DeepLabV3+ lie in the image, and which of them take part in PDCR.

Source: Liu et al., arXiv 2201.08779, and the released code.
"""

from __future__ import annotations

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.pdcr import Layer
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrSettings
from SegToolkitLib.methods.pdcr_uafr.plan import CROSS_LAYERS, NetworkPlan
from SegToolkitLib.methods.pdcr_uafr.sampling import Cells

# Kernels (and strides) of the cross-layer heads; they bring layers 1 to 5 to stride 16 (output stride 16).
HEAD_KERNELS = dict(zip(CROSS_LAYERS, (8, 8, 4, 2, 1), strict=True))


def encoder_cells(output_stride: int = 16) -> list[Cells]:
    """How the cells of encoder layers 1 to 9 lie in the image, along either axis."""
    deep = output_stride == 8
    found = [Cells().after(3, stride=2)]
    found.append(found[-1].after(3))
    for stride in (2, 2, 1 if deep else 2):
        found.append(found[-1].after(3).after(3).after(3, stride))
    dilation = 2 if deep else 1
    for _ in range(4):
        found.append(found[-1].after(3, 1, dilation).after(3, 1, dilation).after(3, 1, dilation))
    return found


def decoder_cells() -> dict[str, Cells]:
    """The same of the decoder's features; the path through the pyramid, which sees all, is left out."""
    low = encoder_cells()[2].after(3)
    return {"low": low, "mid": low.after(3)}


def head_cells(layer: int, output_stride: int = 16) -> Cells:
    """The same of the cross-layer head of encoder layer 1 to 5."""
    kernel = HEAD_KERNELS[layer]
    return encoder_cells(output_stride)[layer - 1].after(kernel, kernel, padding=0)


def pdcr_layers(plan: NetworkPlan, settings: PdcrSettings, size: tuple[int, int]) -> list[Layer]:
    """The layers of the terms that count, as :class:`DeepLab` names its features.

    Args:
        plan: of the network.
        settings: of the regulariser.
        size: rows and columns of the images.

    Raises:
        SegToolkitError: "field-too-large": a receptive field does not fit the images; "small-image": a layer
            has no cell left inside its margin; "no-head": the network lacks a head that is asked for.
    """
    stride, weights = plan.output_stride, settings.weights_of_terms
    encoder, found = encoder_cells(stride), []
    if weights.encoder:
        for number, samples in zip(settings.encoder_layers, settings.encoder_samples, strict=True):
            cells = encoder[number - 1]
            found.append(Layer(f"encoder.{number}", "encoder", samples, settings.margin, (cells, cells)))
    if weights.decoder:
        for name, samples in settings.decoder_samples.items():
            cells = decoder_cells()[name]
            found.append(Layer(f"decoder.{name}", "decoder", samples, settings.margin, (cells, cells)))
    if weights.cross:
        for number, samples in zip(settings.cross_layers, settings.cross_samples, strict=True):
            if number not in plan.cross_heads:
                raise SegToolkitError(
                    "no-head",
                    f"The cross-layer term wants layer {number}, and the network has heads for "
                    f"{', '.join(map(str, plan.cross_heads)) or 'none'}.",
                    "Add the layer to network.cross_heads.",
                )
            cells = head_cells(number, stride)
            if settings.positions == "released":
                # The place that the same cell number would have among the layer's own cells.
                own = encoder[number - 1]
                cells = Cells(own.stride, own.field, settings.margin * own.stride)
            found.append(Layer(f"cross.{number}", "cross", samples, 0, (cells, cells)))
    for layer in found:
        _check(layer, settings, size)
    return found


def _check(layer: Layer, settings: PdcrSettings, size: tuple[int, int]) -> None:
    assert layer.cells is not None
    cells = layer.cells[0]
    if settings.labels == "receptive_field" and not cells.fits(size):
        raise SegToolkitError(
            "field-too-large",
            f"The receptive field of {layer.name} is {cells.field} pixels wide, and images are"
            f" {size[0]} x {size[1]}.",
            "Use larger images, layers nearer to the image, or small squares (labels: hierarchical).",
        )
    if layer.margin and min(size) <= 2 * layer.margin * cells.stride:
        raise SegToolkitError(
            "small-image",
            f"Images of {size[0]} x {size[1]} have no cell of {layer.name} in a margin of {layer.margin}.",
            f"Use more than {2 * layer.margin * cells.stride} rows and columns, or a smaller margin.",
        )
