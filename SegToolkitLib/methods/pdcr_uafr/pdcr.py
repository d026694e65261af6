"""PDCR: a loss on hidden features that goes onto any network; nothing of it is needed at inference.

Each sampled feature vector has a soft label, the share of foreground in the mask around its position. The
loss draws vectors of alike shares together and pushes others apart, within layers of the encoder, within
layers of the decoder, and across layers.
Source: Liu et al., arXiv 2201.08779, and the released code.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.loss import cross_loss, single_loss
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrRules, Weights
from SegToolkitLib.methods.pdcr_uafr.sampling import Cells, centres, every, jittered, raster
from SegToolkitLib.methods.pdcr_uafr.soft_labels import (
    cut_short,
    fields,
    foreground,
    ranked_shares,
    shares,
    squares,
    transposed,
)
from SegToolkitLib.methods.pdcr_uafr.uafr import CONVOLUTIONS, NORMS, Norm, submodule

TermName = Literal["encoder", "decoder", "cross"]
DAMPED_ABOVE, DAMPED_BY = 100.0, 1000.0


@dataclass(frozen=True)
class Layer:
    """Features that take part.

    Attributes:
        name: of the part of the network that puts them out, or whatever they are handed over as.
        term: that they belong to. A cross-layer term compares all its layers by twos, in their order.
        samples: vectors taken.
        margin: cells cut off each side first.
        cells: how cells lie in the image, for each axis; None takes the stride from the sizes of features
            and masks, and pixel 0 for the centre of cell 0. Receptive fields must be told.
        steps: take every so-manieth cell on each axis in place of ``samples``, as in 3-D.
        channels: of the features, where they are to be projected before they are compared across layers.
    """

    name: str
    term: TermName = "encoder"
    samples: int = 32
    margin: int = 0
    cells: tuple[Cells, ...] | None = None
    steps: tuple[int, ...] | None = None
    channels: int | None = None


class Terms(NamedTuple):
    """Scalars, not yet weighted; 0 where a term has no layers."""

    encoder: Tensor
    decoder: Tensor
    cross: Tensor

    def weighted(self, weights: Weights, damped: bool = False) -> Tensor:
        """Sum of the terms that count.

        Args:
            weights: of the terms.
            damped: divide a weighted term above 100 by 1000, as the code did that the published numbers are
                probably from.
        """
        total = self.encoder.new_zeros(())
        for name, term in self._asdict().items():
            part = getattr(weights, name) * term
            if damped:
                part = torch.where(part.detach() > DAMPED_ABOVE, part / DAMPED_BY, part)
            total = total + part
        return total


class PDCR(nn.Module):
    """The regulariser; it has weights of its own where layers are projected (``parameters()``).

    Args:
        layers: that take part; a bare name is a layer of the encoder.
        rules: how vectors are compared.
        width: channels of projections.
        norm: of projections.
        dims: 2 or 3, for projections.

    Raises:
        SegToolkitError: "bad-layers": none, or a cross-layer term of one layer.
    """

    def __init__(
        self,
        layers: Sequence[Layer | str],
        rules: PdcrRules | None = None,
        *,
        width: int = 32,
        norm: Norm = "batch",
        dims: int = 2,
    ) -> None:
        super().__init__()
        self.rules = rules or PdcrRules()
        self.layers = tuple(Layer(one) if isinstance(one, str) else one for one in layers)
        crossing = [layer for layer in self.layers if layer.term == "cross"]
        if not self.layers or len(crossing) == 1:
            raise SegToolkitError(
                "bad-layers",
                f"PDCR got {len(self.layers)} layers, {len(crossing)} of them for the cross-layer term.",
                "Name one layer or more; the cross-layer term compares two or more.",
            )
        self.projections = nn.ModuleList(
            projection(layer.channels, width, norm, dims)
            if layer.term == "cross" and layer.channels
            else nn.Identity()
            for layer in self.layers
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features that are needed, each once."""
        return tuple(dict.fromkeys(layer.name for layer in self.layers))

    @contextmanager
    def watch(self, network: nn.Module) -> Iterator[dict[str, Tensor]]:
        """Gather the outputs of the layers while the block runs; the network keeps nothing.

        Args:
            network: that the layers' names are of.

        Yields:
            Name -> output of the last forward pass, with its graph.

        Raises:
            SegToolkitError: "no-layer".
        """
        found: dict[str, Tensor] = {}

        def keep(name: str) -> Any:
            def hook(_module: nn.Module, _given: Any, output: Any) -> None:
                found[name] = output

            return hook

        parts = [(name, submodule(network, name)) for name in self.names]
        handles = [part.register_forward_hook(keep(name)) for name, part in parts]
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()

    def forward(
        self,
        features: Mapping[str, Tensor],
        masks: Tensor,
        generator: torch.Generator | None = None,
    ) -> Terms:
        """The three terms of a batch.

        Args:
            features: name -> [B, C, Y, X] (or [B, C, Z, Y, X]).
            masks: labels [B, Y, X] or [B, 1, Y, X] at the images' resolution; or regions [B, R, Y, X] of 0
                and 1 with R > 1, which may overlap. Likewise in 3-D.
            generator: of what is drawn, on the CPU; only "jittered" samplers need one.

        Raises:
            SegToolkitError: "no-features", "shape", "empty-grid", "no-field", "no-generator".
        """
        known: dict[str, list[tuple[Tensor, Tensor]]] = {"encoder": [], "decoder": [], "cross": []}
        for layer, project in zip(self.layers, self.projections, strict=True):
            found = _map_of(features, layer.name)
            positions = sample(layer, found.shape[2:], self.rules, generator)
            target = Target.of(masks, found, layer.name, self.rules)
            ratios = soft_labels(layer, positions, found.shape[2:], target, self.rules)
            chosen = (positions + layer.margin).to(found.device).unbind(1)
            vectors = project(found)[(slice(None), slice(None), *chosen)]
            known[layer.term].append((vectors, ratios))
        zero = next(iter(features.values())).new_zeros((), dtype=torch.float32)
        single = {
            term: sum(
                (single_loss(v, r, self.rules.temperature, **self._forms) for v, r in known[term]), zero
            )
            for term in ("encoder", "decoder")
        }
        cross = zero
        for (first, its), (second, others) in itertools.combinations(known["cross"], 2):
            loss = cross_loss(first, second, its, others, self.rules.temperature, **self._forms)
            cross = cross + loss
        if self.rules.over_layers == "mean":
            single = {term: loss / max(1, len(known[term])) for term, loss in single.items()}
            cross = cross / max(1, len(known["cross"]))
        return Terms(single["encoder"], single["decoder"], cross)

    @property
    def _forms(self) -> dict[str, Any]:
        rules = self.rules
        average = rules.weights if rules.mode == "average" and rules.labels == "hierarchical" else None
        return {
            "average": average,
            "form": rules.form,
            "reduction": rules.reduction,
            "largest": rules.largest,
        }


