"""Support: outlined slices of one or more volumes, encoded once and kept for every query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

MOST_STRUCTURES = 255
# Features [S, C, h, w] of slices of a stack.
Encode = Callable[[SliceStack, Sequence[int]], Tensor]


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

    def features(self, slices: Sequence[int], encode: Encode) -> Tensor:
        """Features [S, C, h, w] of the slices; each is encoded once in the life of this object."""
        missing = [z for z in slices if z not in self._features]
        if missing:
            for z, encoded in zip(missing, encode(self.stack, missing), strict=True):
                self._features[z] = encoded
        return torch.stack([self._features[z] for z in slices])

    def join(self, other: Source) -> None:
        """Take in the outlines of another source of the same volume; a later outline of a slice counts."""
        for structure in other.outlines:
            self.outlines.setdefault(structure, {}).update(other.outlines[structure])
            self.drawn.setdefault(structure, {}).update(other.drawn[structure])

    def is_volume(self, volume: Volume) -> bool:
        """Whether ``volume`` is the outlined volume itself."""
        own = self.stack.volume
        if own is volume:
            return True
        return own.same_grid(volume) and np.array_equal(own.voxels, volume.voxels)


def check_count(names: set[str]) -> None:
    """Refuse more structures than a label map can hold.

    Raises:
        SegToolkitError: "too-many-structures".
    """
    if len(names) > MOST_STRUCTURES:
        raise SegToolkitError(
            "too-many-structures",
            f"{len(names)} structures are outlined; a label map holds {MOST_STRUCTURES}.",
            "Name the ones that you want (structures, --structures).",
        )


def read_outlines(stack: SliceStack, masks: Mapping[str, Volume], slices: Sequence[int] | None) -> Source:
    """Cut the outlines of the chosen slices out of masks.

    Args:
        stack: slices of the support volume.
        masks: structure name -> 0/1 mask on the support volume's grid.
        slices: numbers of the outlined slices along the stack's axis; None takes every slice on which
            a structure is drawn.

    Raises:
        SegToolkitError: a slice lies outside the volume, or none of the structures is outlined on the
            slices. A structure that is outlined on none of them is left out as long as another is.
    """
    depth = len(stack)
    for z in slices or ():
        if not 0 <= z < depth:
            raise SegToolkitError(
                "slice-outside",
                f"Slice {z} does not exist: {stack.volume.name or 'the support'} has slices 0..{depth - 1}.",
                "Count slices from 0 along the slice axis.",
            )
    outlines: dict[str, dict[int, NDArray]] = {}
    drawn: dict[str, dict[int, NDArray]] = {}
    for name, mask in masks.items():
        own = np.moveaxis(mask.voxels, 2 - stack.axis, 0)
        looked_at = range(depth) if slices is None else list(slices)
        for z, outline in zip(looked_at, stack.label(mask, slices), strict=True):
            if outline.any():
                outlines.setdefault(name, {})[z] = outline
                drawn.setdefault(name, {})[z] = own[z] > 0
    if not outlines:
        missing = list(masks)
        where = "any slice" if slices is None else "slice " + ", ".join(map(str, slices))
        raise SegToolkitError(
            "empty-mask",
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not outlined on {where} of"
            f" {next(iter(masks.values())).name or 'the support mask'}.",
            "Outline the structure on the chosen slice, or choose a slice where it is outlined.",
        )
    return Source(stack, outlines, drawn)


@dataclass(frozen=True)
class Query:
    """What is known of the query when supports are matched to its slices.

    Attributes:
        stack: its slices.
        bounds: first and last slice of the structure, or None where the user gave no range.
        parts: how many slices of a fully outlined other volume are used.
    """

    stack: SliceStack
    bounds: tuple[int, int] | None
    parts: int = 3


def match(source: Source, structure: str, query: Query, query_slices: Sequence[int]) -> list[int]:
    """Support slice of a source for every query slice; see :mod:`matching` for the rules.

    Raises:
        SegToolkitError: the two volumes are sliced along different directions of the patient.
    """
    outlined = source.slices_of(structure)
    if source.is_volume(query.stack.volume):
        return [outlined[n] for n in by_nearest_slice(query_slices, outlined)]
    if len(outlined) > query.parts:
        outlined = support_slices(outlined, query.parts)
    depth = len(source.stack)
    places = list(outlined)
    if _runs_backwards(source.stack, query.stack):
        # One volume is stored head first and the other feet first: count the support from its other end.
        outlined = outlined[::-1]
        places = [depth - 1 - z for z in outlined]
    if query.bounds is not None:
        return [outlined[n] for n in by_chunk(query_slices, *query.bounds, len(outlined))]
    chosen = by_relative_position(query_slices, len(query.stack), places, depth)
    return [outlined[n] for n in chosen]


def _runs_backwards(support: SliceStack, query: SliceStack) -> bool:
    """Whether slice numbers of the two grow in opposite directions of the patient."""
    ours, theirs = support.prepared.volume.orientation[2], query.prepared.volume.orientation[2]
    if ours == theirs:
        return False
    if {ours, theirs} in ({"L", "R"}, {"A", "P"}, {"S", "I"}):
        return True
    raise SegToolkitError(
        "planes-differ",
        f"{query.volume.name or 'The query'} and {support.volume.name or 'the support'} are sliced along"
        f" different directions ({theirs} and {ours}), so their slices cannot be compared.",
        "Choose one plane for both (--plane axial, coronal or sagittal).",
    )


@dataclass
class PrototypeCache:
    """Prototypes of a structure for a set of support slices, computed once."""

    predictor: Predictor
    encode: Encode
    sources: list[Source]
    reject: float | None = None
    _known: dict[tuple, StructurePrototypes] = field(default_factory=dict)

    def get(self, structure: str, shots: tuple[tuple[int, int], ...]) -> StructurePrototypes:
        """Prototypes from shots (index of the source, slice), pooled over the shots."""
        key = (structure, shots)
        if key not in self._known:
            pairs = [
                (
                    self.sources[index].features([z], self.encode)[0],
                    self.sources[index].outlines[structure][z],
                )
                for index, z in shots
            ]
            self._known[key] = self.predictor.describe(pairs, self.reject)
        return self._known[key]
