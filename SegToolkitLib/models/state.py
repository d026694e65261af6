"""The tensors of a network: named by its parts, and loaded only where all of them fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.foreign import KeyReport, compare_keys

State = dict[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)


def of_part(state: Mapping[str, Tensor], part: str) -> State:
    """The tensors that a model keeps as "<part>.<key>", under their own keys."""
    prefix = f"{part}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def as_part(state: Mapping[str, Tensor], part: str) -> State:
    """A network's tensors under the keys that they have in a model of several: "<part>.<key>"."""
    return {f"{part}.{key}": value for key, value in state.items()}


def key_report(network: nn.Module, state: Mapping[str, Tensor]) -> KeyReport:
    """How tensors fit a network, whose own may be shapes alone (on the device "meta")."""
    return compare_keys(state, {key: tuple(value.shape) for key, value in network.state_dict().items()})


def refuse_misfit(
    report: KeyReport, what: str, hint: str, code: str = "model-mismatch", named: str = "the network"
) -> None:
    """Complain where tensors do not fit a network.

    Args:
        report: of the comparison.
        what: what to call the tensors in the complaint.
        hint: of the complaint.
        code: of the complaint.
        named: what to call the network.

    Raises:
        SegToolkitError: a key is missing, not known, or of another shape; says which.
    """
    if not report.fits:
        raise SegToolkitError(code, f"{what} does not fit {named}: {report.text()}.", hint)


def with_weights(
    network: Network,
    state: Mapping[str, Tensor],
    what: str,
    hint: str,
    code: str = "model-mismatch",
    *,
    named: str = "the network",
    copied: bool = True,
) -> Network:
    """A network with the given weights, in evaluation mode, on the CPU; floating ones as float32.

    Args:
        network: of shapes alone (made on the device "meta"): fresh weights would be drawn for nothing.
        state: all its tensors.
        what, hint, code, named: see :func:`refuse_misfit`.
        copied: whether the network gets tensors of its own, as training changes them; otherwise it shares
            those that are float32 with ``state``.

    Raises:
        SegToolkitError: see :func:`refuse_misfit`. The authors' codes let that pass and keep random weights.
    """
    refuse_misfit(key_report(network, state), what, hint, code, named)
    own = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    if copied:
        own = {key: value.clone() if value is state[key] else value for key, value in own.items()}
    network.load_state_dict(own, assign=True)
    return network.requires_grad_().eval()
