"""The weights of a model, loaded only where all fit.

They are named "<number of the network>.<key>"; those of each seed of its training, which are kept to tell how
far seeds agree, "seed<number of the seed>.<number of the network>.<key>".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.network import Networks, bare_networks
from SegToolkitLib.methods.cmer.plan import NetworkPlan
from SegToolkitLib.models.foreign import KeyReport, compare_keys

State = dict[str, Tensor]
OF_SEED = re.compile(r"seed(\d+)\.")


def of_network(state: Mapping[str, Tensor], number: int) -> State:
    """One network's tensors, under its own keys."""
    prefix = f"{number}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def joined(states: Sequence[Mapping[str, Tensor]]) -> State:
    """Tensors of all networks, under the keys that they have in a model."""
    return {f"{number}.{key}": value for number, own in enumerate(states) for key, value in own.items()}


def split(state: Mapping[str, Tensor]) -> tuple[State, list[State]]:
    """Tensors of the networks that are used, and those of each seed, all without the seed in their keys."""
    own: State = {}
    seeds: dict[int, State] = {}
    for key, value in state.items():
        match = OF_SEED.match(key)
        if match is None:
            own[key] = value
        else:
            seeds.setdefault(int(match[1]), {})[key[match.end() :]] = value
    return own, [seeds[number] for number in sorted(seeds)]


def with_seeds(own: Mapping[str, Tensor], seeds: Sequence[Mapping[str, Tensor]]) -> State:
    """Undo :func:`split`."""
    kept = {f"seed{n}.{key}": value for n, one in enumerate(seeds) for key, value in one.items()}
    return {**own, **kept}


def key_report(plan: NetworkPlan, modalities: int, state: Mapping[str, Tensor]) -> KeyReport:
    """How tensors of a model fit the networks."""
    wanted = bare_networks(plan, modalities).state_dict()
    return compare_keys(state, {key: tuple(value.shape) for key, value in wanted.items()})


def loaded_networks(
    plan: NetworkPlan, modalities: int, state: Mapping[str, Tensor], what: str, code: str = "model-mismatch"
) -> Networks:
    """Build the networks with the given weights, in evaluation mode, on the CPU.

    Args:
        plan: of each network.
        modalities: how many.
        state: under the keys of a model.
        what: what to call the weights in the complaint.
        code: of the complaint.

    Raises:
        SegToolkitError: a key is missing, not known, or of another shape; says which.
    """
    report = key_report(plan, modalities, state)
    if not report.fits:
        raise SegToolkitError(
            code,
            f"{what} does not fit networks of width factor {plan.width_factor}: {report.text()}.",
            "Check that the files belong together and are of this method.",
        )
    networks = bare_networks(plan, modalities)
    # Copies, as training changes them.
    own = {
        key: value.float().clone() if value.is_floating_point() else value.clone()
        for key, value in state.items()
    }
    networks.load_state_dict(own, assign=True)
    return networks.requires_grad_().eval()
