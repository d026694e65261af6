"""All slices of a case through all networks of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.methods.cmer.maps import SliceMaps, agreement, fused, slice_maps
from SegToolkitLib.methods.cmer.network import CamNetwork, Networks
from SegToolkitLib.methods.cmer.plan import InputPlan, MapPlan, Supervision

# Slices that go through a network at once.
CHUNK = 16
# Called with (done, total) slices of all networks.
Progress = Callable[[int, int], None]
# What a network has made of a case, by the network: seeds may share some.
Known = dict[int, SliceMaps]


class Seen(NamedTuple):
    """What the networks make of all slices of a case, on the CPU.

    Attributes:
        logits: [M, Z, classes].
        present: whether the network sees the object, bool [M, Z].
        maps: not gated, [M, Z, Y, X].
        blank: maps without a positive pixel, bool [M, Z].
    """

    logits: Tensor
    present: Tensor
    maps: Tensor
    blank: Tensor

    def shown(self, gate: bool) -> Tensor:
        """The maps, blank where the object is said to be absent."""
        return self.maps * self.present[..., None, None] if gate else self.maps


def see(
    networks: Networks,
    pixels: NDArray[np.float32],
    constant: NDArray[np.bool_],
    fit: InputPlan,
    plan: MapPlan,
    device: torch.device,
    chunk: int = CHUNK,
    supervision: Supervision = "tags",
    known: Known | None = None,
    progress: Progress | None = None,
) -> Seen:
    """Send all slices of a case through all networks.

    Args:
        networks: in evaluation mode, on ``device``.
        pixels: raw, [Z, M, Y, X].
        constant: slices [Z, M] in which nothing can be seen: they count as without the object (ours).
        fit, plan: of the model.
        device: where to compute.
        chunk: slices at once.
        supervision: what has taught the networks; after masks there is one, which sees all modalities.
        known: what networks have made of this case already; is added to.
        progress: is told of slices that are done.
    """
    known = {} if known is None else known
    fresh = [network for network in networks if id(network) not in known]
    total, parts = len(fresh) * len(pixels), pixels.shape[1] // len(networks)
    done = 0

    def tell(slices: int) -> None:
        nonlocal done
        done += slices
        if progress is not None:
            progress(done, total)

    for number, network in enumerate(networks):
        assert isinstance(network, CamNetwork)
        if id(network) not in known:
            own = pixels[:, number * parts : (number + 1) * parts]
            known[id(network)] = _through(network, own, fit, plan, device, chunk, supervision, tell)
    each = [known[id(network)] for network in networks]
    empty = torch.from_numpy(np.array(constant.T))
    # A network that sees all modalities sees something where any of them shows something.
    empty = empty if len(each) == len(empty) else empty.all(0, keepdim=True)
    logits = torch.stack([one.logits for one in each if one.logits is not None])
    blank = torch.stack([one.blank for one in each if one.blank is not None])
    present = torch.stack([one.present for one in each]) & ~empty
    maps = torch.stack([one.maps for one in each]) * ~empty[..., None, None]
    if plan.scale == "volume" and supervision == "tags":
        peaks = torch.stack([one.peak for one in each if one.peak is not None])
        maps = maps * over_slices(peaks, present)[..., None, None]
    return Seen(logits, present, maps, blank)


def over_slices(peaks: Tensor, present: Tensor) -> Tensor:
    """How much of the whole range belongs to each slice's map, 0 to 1, [M, Z].

    Args:
        peaks: largest evidence of each slice [M, Z].
        present: slices that are taken to show the object, bool [M, Z]: the strongest of them reaches 1. Where
            there is none, all slices count.
    """
    counted = torch.where(present.any(1, keepdim=True), peaks * present, peaks)
    most = counted.amax(1, keepdim=True)
    return torch.where(most > 0, peaks / most.clamp(min=torch.finfo(peaks.dtype).tiny), 1).clamp(max=1)


def named_maps(names: tuple[str, ...], shown: Tensor) -> dict[str, NDArray[np.float32]]:
    """Maps by their names, the fused one last.

    Args:
        names: of the plan (``map_names``): of each network and of the fused map, or of the one network.
        shown: maps of the networks [M, Z, Y, X].
    """
    every = [*shown, fused(shown)] if len(names) > 1 else [shown[0]]
    return {name: one.numpy() for name, one in zip(names, every, strict=True)}


def slice_agreement(maps: Tensor, present: Tensor) -> list[float | None]:
    """How far maps agree in each slice: the mean soft Dice of all pairs.

    Args:
        maps: as they are shown, [M, Z, Y, X].
        present: which of them see the object there, bool [M, Z].

    Returns:
        0 to 1 for each slice; None where nobody sees the object, or there is but one map.
    """
    if len(maps) < 2:
        return [None] * maps.shape[1]
    somebody = present.any(0) & (maps.flatten(2).amax(-1) > 0).any(0)
    values = agreement(maps).tolist()
    return [value if seen else None for value, seen in zip(values, somebody.tolist(), strict=True)]


@torch.no_grad()
def _through(
    network: CamNetwork,
    pixels: NDArray[np.float32],
    fit: InputPlan,
    plan: MapPlan,
    device: torch.device,
    chunk: int,
    supervision: Supervision,
    tell: Callable[[int], None],
) -> SliceMaps:
    """One network's maps of all slices [Z, channels, Y, X], on the CPU."""
    chunks = []
    for start in range(0, len(pixels), chunk):
        slices = torch.from_numpy(np.array(pixels[start : start + chunk]))
        found = slice_maps(network, slices.to(device), fit, plan, supervision)
        chunks.append([one.cpu() for one in found if one is not None])
        tell(len(slices))
    return SliceMaps(*(torch.cat(part) for part in zip(*chunks, strict=True)))
