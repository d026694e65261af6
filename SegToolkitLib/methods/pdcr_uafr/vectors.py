"""Feature vectors of a model, with the soft labels at their places.

PDCR draws feature vectors of alike soft labels together. This samples vectors of labelled images, so that
models that were trained with and without it can be compared by eye and by a number.
Source: Liu et al., arXiv 2201.08779 (soft labels).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.dataset.batch import Failures
from SegToolkitLib.dataset.dataset import Case
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.pdcr_uafr.layers import decoder_cells, encoder_cells, head_cells
from SegToolkitLib.methods.pdcr_uafr.network import DeepLab
from SegToolkitLib.methods.pdcr_uafr.pdcr import PDCR, Layer, Target, soft_labels
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrRules, PdcrSettings
from SegToolkitLib.methods.pdcr_uafr.reading import classes_in, read_slices
from SegToolkitLib.methods.pdcr_uafr.sampling import Cells, centres, every
from SegToolkitLib.methods.pdcr_uafr.segment import PdcrUafrSegmenter
from SegToolkitLib.methods.pdcr_uafr.slices import Pixels, Stack, normalised, resized, resized_classes
from SegToolkitLib.methods.pdcr_uafr.train import seeded
from SegToolkitLib.training.precision import autocast


@dataclass(frozen=True)
class Vectors:
    """Sampled feature vectors of one layer.

    Attributes:
        features: float32 [N, C].
        shares: soft labels, float32 [N, K], of the background and of the classes 1, 2, ...; each row sums to
            one. The share of a class in a square around the place, as mean over the sides 5, 7 and 9.
        cases: ids, N of them.
        voxels: int64 [N, 3], index (k, j, i) of the place in the case's image.
        images: int64 [N], number of the slice or picture among all that were looked at.
    """

    features: NDArray[np.float32]
    shares: NDArray[np.float32]
    cases: Sequence[str]
    voxels: NDArray[np.int64]
    images: NDArray[np.int64]

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class of the largest share, int64 [N]; 0 is the background."""
        return np.asarray(self.shares.argmax(1), np.int64)

    @classmethod
    def joined(cls, parts: Sequence[Vectors]) -> Vectors:
        """Several after one another."""
        features, shares, voxels, images = (
            np.concatenate([getattr(one, name) for one in parts])
            for name in ("features", "shares", "voxels", "images")
        )
        return cls(features, shares, [id for one in parts for id in one.cases], voxels, images)


@dataclass
class Gathered:
    """What was found in labelled images.

    Attributes:
        layers: name -> its vectors.
        images: slices and pictures that were looked at.
        empty: slices and pictures that show no structure, and were left out.
        failures: why a case could not be used.
    """

    layers: dict[str, Vectors] = field(default_factory=dict)
    images: int = 0
    empty: int = 0
    failures: Failures = field(default_factory=dict)


def layers_to_show(
    network: DeepLab, output_stride: int, settings: PdcrSettings, names: Sequence[str] = ()
) -> list[Layer]:
    """The layers that PDCR compares, or those that are named.

    Those of encoder and decoder are shown without the regulariser, too, so that models can be compared.

    Args:
        network: of the model.
        output_stride: of the network.
        settings: of the regulariser in the model's training.
        names: some of the network's features ("encoder.2"), or any part of it ("aspp.conv1").

    Raises:
        SegToolkitError: "no-layer".
    """
    if not names:
        names = [f"encoder.{number}" for number in settings.encoder_layers]
        names += [f"decoder.{name}" for name in settings.decoder_samples]
        if settings.weights_of_terms.cross:
            names += [f"cross.{number}" for number in settings.cross_layers]
            names = [name for name in names if name in network.features]
    known = {f"encoder.{n}": cells for n, cells in enumerate(encoder_cells(output_stride), start=1)}
    known |= {f"decoder.{name}": cells for name, cells in decoder_cells().items()}
    known |= {f"cross.{number}": head_cells(number, output_stride) for number in network.plan.cross_heads}
    parts = {name for name, _ in network.named_modules() if name}
    for name in names:
        if name not in known and name not in parts:
            raise SegToolkitError(
                "no-layer",
                f"The model has no layer {name!r}.",
                f"Name one of {', '.join(network.features)}, or a part of the network such as 'aspp.conv1'.",
            )
    return [
        Layer(name, cells=(known[name], known[name]) if name in known else None)
        for name in dict.fromkeys(names)
    ]


