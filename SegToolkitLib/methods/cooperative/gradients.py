"""Gradients of several backward passes, summed, and handed over as those of one number.

A step has eight losses on parts of a few graphs. Each part is gone back through as soon as it can be, which
frees its memory and gives the gradients that masks need on the way. The trainer, however, wants a single loss
to call ``backward`` on: that of :meth:`Collected.carried` adds the sums to the parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

# Gradients of float16 maps are this much larger on their way, or else they would vanish.
HALF_SCALE = 2.0**10

# A tensor and its gradient; None for a loss itself.
Output = tuple[Tensor, Tensor | None]


class Collected:
    """Sums of gradients.

    Args:
        network: whose trainable parameters may be asked for.
    """

    def __init__(self, network: nn.Module) -> None:
        self._parameters = [one for one in network.parameters() if one.requires_grad]
        self._sums: dict[Tensor, Tensor] = {}
        self._device = self._parameters[0].device.type
        mixed = torch.is_autocast_enabled(self._device)
        half = mixed and torch.get_autocast_dtype(self._device) == torch.float16
        self._scale = HALF_SCALE if half else 1.0

    def back(
        self, outputs: Sequence[Output], wanted: Sequence[Tensor] = (), modules: Iterable[nn.Module] = ()
    ) -> list[Tensor]:
        """Go back through a graph, which is freed.

        Args:
            outputs: where to start; gradients as other calls returned them.
            wanted: tensors of the graph.
            modules: to whose trainable parameters the gradients are added.

        Returns:
            Gradients in ``wanted``, all times the same scale; 0 where the graph has no such tensor.
        """
        parameters = [one for module in modules for one in module.parameters() if one.requires_grad]
        found = self._gradients(outputs, [*wanted, *parameters])
        for parameter, gradient in zip(parameters, found[len(wanted) :], strict=True):
            known = self._sums.get(parameter)
            self._sums[parameter] = gradient if known is None else known + gradient
        return found[: len(wanted)]

    def only(self, loss: Tensor, wanted: Tensor) -> Tensor:
        """The gradient of a loss in a single tensor, as :meth:`back` gives it; the graph is kept."""
        return self._gradients([(loss, None)], [wanted], keep=True)[0]

    def carried(self, value: Tensor) -> Tensor:
        """``value`` (a scalar), whose backward pass adds the sums to the parameters' gradients."""
        given = [one for one in self._parameters if one in self._sums]
        sums = [self._sums[one] for one in given]
        return cast(Tensor, _Carrier.apply(value.detach(), sums, 1 / self._scale, *given))

    def _gradients(
        self, outputs: Sequence[Output], inputs: Sequence[Tensor], keep: bool = False
    ) -> list[Tensor]:
        seeds = [torch.full_like(one, self._scale) if given is None else given for one, given in outputs]
        # Types were chosen on the way forward.
        with torch.autocast(self._device, enabled=False):
            found = torch.autograd.grad(
                [one for one, _ in outputs], inputs, seeds, retain_graph=keep, allow_unused=True
            )
        return [
            torch.zeros_like(one) if given is None else given
            for one, given in zip(inputs, found, strict=True)
        ]


class _Carrier(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, sums: list[Tensor], factor: float, *parameters: Tensor) -> Tensor:
        ctx.sums, ctx.factor = sums, factor
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, None, *torch._foreach_mul(ctx.sums, gradient * ctx.factor))
