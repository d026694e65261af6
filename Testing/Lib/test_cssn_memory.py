"""What the networks and the slabs around them take at most, counted from tensors that live at one time."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from SegToolkitLib.methods.cssn import forward as fast
from SegToolkitLib.methods.cssn import slabs
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import NetworkPlan, StagePlan

CPU = torch.device("cpu")
# Bytes of one map of 16 channels at 160^3 and at 192^3 in half precision.
MAP_160, MAP_192 = 16 * 160**3 * 2, 16 * 192**3 * 2


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that exist at one time, by watching every operation.

    Args:
        known: tensors that do not count.
    """

    def __init__(self, known: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, torch.Tensor):
                self._watch(tensor.untyped_storage())
        return result

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._seen:
            self._seen.add(key)
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._gone, key, storage.nbytes())

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size


def _peak(work: Callable[[], object], known: Iterable[torch.Tensor] = ()) -> int:
    with LiveBytes(known) as counter:
        work()
    return counter.peak


def test_the_count_sees_what_lives_together_and_what_is_gone() -> None:
    def work() -> None:
        first = torch.zeros(1000)
        first = first + 1
        second = first.view(10, 100)
        del first
        second.add_(torch.ones(100))

    assert _peak(work) == 2 * 4000


@pytest.mark.parametrize(
    ("kind", "size", "most"),
    # The plain forward passes hold 6.25 and 4 maps of 16 channels at once.
    [("unet", (64, 64, 64), 4.0), ("efficient", (64, 64, 128), 3.3)],
)
def test_the_largest_maps_do_not_pile_up(
    kind: Any, size: Any, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the released widths; what it means for a GPU follows from the size of a map."""
    # As many planes for each of the map's as there are at 160^3 on a GPU.
    monkeypatch.setattr(fast, "PLANES", 3)
    plan = StagePlan(network=NetworkPlan(kind=kind), size=size)
    network = fast.for_inference(build_network(plan, 13, seed=0), CPU, torch.float32)
    x = torch.randn(1, 1, *size)
    maps = _peak(lambda: fast.forward(network, x), network.parameters()) / (16 * x.numel() * 4)
    assert maps < most
    # In half precision at 160^3 that is this much, and a third of it is left of 2,052 MB for the libraries.
    assert most * (MAP_192 if kind == "efficient" else MAP_160) < 0.8e9


@pytest.mark.parametrize("size", [(400, 512, 512), (100, 300, 300)])
def test_nothing_of_the_size_of_the_volume_is_made_as_numbers(size: tuple[int, int, int]) -> None:
    # A view of one plane: the volume itself costs nothing here.
    voxels = np.broadcast_to(np.int16(7), size)
    shape = (160, 160, 160)
    assert _peak(lambda: slabs.resampled(voxels, shape, CPU)) < 16e6 + 6 * 4 * slabs.SLAB_VOXELS
    logits = torch.full((1, 32, 32, 32), -1.0)
    logits[:, 10:20, 8:9, 12:30] = 1.0
    for work in (
        lambda: slabs.organ_mask(logits[0], size, 0.0),
        lambda: slabs.best_organ(logits, size, 0.0),
        lambda: slabs.doubt(logits, size, 0.0),
    ):
        assert _peak(work) < 5 * 4 * slabs.SLAB_VOXELS
