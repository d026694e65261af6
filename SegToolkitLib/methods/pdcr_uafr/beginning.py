"""Weights that a training begins with, where it is not to begin with fresh ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from SegToolkitLib.automatic.begun import Begun
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.pdcr_uafr.checkpoints import loaded_network, reduced
from SegToolkitLib.methods.pdcr_uafr.imagenet import load_imagenet
from SegToolkitLib.methods.pdcr_uafr.network import DeepLab
from SegToolkitLib.models.card import CARD_FILE, read_card_of
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.models.foreign import read_checkpoint

METHOD = "pdcr_uafr"


def begin(
    network: DeepLab, places: Mapping[str, Path], names: Mapping[int, str], reporter: Reporter
) -> Begun:
    """Take over weights; the settings stay the run's own.

    Args:
        network: of the run; is changed.
        places: "start", a model, a run or a checkpoint of the authors' code; or "imagenet", a file.
        names: class -> name.
        reporter: hears how far a file went, and where classes have other names.

    Returns:
        What the weights of a start have seen and on what terms they come, as far as a card says it.

    Raises:
        SegToolkitError: "two-starts", "start-differs" (another network or other classes), "other-method",
            or what reading raises.
    """
    start, imagenet = places.get("start"), places.get("imagenet")
    if start is not None and imagenet is not None:
        raise SegToolkitError("two-starts", "Both a start and ImageNet are given.", "Give one of them.")
    if imagenet is not None:
        reporter.info(load_imagenet(network.backbone, imagenet).text())
    if start is None:
        return Begun()
    made = next((one for one in (start / "result" / "model", start) if (one / CARD_FILE).is_file()), None)
    if made is None:
        state, begun = reduced(read_checkpoint(start)).state, Begun.of_file(start.name)
    else:
        card = read_card_of(made, METHOD)
        known = [label.name for label in card.labels]
        if known != list(names.values()):
            reporter.warning(
                f"The classes of {card.name} are {', '.join(known)}; here they are"
                f" {', '.join(names.values())}.",
                "Bring the classes into the same order (data.classes).",
            )
        state, begun = load_state(made, card), Begun.of_card(card)
    loaded = loaded_network(network.plan, network.classes, state, str(start), "start-differs")
    network.load_state_dict(loaded.state_dict())
    return begun
