"""Weights that a training begins with, where it is not to begin with fresh ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from SegToolkitLib.automatic.begun import Begun
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cooperative.checkpoints import METHOD
from SegToolkitLib.methods.cooperative.network import Networks
from SegToolkitLib.methods.cooperative.snapshot import Snapshot, optimiser_state, read_authors
from SegToolkitLib.methods.cooperative.weights import State, joined, loaded_networks
from SegToolkitLib.models.card import CARD_FILE, read_card_of
from SegToolkitLib.models.folder import load_state


def begin(
    networks: Networks,
    optimiser: torch.optim.Optimizer,
    places: Mapping[str, Path],
    names: Mapping[int, str],
    reporter: Reporter,
) -> Begun:
    """Take over weights, and of a snapshot the optimiser's memory; the settings stay the run's own.

    Args:
        networks: of the run.
        optimiser: of their parameters.
        places: "start", a folder with weights, or "snapshot", a file of the authors' code.
        names: class -> name.
        reporter: hears where classes have other names.

    Returns:
        What the weights have seen and on what terms they come, as far as a card says it.

    Raises:
        SegToolkitError: "two-starts", "start-differs" (other widths or classes), "other-method",
            "no-optimiser", or what reading raises.
    """
    snapshot, folder = places.get("snapshot"), places.get("start")
    if snapshot is not None and folder is not None:
        raise SegToolkitError("two-starts", "Both a start and a snapshot are given.", "Give one of them.")
    if snapshot is not None:
        found = read_authors(snapshot)
        _load(networks, joined(found.states), str(snapshot))
        _remember(networks, optimiser, found)
        return Begun.of_file(snapshot.name)
    if folder is not None:
        state, begun = _state_of(folder, names, reporter)
        _load(networks, state, str(folder))
        return begun
    return Begun()


def _state_of(folder: Path, names: Mapping[int, str], reporter: Reporter) -> tuple[State, Begun]:
    made = next((one for one in (folder / "result" / "model", folder) if (one / CARD_FILE).is_file()), None)
    if made is None:
        return joined(read_authors(folder).states), Begun.of_file(folder.name)
    card = read_card_of(made, METHOD)
    known = [label.name for label in card.labels]
    if known != list(names.values()):
        reporter.warning(
            f"The classes of {card.name} are {', '.join(known)}; here they are {', '.join(names.values())}.",
            "Bring the classes into the same order (data.classes).",
        )
    return load_state(made, card), Begun.of_card(card)


def _load(networks: Networks, state: State, what: str) -> None:
    loaded = loaded_networks(networks.plan, networks.classes, state, what, "start-differs")
    networks.load_state_dict(loaded.state_dict())


def _remember(networks: Networks, optimiser: torch.optim.Optimizer, snapshot: Snapshot) -> None:
    own = optimiser.state_dict()
    own["state"] = optimiser_state(networks, snapshot)["state"]
    optimiser.load_state_dict(own)