@torch.inference_mode()
def gather(
    segmenter: PdcrUafrSegmenter,
    cases: Sequence[Case],
    classes: Mapping[int, int],
    layers: Sequence[Layer],
    per_image: int = 32,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Gathered:
    """Sample feature vectors of labelled images: of each, as many of one class as of another.

    Which places are taken follows from the labels, the seed and the case alone, so that models of one input
    size are looked at in the same places.

    Args:
        segmenter: the model.
        cases: with labels.
        classes: label value of the data set -> class of the model.
        layers: of :func:`layers_to_show`.
        per_image: vectors of a layer for each slice or picture that shows a structure.
        seed: of what is drawn.
        reporter: hears of progress, and of cases that are left out.

    Raises:
        SegToolkitError: "no-features": a layer gives no map of features; "no-structure": no image shows a
            structure.
    """
    tell = reporter or Reporter()
    found = Gathered()
    parts: dict[str, list[Vectors]] = {layer.name: [] for layer in layers}
    for done, case in enumerate(cases, start=1):
        try:
            stack, values = read_slices(case, segmenter.plan.input)
            truth = classes_in(values, case, classes)
        except SegToolkitError as error:
            found.failures[case.id] = error
            tell.warning(f"Case {case.id} is left out: {error.message}", error.hint)
            continue
        shown = np.flatnonzero(truth.any(axis=(1, 2)))
        found.empty += len(truth) - len(shown)
        for number, pixels, masks in _chunks(segmenter, stack, truth, shown):
            features = _features(segmenter, pixels, layers)
            for at, k in enumerate(number):
                for order, layer in enumerate(layers):
                    generator = seeded(seed, zlib.crc32(case.id.encode()), int(k), order)
                    one = features[layer.name][at : at + 1]
                    taken = _sampled(layer, one, masks[at : at + 1], segmenter, per_image, generator)
                    voxels = _voxels(stack, int(k), taken[2], segmenter.plan.input.size)
                    image = np.full(len(voxels), found.images, np.int64)
                    ids = [case.id] * len(voxels)
                    parts[layer.name].append(Vectors(taken[0], taken[1], ids, voxels, image))
                found.images += 1
        tell.progress("gathering", done, len(cases))
    if found.images:
        found.layers = {name: Vectors.joined(some) for name, some in parts.items()}
    elif len(found.failures) < len(cases):
        raise SegToolkitError(
            "no-structure", "No image shows a structure of the model.", "Choose other cases, or label them."
        )
    return found


def _chunks(
    segmenter: PdcrUafrSegmenter, stack: Stack, truth: Pixels, shown: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], Tensor, Tensor]]:
    """Some slices at a time: their numbers, images as the network takes them, and classes at its size."""
    plan = segmenter.plan
    for start in range(0, len(shown), plan.inference.chunk):
        some = shown[start : start + plan.inference.chunk]
        images = normalised(resized(stack.pixels[some], plan.input.size), plan.input)
        masks = resized_classes(truth[some], plan.input.size)
        yield some, images.to(segmenter.device), torch.from_numpy(masks.astype(np.int64))


def _features(segmenter: PdcrUafrSegmenter, images: Tensor, layers: Sequence[Layer]) -> dict[str, Tensor]:
    """Name of a layer -> its features, float32 [B, C, y, x] on the CPU."""
    network = segmenter.network
    own = [layer.name for layer in layers if layer.name in network.features]
    others = [layer.name for layer in layers if layer.name not in network.features]
    with ExitStack() as stack:
        seen = stack.enter_context(PDCR(others).watch(network)) if others else {}
        stack.enter_context(autocast(segmenter.device, segmenter.precision))
        found = network.with_features(images, own)[1] | seen
    for layer in layers:
        one = found.get(layer.name)
        if not isinstance(one, Tensor) or one.ndim != 4:
            raise SegToolkitError(
                "no-features",
                f"Layer {layer.name!r} gives no map of features when an image is segmented.",
                f"Name another one, such as {', '.join(network.features[:3])}.",
            )
    return {layer.name: found[layer.name].float().cpu() for layer in layers}


def _sampled(
    layer: Layer,
    features: Tensor,
    masks: Tensor,
    segmenter: PdcrUafrSegmenter,
    count: int,
    generator: torch.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Vectors, shares and pixels (rows, columns at the network's size) of one image [1, C, y, x]."""
    grid, size = features.shape[2:], masks.shape[1:]
    cells = layer.cells or tuple(Cells(max(1, round(n / m))) for n, m in zip(size, grid, strict=True))
    layer = replace(layer, cells=cells)
    rules = PdcrRules(classes=segmenter.network.classes - 1)
    positions = every(grid, [1, 1])
    target = Target.of(masks, features, layer.name, rules)
    foreground = soft_labels(layer, positions, grid, target, rules)[0].mean(0)
    shares = torch.cat([(1 - foreground.sum(1, keepdim=True)).clamp(min=0), foreground], dim=1)
    taken = evenly(shares.argmax(1), count, generator)
    rows, columns = positions[taken].unbind(1)
    vectors = features[0][:, rows, columns].T
    pixels = centres(positions[taken], cells).clamp(min=0).minimum(torch.tensor(tuple(size)) - 1)
    return vectors.numpy(), shares[taken].numpy(), pixels.numpy()


def evenly(classes: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Numbers of ``count`` of N vectors (all, if there are fewer), of each class as many as there can be.

    Args:
        classes: int64 [N].
        count: wanted.
        generator: on the CPU.
    """
    order = torch.randperm(len(classes), generator=generator)
    rank = torch.empty_like(order)
    for one in classes.unique():
        mine = order[classes[order] == one]
        rank[mine] = torch.arange(len(mine))
    # The second of any class comes after the first of every one.
    return order[rank[order].argsort(stable=True)][:count]


def _voxels(stack: Stack, k: int, pixels: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.int64]:
    """Index (k, j, i) in the case's image of pixels (row, column) of a slice at the network's size."""
    upright = np.floor((pixels + 0.5) * np.array(stack.pixels.shape[1:3]) / size)
    indices = np.column_stack([upright[:, ::-1], np.full(len(upright), k)])
    found = stack.volume.grid.index(stack.upright.world(indices))
    return np.rint(found[:, ::-1]).astype(np.int64)
