"""Statistics of the norms, measured anew on what the networks see in use.

Running statistics lag behind weights that change fast, and those of the shape networks are mixed of labels
and predictions, while in use there are predictions alone. After a short training that costs much; ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from SegToolkitLib.methods.cooperative.network import Networks
from SegToolkitLib.methods.cooperative.norms import norms_of
from SegToolkitLib.methods.cooperative.stn import TEMPERATURE, soft_shape

# Images that are looked at.
IMAGES = 100

State = dict[str, Tensor]


@torch.no_grad()
def measured(
    networks: Networks, batches: Iterable[Tensor], device: torch.device, temperature: float = TEMPERATURE
) -> State:
    """Means over batches of the statistics of each batch; the networks stay as they are.

    Args:
        networks: on ``device``.
        batches: images [N, channels, Y, X] each; at least one.
        device: where to work.
        temperature: of what the shape networks see.

    Returns:
        Of the networks' state, what belongs to norms and is not learnt.
    """
    norms = norms_of(networks)
    kept, modes = statistics_of(networks), [(module, module.training) for module in networks.modules()]
    momenta = [norm.momentum for norm in norms]
    networks.eval()
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # each batch counts alike
    try:
        for images in batches:
            codes = networks.encode(images.to(device))
            networks.reconstruct(codes.image)
            networks.correct(soft_shape(networks.segment(codes.shape), temperature))
        return statistics_of(networks)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
        put(networks, kept)


@contextmanager
def replaced(networks: Networks, statistics: State) -> Iterator[None]:
    """The networks have these statistics meanwhile."""
    kept = statistics_of(networks)
    put(networks, statistics)
    try:
        yield
    finally:
        put(networks, kept)


def statistics_of(networks: Networks) -> State:
    """Copies of all statistics, by their names in the networks' state."""
    return {name: buffer.clone() for name, buffer in networks.named_buffers()}


def put(networks: Networks, statistics: State) -> None:
    """Give the networks these statistics."""
    buffers = dict(networks.named_buffers())
    for name, value in statistics.items():
        buffers[name].copy_(value)
