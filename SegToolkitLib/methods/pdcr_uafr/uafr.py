"""UAFR: features are weighed by how sure the network is of them; a head for any network, in 2-D and 3-D.

The head divides each place of a feature map among a few pseudo-classes that nobody names. One minus the
entropy of that, in parts of the largest there can be, is the confidence c, and the features become
f (1 + c). Nothing but the task's own loss teaches the head. The confidence says nothing of a result's error.
Source: Liu et al., arXiv 2201.08779 (there UAFS), and the released code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError

Norm = Literal["batch", "instance"]
CONVOLUTIONS: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
NORMS: dict[tuple[str, int], Any] = {
    ("batch", 2): nn.BatchNorm2d,
    ("batch", 3): nn.BatchNorm3d,
    ("instance", 2): nn.InstanceNorm2d,
    ("instance", 3): nn.InstanceNorm3d,
}


class Confidence(nn.Module):
    """Logits [B, M, ...] of pseudo-classes to confidence [B, 1, ...] within 0 and 1.

    The released code adds a tiny number to the probability before the logarithm; with the logarithm of the
    softmax, none is needed, also in half precision and in exported networks.
    """

    def forward(self, logits: Tensor) -> Tensor:
        if logits.dtype == torch.float16 or logits.dtype == torch.bfloat16:
            logits = logits.float()
        if logits.shape[1] == 2:
            # The same number from the difference alone: fewer passes over the map.
            apart = logits[:, 1:] - logits[:, :1]
            return 1 - (F.softplus(apart) - apart * apart.sigmoid()) / math.log(2)
        logarithm = F.log_softmax(logits, dim=1)
        entropy = -(logarithm.exp() * logarithm).sum(dim=1, keepdim=True)
        return 1 - entropy / math.log(logits.shape[1])


class UAFR(nn.Sequential):
    """Convolution, norm, ReLU, optional dropout, 1 x 1 convolution, confidence; then f (1 + c).

    Maps [B, channels, Y, X] (or [B, channels, Z, Y, X]) to the same shape, without changing its input unless
    `inplace` allows it.

    Args:
        channels: of the features.
        hidden: channels between the two convolutions; None takes 16 in 2-D, and a quarter in 3-D.
        kernel: odd size of the first convolution.
        norm: "instance" suits batches of one or two.
        dims: 2 or 3.
        dropout: in the head.
        bias: of the first convolution; None takes the released: only in 3-D.
        classes: pseudo-classes, two or more; two is best in the authors' ablation.
        inplace: weigh the features where they lie when no gradient is wanted, for networks that need them no
            more; half of what the weighing costs is the memory of its result.

    Raises:
        SegToolkitError: "bad-uafr": numbers that make no head.
    """

    def __init__(
        self,
        channels: int,
        hidden: int | None = None,
        kernel: int = 3,
        norm: Norm = "batch",
        dims: int = 2,
        dropout: float = 0.0,
        bias: bool | None = None,
        classes: int = 2,
        inplace: bool = False,
    ) -> None:
        if dims not in CONVOLUTIONS or channels < 1 or kernel % 2 == 0 or classes < 2:
            raise SegToolkitError(
                "bad-uafr",
                f"No head has {channels} channels, kernel {kernel}, {dims} dimensions and {classes} classes.",
                "Use 1 channel or more, an odd kernel, 2 or 3 dimensions, and 2 classes or more.",
            )
        hidden = hidden or (16 if dims == 2 else max(1, channels // 4))
        bias = dims == 3 if bias is None else bias
        convolution = CONVOLUTIONS[dims]
        options = {"affine": True} if norm == "instance" else {}
        # The keys of the authors' checkpoints are the places in this list.
        parts = [
            convolution(channels, hidden, kernel, padding=kernel // 2, bias=bias),
            NORMS[norm, dims](hidden, **options),
            nn.ReLU(),
            *([nn.Dropout(dropout)] if dropout else []),
            convolution(hidden, classes, 1),
            Confidence(),
        ]
        super().__init__(*parts)
        self.inplace = inplace

    def confidence(self, features: Tensor) -> Tensor:
        """Confidence [B, 1, ...] within 0 and 1 of features [B, channels, ...]."""
        for part in self:
            features = part(features)
        return features

    def forward(self, features: Tensor) -> Tensor:
        weights = features
        if features.ndim == 5 and features.device.type == "cpu":
            # So few output channels fill the processor's vectors better in this order: a quarter less time.
            weights = features.contiguous(memory_format=torch.channels_last_3d)
        for part in self:
            weights = part(weights)
        weights = (1 + weights).to(features.dtype)
        if self.inplace and not torch.is_grad_enabled():
            return features.mul_(weights)
        return features * weights


class Reweighted(nn.Module):
    """A part of a network whose output is weighed.

    Args:
        module: the part; gives one tensor.
        uafr: for its output.
    """

    def __init__(self, module: nn.Module, uafr: UAFR) -> None:
        super().__init__()
        self.module = module
        self.uafr = uafr

    def forward(self, features: Tensor) -> Tensor:
        weighed: Tensor = self.uafr(self.module(features))
        return weighed


def add_uafr(network: nn.Module, layers: Mapping[str, int], **options: Any) -> nn.Module:
    """Weigh the outputs of parts of any network, in place; parts must take and give one tensor.

    Args:
        network: is changed; the keys of a part get ``.module``, and those of its head ``.uafr``.
        layers: name of a part, as in ``named_modules``, -> channels of its output.
        options: of :class:`UAFR`.

    Returns:
        The network.

    Raises:
        SegToolkitError: "no-layer": the network has no such part; nothing is changed then.
    """
    for name in layers:
        submodule(network, name)
    # Deeper parts first: a name stays valid until its own turn.
    for name in sorted(layers, key=lambda one: -one.count(".")):
        part = network.get_submodule(name)
        # A network may hold a part under several names (MONAI's DynUNet), and run it under another one.
        places = [
            (one, last) for one in network.modules() for last, child in one._modules.items() if child is part
        ]
        like = next(part.parameters(), None)
        head = UAFR(layers[name], **options)
        wrapped = Reweighted(part, head if like is None else head.to(like)).train(part.training)
        for parent, last in places:
            setattr(parent, last, wrapped)
    return network


def submodule(network: nn.Module, name: str) -> nn.Module:
    """A part of a network by its name.

    Raises:
        SegToolkitError: "no-layer".
    """
    known = dict(network.named_modules(remove_duplicate=False))
    if not name or name not in known:
        raise SegToolkitError(
            "no-layer",
            f"The network {type(network).__name__} has no part {name!r}.",
            f"Name one of its parts, such as {', '.join([one for one in known if one][:5]) or 'none'}.",
        )
    return known[name]


@contextmanager
def confidence_maps(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Gather the confidence maps of all heads while the block runs; the network keeps none of them.

    Yields:
        Name of the head -> its last map [B, 1, ...], without gradient.
    """
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _given: Any, output: Tensor) -> None:
            found[name] = output.detach()

        return hook

    handles = [
        part.register_forward_hook(keep(name.rpartition(".")[0]))
        for name, part in network.named_modules()
        if isinstance(part, Confidence)
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