def sample(
    layer: Layer, grid: Sequence[int], rules: PdcrRules, generator: torch.Generator | None = None
) -> Tensor:
    """Cells of a layer that take part, counted inside its margin: int64 [N, axes]."""
    inner = [n - 2 * layer.margin for n in grid]
    if layer.steps is not None:
        return every(inner, layer.steps)
    kind = rules.cross_sampler if layer.term == "cross" else rules.sampler
    if kind == "raster":
        return raster(inner, layer.samples)
    if generator is None:
        raise SegToolkitError(
            "no-generator",
            f"Cells of layer {layer.name!r} are drawn at random, and no generator was given.",
            "Give a seeded torch.Generator, or choose the sampler 'raster'.",
        )
    return jittered(inner, layer.samples, generator)


def projection(channels: int, width: int = 128, norm: Norm = "batch", dims: int = 3) -> nn.Sequential:
    """1 x 1 convolution, norm and ReLU, after which features of several layers have the same channels."""
    options = {"affine": True} if norm == "instance" else {}
    return nn.Sequential(
        CONVOLUTIONS[dims](channels, width, 1), NORMS[norm, dims](width, **options), nn.ReLU()
    )


@dataclass(frozen=True)
class Target:
    """What soft labels are counted in.

    Attributes:
        regions: foreground, bool [B, Q, ...].
        labels: whole numbers [B, ...]; None where overlapping regions were given.
        ignored: bool [B, ...]; None where nothing is.
    """

    regions: Tensor
    labels: Tensor | None = None
    ignored: Tensor | None = None

    @classmethod
    def of(cls, masks: Tensor, found: Tensor, name: str, rules: PdcrRules) -> Target:
        """Of masks as :class:`PDCR` takes them, for features ``found``."""
        if masks.ndim not in (found.ndim - 1, found.ndim) or len(masks) != len(found):
            raise SegToolkitError(
                "shape",
                f"Features {name!r} of the shape {tuple(found.shape)} and masks of {tuple(masks.shape)} do"
                " not go together.",
                "Give masks as [B, Y, X] or [B, Z, Y, X], for the same batch.",
            )
        if masks.ndim == found.ndim and masks.shape[1] > 1:
            return cls(masks != 0)
        labels = masks[:, 0] if masks.ndim == found.ndim else masks
        ignored = None if rules.ignore is None else labels == rules.ignore
        return cls(foreground(labels, rules.classes), labels, ignored)


def soft_labels(
    layer: Layer, positions: Tensor, grid: Sequence[int], target: Target, rules: PdcrRules
) -> Tensor:
    """Shares of the foreground around cells of a layer: float32 [B, P, N, Q].

    Args:
        layer: that the cells are of.
        positions: int64 [N, axes], counted inside the layer's margin.
        grid: cells of the whole feature map on each axis.
        target: of the batch.
        rules: of the regulariser.

    Raises:
        SegToolkitError: "no-field": receptive fields are wanted, and the layer does not say its own.
    """
    size = target.regions.shape[2:]
    released = rules.positions == "released"
    cells = layer.cells or tuple(Cells(max(1, round(n / m))) for n, m in zip(size, grid, strict=True))
    middle = centres(positions, cells, layer.margin)
    if rules.labels == "hierarchical":
        boxes = squares(middle, rules.patch_sizes)
        boxes = transposed(boxes) if released else boxes
        return shares(target.regions, boxes, rules.denominator, target.ignored)
    if layer.cells is None:
        raise SegToolkitError(
            "no-field",
            f"The receptive field of layer {layer.name!r} is not told.",
            "Give the layer its 'cells', or choose small squares (labels: hierarchical).",
        )
    boxes = fields(middle, [one.field for one in cells])
    if released and len(size) == 3 and target.labels is not None:
        return ranked_shares(target.labels, boxes, rules.classes)
    if released:
        boxes = cut_short(boxes, size)
    return shares(target.regions, boxes, rules.denominator, target.ignored)


def _map_of(features: Mapping[str, Tensor], name: str) -> Tensor:
    found = features.get(name)
    if not isinstance(found, Tensor) or found.ndim not in (4, 5):
        raise SegToolkitError(
            "no-features",
            f"There are no features [B, C, Y, X] or [B, C, Z, Y, X] of the name {name!r}.",
            f"Run the network first; known are {', '.join(features) or 'none'}.",
        )
    return found
