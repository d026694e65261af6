"""One training iteration of all modalities' networks: both views, and the losses.

Source: Patel and Dolz 2022 and the released code, which steps each network's optimiser in turn. All forward
passes come first, and other modalities are constants to a loss, so one backward pass of the sum is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from SegToolkitLib.methods.cmer.loss import Terms, View, Views, losses
from SegToolkitLib.methods.cmer.maps import blank, evidence
from SegToolkitLib.methods.cmer.network import Activation, Networks
from SegToolkitLib.methods.cmer.normalise import normalised
from SegToolkitLib.methods.cmer.settings import CmerSettings
from SegToolkitLib.methods.cmer.transforms import Transform, draw


@dataclass(frozen=True)
class Step:
    """What became of a batch; sequences are in the order of the modalities.

    Attributes:
        total: sum of all modalities' losses; its backward pass gives each network the gradient of its own.
        terms: scalars without gradient.
        accuracy: share of slices whose tag the network finds, in the first view.
        blank: share of the slices with the object whose map has no positive pixel, in the first view; NaN
            where there is no such slice. Where it stays high the maps will be useless, however good the
            accuracy.
        transform: that was applied.
    """

    total: Tensor
    terms: tuple[Terms, ...]
    accuracy: tuple[Tensor, ...]
    blank: tuple[Tensor, ...]
    transform: Transform


def training_step(
    networks: Networks,
    slices: Tensor,
    tags: Tensor,
    settings: CmerSettings,
    generator: torch.Generator,
    transform: Transform | None = None,
) -> Step:
    """Losses of a batch, up to the backward pass; running statistics of the networks' norms change (twice).

    Args:
        networks: in training mode.
        slices: raw, [N, M, Y, X] in any unit, registered; with several channels a modality [N, M * channels,
            Y, X], those of a modality side by side.
        tags: int64 [N]; 1 the object is visible, 0 it is not.
        settings: of loss, transform, input and maps.
        generator: of the transform; on the CPU, so that a seed means the same on every device.
        transform: None draws it.
    """
    rows, columns = slices.shape[-2:]
    if transform is None:
        transform = draw(settings.transform, len(slices), rows, columns, generator)
    first = _see(networks, slices, settings)
    raw = [evidence(one.cam, settings.maps.source) for one in first]
    moved = [transform(normalised(one)[:, None])[:, 0] for one in raw]
    # From raw values again: what a shift brings in takes part in mean and deviation.
    second = _see(networks, transform(slices), settings)
    views = [
        Views(
            View(one.logits, maps),
            View(two.logits, normalised(evidence(two.cam, settings.maps.source))),
        )
        for one, two, maps in zip(first, second, moved, strict=True)
    ]
    terms = losses(views, tags, settings.loss)
    return Step(
        total=torch.stack([one.total for one in terms]).sum(),
        terms=tuple(one.detached() for one in terms),
        accuracy=tuple((one.logits.argmax(1) == tags).float().mean() for one in first),
        blank=tuple(blank(one.detach())[tags == 1].float().mean() for one in raw),
        transform=transform,
    )


def _see(networks: Networks, slices: Tensor, settings: CmerSettings) -> list[Activation]:
    parts = slices.chunk(len(networks), dim=1)
    return [networks.see(index, part, settings.input) for index, part in enumerate(parts)]
