"""Prepared slices and their features, kept from one question to the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from SegToolkitLib.methods.alpnet.predictor import Predictor
from SegToolkitLib.methods.alpnet.slices import Plane, SliceStack, to_slices
from SegToolkitLib.models.card import Preprocessing
from SegToolkitLib.volume import Volume

StackKey = tuple[int, Plane]


@dataclass
class SliceCache:
    """Slices of the volumes that were used last, for one model.

    A volume is known by the object, not by its voxels: who changes the voxels of a volume in place has
    to make a new Volume of them.

    Attributes:
        volumes: how many volumes' slices are kept.
        feature_bytes: features that are kept, on the network's device.
        encoded: how many slices have been sent through the network.
    """

    volumes: int = 3
    feature_bytes: int = 512 << 20
    encoded: int = 0
    _stacks: OrderedDict[StackKey, SliceStack] = field(default_factory=OrderedDict)
    _features: OrderedDict[tuple[int, int], Tensor] = field(default_factory=OrderedDict)
    _held: int = 0

    def stack(self, volume: Volume, preprocessing: Preprocessing, plane: Plane) -> SliceStack:
        """The slices of a volume, prepared once as long as they are kept."""
        # The stack holds its volume, so the id is not given away while the entry lives.
        key = (id(volume), plane)
        if key not in self._stacks:
            self._stacks[key] = to_slices(volume, preprocessing, plane)
        self._stacks.move_to_end(key)
        while len(self._stacks) > self.volumes:
            _, old = self._stacks.popitem(last=False)
            for entry in [entry for entry in self._features if entry[0] == id(old)]:
                self._drop(entry)
        return self._stacks[key]

    def features(self, stack: SliceStack, slices: Sequence[int], predictor: Predictor) -> Tensor:
        """Features [S, C, h, w] of slices of a stack; those that are kept are not encoded again."""
        known = {z: self._features[id(stack), z] for z in slices if (id(stack), z) in self._features}
        missing = [z for z in slices if z not in known]
        if missing:
            encoded = predictor.encode(stack.pixels[missing])
            self.encoded += len(missing)
            for z, features in zip(missing, encoded, strict=True):
                # A clone, because a row of a batch keeps the whole batch in memory.
                known[z] = features.clone()
        if any(kept is stack for kept in self._stacks.values()):
            for z in slices:
                self._keep((id(stack), z), known[z])
        return torch.stack([known[z] for z in slices])

    def _keep(self, entry: tuple[int, int], features: Tensor) -> None:
        if entry not in self._features:
            self._features[entry] = features
            self._held += features.nbytes
        self._features.move_to_end(entry)
        while self._held > self.feature_bytes and self._features:
            self._drop(next(iter(self._features)))

    def _drop(self, entry: tuple[int, int]) -> None:
        self._held -= self._features.pop(entry).nbytes
