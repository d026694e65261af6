"""The weights of a model: "<network>.<key>", loaded only where all fit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative.network import NAMES, Name, Networks
from SegToolkitLib.methods.cooperative.plan import NetworkPlan
from SegToolkitLib.models.foreign import KeyReport, compare_keys

State = dict[str, Tensor]


def of_network(state: Mapping[str, Tensor], name: Name) -> State:
    """One network's tensors, under its own keys."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}


def joined(states: Mapping[Name, Mapping[str, Tensor]]) -> State:
    """Tensors of several networks, under the keys that they have in a model."""
    return {f"{name}.{key}": value for name in NAMES if name in states for key, value in states[name].items()}


def bare_networks(plan: NetworkPlan, classes: int) -> Networks:
    """The networks as shapes alone, which takes neither memory nor time."""
    with torch.device("meta"):
        return Networks(plan, classes)


def key_report(plan: NetworkPlan, classes: int, state: Mapping[str, Tensor]) -> KeyReport:
    """How tensors of a model fit the networks."""
    wanted = {key: tuple(value.shape) for key, value in bare_networks(plan, classes).state_dict().items()}
    return compare_keys(state, wanted)


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
    report = key_report(plan, classes, state)
    if not report.fits:
        raise SegToolkitError(
            code,
            f"{what} does not fit the networks: {report.text()}.",
            "Check that the files belong together and were written by the same version of the code.",
        )
    networks = bare_networks(plan, classes)
    # Copies, as training changes them.
    own = {
        key: value.float().clone() if value.is_floating_point() else value.clone()
        for key, value in state.items()
    }
    networks.load_state_dict(own, assign=True)
    return networks.requires_grad_().eval()
