"""One cooperative update exactly as the specification tells it (sections 3 and 4), step after step.

It is what the fast one is held against, for its results (tests) and for its time (``bench_cooperative.py``):
plain layers in PyTorch's usual memory order, one graph over both phases and one backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (16, 32, 64, 128, 128)


def block(a: int, b: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(a, b, 3, padding=1),
        nn.BatchNorm2d(b),
        nn.LeakyReLU(0.2),
        nn.Conv2d(b, b, 3, padding=1),
        nn.BatchNorm2d(b),
    )


class Down(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(a, a, 3, stride=2, padding=1)
        self.conv = block(a, b)
        self.conv_input = nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return F.leaky_relu(self.conv_input(x) + self.conv(x), 0.2)


class Up(nn.Module):
    def __init__(self, a: int, b: int, learned: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(a, a, 2, stride=2) if learned else nn.Upsample(scale_factor=2)
        self.conv = block(a, b)
        self.conv_input = nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(x)
        return F.leaky_relu(self.conv_input(x) + self.conv(x), 0.2)


class Encoder(nn.Module):
    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.inc = block(inputs, widths[0])
        for i in range(4):
            self.add_module(f"down{i + 1}", Down(widths[i], widths[i + 1]))
        self.final_conv = nn.Sequential(nn.Conv2d(widths[4], widths[4], 1), nn.BatchNorm2d(widths[4]))

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.inc(x), 0.2)
        for i in range(4):
            x = self.get_submodule(f"down{i + 1}")(x)
        return F.relu(self.final_conv(x))


class ImageEncoder(nn.Module):
    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.general_encoder = Encoder(inputs, widths)
        self.code_decoupler = nn.Sequential(*block(widths[4], widths[4]), nn.ReLU())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        image_code = self.general_encoder(x)
        return image_code, self.code_decoupler(image_code)


class Decoder(nn.Module):
    def __init__(self, out: int, widths: Sequence[int], learned: bool, sigmoid: bool) -> None:
        super().__init__()
        sizes = (widths[4], widths[2], widths[1], widths[0], widths[0])
        for i in range(4):
            self.add_module(f"up{i + 1}", Up(sizes[i], sizes[i + 1], learned))
        self.final_conv = nn.Conv2d(widths[0], out, 1)
        self.sigmoid = sigmoid

    def forward(self, x: Tensor) -> Tensor:
        for i in range(4):
            x = self.get_submodule(f"up{i + 1}")(x)
        x = self.final_conv(x)
        return x.sigmoid() if self.sigmoid else x


def build(classes: int = 4, widths: Sequence[int] = WIDTHS, image_channels: int = 1) -> nn.ModuleDict:
    """The five networks; the keys are those of our own."""
    return nn.ModuleDict(
        {
            "image_encoder": ImageEncoder(image_channels, widths),
            "image_decoder": Decoder(image_channels, widths, True, True),
            "segmentation_decoder": Decoder(classes, widths, False, False),
            "shape_encoder": Encoder(classes, widths),
            "shape_decoder": Decoder(classes, widths, False, False),
        }
    )


@dataclass
class Mask:
    """One code's mask, with all that the method draws: kind, part and the numbers of a soft mask."""

    kind: str  # "dropout", "channel" or "spatial"
    share: float
    uniform: Tensor | None = None  # [N, C] or [N, positions]; None makes a hard mask
    keep: Tensor | None = None  # bool [N, C], of dropout


