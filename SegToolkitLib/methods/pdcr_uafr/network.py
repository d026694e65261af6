"""DeepLabV3+ on an aligned Xception with UAFR heads; key names are those of the authors' checkpoints.

The authors' files hold a copy of the network for the masks as well, which has no effect on any result; it is
left out, so that no mask is needed at inference.
Source: Liu et al., arXiv 2201.08779, and the released code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.aspp import Branch, Pyramid
from SegToolkitLib.methods.pdcr_uafr.decoder import Decoder
from SegToolkitLib.methods.pdcr_uafr.plan import NetworkPlan
from SegToolkitLib.methods.pdcr_uafr.uafr import UAFR, confidence_maps
from SegToolkitLib.methods.pdcr_uafr.xception import HEADS, Block, Xception

# Position -> name of its head.
HEAD_NAMES = {
    **{position: f"backbone.{name}" for position, name in HEADS.items()},
    **{f"aspp{number}": f"aspp.conv_uncertainty{number}" for number in range(1, 5)},
    "aspp": "aspp.conv_uncertainty",
    "low_level": "decoder.conv_uncertainty_low_level_feat",
    "decoder": "decoder.conv_uncertainty",
}


class DeepLab(nn.Module):
    """Images [B, channels, Y, X], scaled as the input's plan says, to logits [B, classes, Y, X].

    Args:
        plan: of the network.
        classes: background included.
    """

    def __init__(self, plan: NetworkPlan, classes: int) -> None:
        super().__init__()
        self.backbone = Xception(plan)
        self.aspp = Pyramid(plan)
        self.decoder = Decoder(plan, classes)
        self.plan = plan
        self.classes = classes

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the hidden features that there are."""
        layers = [f"encoder.{number}" for number in range(1, 10)]
        heads = [f"cross.{number}" for number in self.plan.cross_heads]
        return (*layers, "decoder.low", "decoder.mid", *heads)

    def forward(self, images: Tensor) -> Tensor:
        logits, _ = self.with_features(images, ())
        return logits

    def with_features(self, images: Tensor, wanted: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits and hidden features.

        Args:
            images: [B, channels, Y, X].
            wanted: some of :attr:`features`; only cross-layer heads that are wanted are run.

        Raises:
            SegToolkitError: "no-features": the network does not give one of them.
        """
        missing = [name for name in wanted if name not in self.features]
        if missing:
            raise SegToolkitError(
                "no-features",
                f"The network does not give the features {', '.join(missing)}.",
                f"It has {', '.join(self.features)}.",
            )
        deep, low, features = self.backbone(images, wanted)
        logits, others = self.decoder(self.aspp(deep), low, wanted)
        found = features | others
        logits = F.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=True)
        return logits, {name: found[name] for name in wanted}

    def with_confidence(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and a confidence map [B, 1, y, x] for each UAFR position, without gradient."""
        with confidence_maps(self) as maps:
            logits = self(images)
        return logits, {position: maps[name] for position, name in HEAD_NAMES.items() if name in maps}


def build_network(plan: NetworkPlan, classes: int, seed: int | None = None) -> DeepLab:
    """Build the network with fresh weights.

    Blocks, the branches of the pyramid and four single convolutions start Kaiming normal (fan-in), all others
    as PyTorch has it, as released.

    Args:
        plan: of the network.
        classes: background included.
        seed: of the weights; the caller's random state is left alone then. None draws from that state.
    """
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        network = DeepLab(plan, classes)
        parts: list[nn.Module] = [
            network.backbone.conv1,
            network.backbone.conv2,
            network.aspp.conv1,
            network.decoder.conv1,
            *(part for part in network.modules() if isinstance(part, (Block, Branch))),
        ]
        for convolution in (one for part in parts for one in part.modules() if isinstance(one, nn.Conv2d)):
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return network


def heads_of(network: nn.Module) -> dict[str, UAFR]:
    """The UAFR heads of any network, by name."""
    return {name: part for name, part in network.named_modules() if isinstance(part, UAFR)}
