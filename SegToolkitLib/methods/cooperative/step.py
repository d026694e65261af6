"""One update of cooperative training: clean images, hard examples made of them, gradients of both phases.

What two parts of the method have in common is computed once: the forward passes and gradients that choose
what is masked are those of the losses of clean images. Each graph is gone back through, and freed, as soon as
its losses are known.
Source: Chen et al., MICCAI 2021, arXiv 2107.01079, section 2, and the released code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from SegToolkitLib.methods.cooperative.convolution import channels_last
from SegToolkitLib.methods.cooperative.gradients import Collected
from SegToolkitLib.methods.cooperative.loss import HARD, IMAGE_WEIGHT, STANDARD, image_loss, segmentation_loss
from SegToolkitLib.methods.cooperative.mask_settings import MaskSettings
from SegToolkitLib.methods.cooperative.masking import Kind, Masked, draw_kind, masked
from SegToolkitLib.methods.cooperative.network import Codes, Networks
from SegToolkitLib.methods.cooperative.norms import RunningStatistics, fixed_affine, untracked
from SegToolkitLib.methods.cooperative.settings import StepSettings
from SegToolkitLib.methods.cooperative.stn import TEMPERATURE, exact_shape, soft_shape


@dataclass(frozen=True)
class Examples:
    """Hard examples of a batch; None where a code is not masked.

    Attributes:
        images: [N, channels, Y, X].
        logits: of corrupted segmentations, [N, classes, Y, X].
        image_mask, shape_mask: the codes that they were decoded from.
    """

    images: Tensor | None = None
    logits: Tensor | None = None
    image_mask: Masked | None = None
    shape_mask: Masked | None = None


@dataclass(frozen=True)
class Step:
    """What became of a batch.

    Attributes:
        losses: scalars without gradient, by the names that :mod:`loss` lists.
        total: their sum; its backward pass gives the parameters their gradients.
        examples: that were decoded on the way.
    """

    losses: Mapping[str, Tensor]
    total: Tensor
    examples: Examples


def cooperative_step(
    networks: Networks,
    images: Tensor,
    labels: Tensor,
    settings: StepSettings,
    generator: torch.Generator,
    noise: Tensor | None = None,
    temperature: float = TEMPERATURE,
) -> Step:
    """Both phases of an update, up to the gradients; running statistics of the networks' norms change.

    Args:
        networks: in training mode.
        images: clean ones, [N, channels, Y, X] within 0 and 1.
        labels: classes, int64 [N, Y, X].
        settings: of the step.
        generator: of all that is drawn; on the CPU, so that a seed means the same on every device.
        noise: is added to the images, of their shape; None draws it.
        temperature: of what the shape networks see.
    """
    if noise is None:
        noise = settings.noise * torch.randn(images.shape, generator=generator).to(images)
    batch = _Batch(networks, channels_last(images), labels, settings, temperature)
    image, shape = (
        _draw(getattr(settings.masking, name), settings, generator) for name in ("image", "shape")
    )
    batch.standard((batch.images + noise).clamp_(0, 1), image, shape)
    examples = batch.examples(image, shape, generator)
    batch.hard(examples)
    losses = {name: batch.losses[name] for name in (*STANDARD, *HARD) if name in batch.losses}
    total = torch.stack(list(losses.values())).sum()
    return Step(losses, batch.gradients.carried(total), examples)


@dataclass
class _Target:
    """A mask that is to be made, with what it needs as soon as that is known."""

    settings: MaskSettings
    kind: Kind
    code: Tensor | None = None
    gradient: Tensor | None = None

    @property
    def targeted(self) -> bool:
        """Whether a gradient chooses what is masked."""
        return self.kind != "dropout"


def _draw(mask: MaskSettings | None, settings: StepSettings, generator: torch.Generator) -> _Target | None:
    if mask is None or settings.mode == "standard":
        return None
    return _Target(mask, draw_kind(mask, generator))


class _Batch:
    """Losses and gradients of a batch, as they come."""

    def __init__(
        self, networks: Networks, images: Tensor, labels: Tensor, settings: StepSettings, temperature: float
    ) -> None:
        self.networks, self.images, self.labels = networks, images, labels
        self.settings, self.temperature = settings, temperature
        self.exact = exact_shape(labels, networks.classes).to(images)
        self.gradients = Collected(networks)
        self.losses: dict[str, Tensor] = {}

    def standard(self, noisy: Tensor, image: _Target | None, shape: _Target | None) -> None:
        """Losses of clean images; the targets get codes and gradients."""
        codes = self.networks.encode(noisy)
        cut = _cut(codes)
        back = [
            self._reconstruct(cut.image, "standard_image", image),
            self._segment(cut.shape, ("standard_seg", "standard_shape"), shape, gt="standard_gt_shape"),
        ]
        self.gradients.back(list(zip(codes, back, strict=True)), modules=[self.networks["image_encoder"]])

    def examples(self, image: _Target | None, shape: _Target | None, generator: torch.Generator) -> Examples:
        """Decode masked codes; no gradient flows into them."""
        networks = self.networks
        images = logits = image_mask = shape_mask = None
        with torch.no_grad(), untracked(networks["image_decoder"], networks["segmentation_decoder"]):
            if image is not None and image.code is not None:
                image_mask = masked(image.code, image.kind, image.settings, generator, image.gradient)
                images = networks.reconstruct(image_mask.code)
            if shape is not None and shape.code is not None:
                shape_mask = masked(shape.code, shape.kind, shape.settings, generator, shape.gradient)
                logits = networks.segment(shape_mask.code)
        return Examples(images, logits, image_mask, shape_mask)

    def hard(self, examples: Examples) -> None:
        """Losses of hard examples, which leave no trace in the norms (the image decoder's apart)."""
        networks = self.networks
        quiet: list[nn.Module] = [module for name, module in networks.items() if name != "image_decoder"]
        if self.settings.image_decoder_norms == "as_others":
            quiet.append(networks["image_decoder"])
        with untracked(*quiet), fixed_affine(*quiet):
            if examples.images is not None:
                codes = networks.encode(examples.images.to(self.images.dtype))
                cut = _cut(codes)
                back = [
                    self._reconstruct(cut.image, "hard_image"),
                    self._segment(cut.shape, ("hard_seg", "hard_shape")),
                ]
                self.gradients.back(list(zip(codes, back, strict=True)), modules=[networks["image_encoder"]])
            if examples.logits is not None:
                self._correct(soft_shape(examples.logits, self.temperature), "hard_corrupted_shape")

    def _reconstruct(self, code: Tensor, name: str, target: _Target | None = None) -> Tensor:
        """Loss of the reconstruction; its gradient in the code."""
        decoder = self.networks["image_decoder"]
        before = RunningStatistics(decoder)
        reconstruction = self.networks.reconstruct(code)
        loss = image_loss(reconstruction, self.images)
        chooses = None
        if target is not None and target.settings.loss == "correlation" and target.targeted:
            chooses = self.gradients.only((reconstruction * self.images).mean(), code)
        (gradient,) = self.gradients.back([(loss, None)], [code], [decoder])
        if target is not None:
            target.code = code.detach()
            if target.targeted:
                target.gradient = gradient / IMAGE_WEIGHT if chooses is None else chooses
                # The release makes the pass again for it, which counts in the running statistics.
                before.count_again()
        self.losses[name] = loss.detach()
        return gradient

    def _segment(
        self, code: Tensor, names: tuple[str, str], target: _Target | None = None, gt: str | None = None
    ) -> Tensor:
        """Losses of the segmentation and of its correction; the gradient of both in the code.

        Args:
            code: of the shape.
            names: of the losses.
            target: what is to be masked.
            gt: the loss of corrected labels; comes in between, as the running statistics want it.
        """
        decoder = self.networks["segmentation_decoder"]
        before = RunningStatistics(decoder)
        logits = self.networks.segment(code)
        loss = segmentation_loss(logits, self.labels, self.settings.loss)
        if target is not None:
            target.code = code.detach()
            if target.targeted:
                fit = target.settings.loss == "fit"
                target.gradient = self.gradients.only(loss if fit else (logits * self.exact).mean(), code)
        if gt is not None:
            self._correct(self.exact, gt)
        given = logits.detach().requires_grad_(not self.settings.separate)
        onward = self._correct(soft_shape(given, self.temperature), names[1], given)
        self.losses[names[0]] = loss.detach()
        others = [] if onward is None else [(logits, onward)]
        (gradient,) = self.gradients.back([(loss, None), *others], [code], [decoder])
        if target is not None and target.targeted:
            before.count_again()
        return gradient

    def _correct(self, shape: Tensor, name: str, given: Tensor | None = None) -> Tensor | None:
        """Loss of a corrected segmentation; its gradient in ``given``, where that wants one."""
        loss = segmentation_loss(self.networks.correct(shape), self.labels, self.settings.loss)
        wanted = [given] if given is not None and given.requires_grad else []
        parts = [self.networks["shape_encoder"], self.networks["shape_decoder"]]
        found = self.gradients.back([(loss, None)], wanted, parts)
        self.losses[name] = loss.detach()
        return found[0] if found else None


def _cut(codes: Codes) -> Codes:
    """The codes as leaves of graphs of their own."""
    return Codes(*(code.detach().requires_grad_() for code in codes))
