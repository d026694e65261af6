"""Support: outlined slices of one or more volumes, encoded once and kept for every query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.matching import by_chunk, by_nearest_slice, by_relative_position
from SegToolkitLib.methods.alpnet.predictor import Predictor, StructurePrototypes
from SegToolkitLib.methods.alpnet.protocol import support_slices
from SegToolkitLib.methods.alpnet.slices import SliceStack
from SegToolkitLib.volume import Volume


@dataclass
class Source:
    """One volume with outlines.

    Attributes:
        stack: its slices.
        outlines: structure name -> slice -> mask [H, W] (uint8) in the stack's pixels.
        drawn: structure name -> slice -> mask in the volume's own voxels, to be returned as drawn.
    """

    stack: SliceStack
    outlines: dict[str, dict[int, NDArray]]
    drawn: dict[str, dict[int, NDArray]]
    _features: dict[int, Tensor] = field(default_factory=dict)

    def slices_of(self, structure: str) -> list[int]:
        """Outlined slices of a structure, ascending."""
        return sorted(self.outlines.get(structure, {}))

    def features(self, slices: Sequence[int], predictor: Predictor) -> Tensor:
        """Features [S, C, h, w] of the slices; each is encoded once in the life of this object."""
        missing = [z for z in slices if z not in self._features]
        if missing:
            for z, encoded in zip(missing, predictor.encode(self.stack.pixels[missing]), strict=True):
                self._features[z] = encoded
        return torch.stack([self._features[z] for z in slices])

    def is_volume(self, volume: Volume) -> bool:
        """Whether ``volume`` is the outlined volume itself."""
        own = self.stack.volume
        if own is volume:
            return True
        return own.same_grid(volume) and np.array_equal(own.voxels, volume.voxels)


def read_outlines(
    stack: SliceStack, label: Volume, structures: dict[int, str], slices: Sequence[int] | None
) -> Source:
    """Cut the outlines of the chosen slices out of a label.

    Args:
        stack: slices of the support volume.
        label: label map on the support volume's grid.
        structures: label value -> name.
        slices: numbers of the outlined slices along the stack's axis; None takes every slice on which
            a structure is drawn.

    Raises:
        SegToolkitError: a slice lies outside the volume, or nothing is outlined on the slices.
    """
    depth = len(stack)
    for z in slices or ():
        if not 0 <= z < depth:
            raise SegToolkitError(
                "slice-outside",
                f"Slice {z} does not exist: {stack.volume.name or 'the support'} has slices 0..{depth - 1}.",
                "Count slices from 0 along the slice axis.",
            )
    own = np.moveaxis(label.voxels, 2 - stack.axis, 0)
    outlines: dict[str, dict[int, NDArray]] = {}
    drawn: dict[str, dict[int, NDArray]] = {}
    for value, name in structures.items():
        binary = (label.voxels == value).astype(np.uint8)
        prepared = stack.label(label.with_voxels(binary))
        for z in range(depth) if slices is None else slices:
            if prepared[z].any():
                outlines.setdefault(name, {})[z] = prepared[z]
                drawn.setdefault(name, {})[z] = own[z] == value
    missing = [name for name in structures.values() if name not in outlines]
    if missing:
        where = "any slice" if slices is None else "slice " + ", ".join(map(str, slices))
        raise SegToolkitError(
            "empty-mask",
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not outlined on {where} of"
            f" {label.name or 'the support mask'}.",
            "Outline the structure on the chosen slice, or choose a slice where it is outlined.",
        )
    return Source(stack, outlines, drawn)


@dataclass(frozen=True)
class Query:
    """What is known of the query when supports are matched to its slices.

    Attributes:
        volume: the query.
        depth: its number of slices.
        bounds: first and last slice of the structure, or None where the user gave no range.
        parts: how many slices of a fully outlined other volume are used.
    """

    volume: Volume
    depth: int
    bounds: tuple[int, int] | None
    parts: int = 3


def match(source: Source, structure: str, query: Query, query_slices: Sequence[int]) -> list[int]:
    """Support slice of a source for every query slice; see :mod:`matching` for the rules."""
    outlined = source.slices_of(structure)
    if source.is_volume(query.volume):
        return [outlined[n] for n in by_nearest_slice(query_slices, outlined)]
    if len(outlined) > query.parts:
        outlined = support_slices(outlined, query.parts)
    if query.bounds is not None:
        return [outlined[n] for n in by_chunk(query_slices, *query.bounds, len(outlined))]
    chosen = by_relative_position(query_slices, query.depth, outlined, len(source.stack))
    return [outlined[n] for n in chosen]


@dataclass
class PrototypeCache:
    """Prototypes of a structure for a set of support slices, computed once."""

    predictor: Predictor
    sources: list[Source]
    reject: float | None = None
    _known: dict[tuple, StructurePrototypes] = field(default_factory=dict)

    def get(self, structure: str, shots: tuple[tuple[int, int], ...]) -> StructurePrototypes:
        """Prototypes from shots (index of the source, slice), pooled over the shots."""
        key = (structure, shots)
        if key not in self._known:
            pairs = [
                (
                    self.sources[index].features([z], self.predictor)[0],
                    self.sources[index].outlines[structure][z],
                )
                for index, z in shots
            ]
            self._known[key] = self.predictor.describe(pairs, self.reject)
        return self._known[key]
