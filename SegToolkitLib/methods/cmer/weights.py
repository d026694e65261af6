"""The weights of a model, loaded only where all fit.

They are named "<number of the network>.<key>"; those of each seed of its training, which are kept to tell how
far seeds agree, "seed<number of the seed>.<number of the network>.<key>".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from SegToolkitLib.methods.cmer.network import Networks, bare_networks
from SegToolkitLib.methods.cmer.plan import NetworkPlan
from SegToolkitLib.models.state import State as State
from SegToolkitLib.models.state import of_part, with_weights

OF_SEED = re.compile(r"seed(\d+)\.")


def of_network(state: Mapping[str, Tensor], number: int) -> State:
    """One network's tensors, under its own keys."""
    return of_part(state, str(number))


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
    return with_weights(
        bare_networks(plan, modalities),
        state,
        what,
        "Check that the files belong together and are of this method.",
        code,
        named=f"networks of width factor {plan.width_factor}",
    )
