"""The weights of a model: "<network>.<key>", loaded only where all fit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from SegToolkitLib.methods.cooperative.network import NAMES, Name, Networks
from SegToolkitLib.methods.cooperative.plan import NetworkPlan
from SegToolkitLib.models.state import State as State
from SegToolkitLib.models.state import of_part, with_weights


def of_network(state: Mapping[str, Tensor], name: Name) -> State:
    """One network's tensors, under its own keys."""
    return of_part(state, name)


def joined(states: Mapping[Name, Mapping[str, Tensor]]) -> State:
    """Tensors of several networks, under the keys that they have in a model."""
    return {f"{name}.{key}": value for name in NAMES if name in states for key, value in states[name].items()}


def bare_networks(plan: NetworkPlan, classes: int) -> Networks:
    """The networks as shapes alone, which takes neither memory nor time."""
    with torch.device("meta"):
        return Networks(plan, classes)


def loaded_networks(
    plan: NetworkPlan, classes: int, state: Mapping[str, Tensor], what: str, code: str = "model-mismatch"
) -> Networks:
    """Build the networks with the given weights, in evaluation mode, on the CPU.

    Args:
        plan: of the networks.
        classes: background included.
        state: under the keys of a model.
        what: what to call the weights in the complaint.
        code: of the complaint.

    Raises:
        SegToolkitError: a key is missing, not known, or of another shape; says which. The authors' code lets
            that pass and keeps random weights.
    """
    return with_weights(
        bare_networks(plan, classes),
        state,
        what,
        "Check that the files belong together and were written by the same version of the code.",
        code,
        named="the networks",
    )