class PlainStep:
    """Section 4.2.

    Args:
        networks: of :func:`build`.
        image_mask, shape_mask: as drawn.
    """

    def __init__(self, networks: nn.ModuleDict, image_mask: Mask, shape_mask: Mask) -> None:
        self.networks = networks
        self.image_mask, self.shape_mask = image_mask, shape_mask
        self.examples: tuple[Tensor, Tensor] | None = None

    def __call__(self, images: Tensor, labels: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """The eight losses and their total, whose graph is kept."""
        n = self.networks
        losses: dict[str, Tensor] = {}

        # 2. Standard phase.
        noisy = (images + noise).clamp(0, 1)
        image_code, shape_code = n["image_encoder"](noisy)
        logits = n["segmentation_decoder"](shape_code)
        reconstruction = n["image_decoder"](image_code)
        one_hot = F.one_hot(labels, logits.shape[1]).permute(0, 3, 1, 2).to(images).contiguous()
        of_labels = self.stn(one_hot)
        of_logits = self.stn((logits / 2).softmax(1))
        losses["standard_seg"] = F.cross_entropy(logits, labels)
        losses["standard_image"] = 0.5 * F.mse_loss(reconstruction, images)
        losses["standard_gt_shape"] = F.cross_entropy(of_labels, labels)
        losses["standard_shape"] = F.cross_entropy(of_logits, labels)

        # 3. Hard examples.
        decoders = [n["image_decoder"], n["segmentation_decoder"]]
        self.freeze(decoders, True)
        image_code = self.masked(
            image_code, self.image_mask, lambda code: F.mse_loss(n["image_decoder"](code), images)
        )
        shape_code = self.masked(
            shape_code,
            self.shape_mask,
            lambda code: F.cross_entropy(n["segmentation_decoder"](code), labels),
        )
        self.track(decoders, False)
        hard_images = n["image_decoder"](image_code)
        hard_logits = n["segmentation_decoder"](shape_code)
        self.track(decoders, True)
        self.freeze(decoders, False)
        self.examples = hard_images, hard_logits

        # 4. Hard phase: norms take no part in it, but those of the image decoder.
        quiet = [module for name, module in n.items() if name != "image_decoder"]
        norms = [m for module in quiet for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
        self.track(quiet, False)
        self.freeze(norms, True)
        image_code, shape_code = n["image_encoder"](hard_images)
        logits = n["segmentation_decoder"](shape_code)
        reconstruction = n["image_decoder"](image_code)
        of_logits = self.stn((logits / 2).softmax(1))
        of_corrupted = self.stn((hard_logits / 2).softmax(1))
        losses["hard_seg"] = F.cross_entropy(logits, labels)
        losses["hard_image"] = 0.5 * F.mse_loss(reconstruction, images)
        losses["hard_shape"] = F.cross_entropy(of_logits, labels)
        losses["hard_corrupted_shape"] = F.cross_entropy(of_corrupted, labels)
        self.track(quiet, True)
        self.freeze(norms, False)

        losses["total"] = sum(losses.values(), torch.zeros(()))
        return losses

    def stn(self, shape: Tensor) -> Tensor:
        return self.networks["shape_decoder"](self.networks["shape_encoder"](shape))

    def masked(self, code: Tensor, mask: Mask, loss) -> Tensor:
        """Section 4.3."""
        code = code.detach()
        if mask.kind == "dropout":
            return code * mask.keep[:, :, None, None] / (1 - mask.share)
        code.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(code), code)
        code = code.detach()
        means = gradient.mean((2, 3)) if mask.kind == "channel" else gradient.mean(1).flatten(1)
        rank = int(means.shape[1] * mask.share)
        threshold = means.sort(dim=1, descending=True).values[:, rank : rank + 1]
        left = torch.zeros_like(means) if mask.uniform is None else 0.5 * mask.uniform
        factors = torch.where(means > threshold, left, torch.ones_like(means))
        if mask.kind == "channel":
            return code * factors[:, :, None, None]
        return code * factors.reshape(len(code), 1, *code.shape[2:])

    @staticmethod
    def freeze(modules: Sequence[nn.Module], frozen: bool) -> None:
        for module in modules:
            for parameter in module.parameters():
                parameter.requires_grad_(not frozen)

    @staticmethod
    def track(modules: Sequence[nn.Module], tracked: bool) -> None:
        for module in modules:
            for norm in module.modules():
                if isinstance(norm, nn.BatchNorm2d):
                    norm.track_running_stats = tracked


def optimisers(networks: nn.ModuleDict) -> list[torch.optim.Adam]:
    """One for each network."""
    return [torch.optim.Adam(network.parameters(), lr=1e-4) for network in networks.values()]
