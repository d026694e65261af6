"""The weights of a model's two stages: named "coarse.<key>" and "fine.<key>", loaded only where all fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import StagePlan
from SegToolkitLib.models.state import State, as_part, of_part, with_weights

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Stage = Literal["coarse", "fine"]


def computing_type(device: torch.device, precision: str) -> torch.dtype:
    """The type that networks compute in; "auto" is half precision on a GPU and float32 elsewhere.

    Raises:
        SegToolkitError: "bad-precision": torch lacks float16 for some layers on CPUs.
    """
    if precision == "auto":
        precision = "float16" if device.type == "cuda" else "float32"
    if precision == "float16" and device.type == "cpu":
        raise SegToolkitError(
            "bad-precision", "A CPU does not compute in float16.", "Choose --precision float32 or bfloat16."
        )
    return PRECISIONS[precision]


def of_stage(state: Mapping[str, Tensor], stage: Stage) -> State:
    """A stage's tensors, under the network's own keys."""
    return of_part(state, stage)


def for_stage(state: Mapping[str, Tensor], stage: Stage) -> State:
    """A network's tensors, under the keys that they have in a model."""
    return as_part(state, stage)


def loaded_network(
    plan: StagePlan, classes: int, state: Mapping[str, Tensor], what: str, code: str = "model-mismatch"
) -> nn.Module:
    """Build a stage's network with the given weights, in evaluation mode, on the CPU.

    Args:
        plan: of the stage.
        classes: organs.
        state: under the network's own keys.
        what: what to call the weights in the complaint.
        code: of the complaint.

    Raises:
        SegToolkitError: a key is missing, not known, or of another shape; says which. The authors' code lets
            that pass and keeps random weights.
    """
    with torch.device("meta"):
        network = build_network(plan, classes)
    hint = "Check that file, stage and number of organs belong together."
    return with_weights(network, state, what, hint, code, copied=False)
