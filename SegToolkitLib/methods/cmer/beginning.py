"""Weights that a training begins with, where it is not to begin with fresh ones."""

from __future__ import annotations

from pathlib import Path

from SegToolkitLib.automatic.begun import Begun
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.checkpoints import METHOD, read_authors
from SegToolkitLib.methods.cmer.plan import ModelPlan
from SegToolkitLib.methods.cmer.settings import CmerSettings
from SegToolkitLib.methods.cmer.weights import State, joined, loaded_networks, of_network, split
from SegToolkitLib.models.card import CARD_FILE, TrainedOn, parse, read_card_of
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.training.checkpoint import checkpoints, load_checkpoint
from SegToolkitLib.training.run_folder import RunFolder


def begin(settings: CmerSettings, folder: Path) -> tuple[State, Begun]:
    """The networks' weights to begin with; the settings stay the run's own.

    Args:
        settings: of the run.
        folder: of a model, of a run (finished, or with a checkpoint), or of the authors' checkpoints.

    Returns:
        Tensors of the run's networks, and what they have seen and on what terms they come, as far as it is
        known.

    Raises:
        SegToolkitError: "start-differs" (other widths, modalities or supervision), "other-method",
            "no-checkpoint", or what reading raises.
    """
    made = next((one for one in (folder / "result" / "model", folder) if (one / CARD_FILE).is_file()), None)
    if made is not None:
        card = read_card_of(made, METHOD)
        plan = parse(ModelPlan, card.settings, f"'settings' of {card.name}")
        state, _ = split(load_state(made, card))
        return _fitting(state, plan, settings, card.name), Begun.of_card(card)
    if checkpoints(folder / "checkpoints"):
        return _of_run(folder, settings)
    states = [one.state for one in read_authors(folder)]
    # Files of the authors' code do not say which modalities they are of: their order is the run's.
    return _fitting(joined(states), None, settings, str(folder)), Begun.of_file(folder.name)


def _of_run(folder: Path, settings: CmerSettings) -> tuple[State, Begun]:
    """Of a run that has no model yet, the best weights so far, else the last."""
    content = load_checkpoint(checkpoints(folder / "checkpoints")[-1])
    about = RunFolder(folder).settings()
    if about.get("method") != METHOD:
        raise SegToolkitError(
            "other-method", f"{folder} is a run of {about.get('method')}, not {METHOD}.", "Choose another."
        )
    own = parse(CmerSettings, about["settings"], f"The settings of {folder}")
    kept = content["extra"]["kept"] if own.use_best else {}
    states = [
        kept[part]["state"] if part in kept else of_network(content["network"], number)
        for number, part in enumerate(own.plan.parts)
    ]
    data = about.get("data") or {}
    seen = TrainedOn(dataset=str(data.get("dataset", "")), cases=data.get("train", []))
    begun = Begun.of_run(data)
    terms = begun.licence or Begun.of_file(folder.name).licence
    return (
        _fitting(joined(states), own.plan, settings, str(folder)),
        Begun(folder.name, tuple(begun.all_seen(seen)), terms),
    )


def _fitting(state: State, plan: ModelPlan | None, settings: CmerSettings, what: str) -> State:
    """Weights by the order of the run's modalities.

    Args:
        state: of the start.
        plan: of the start; None where nothing is known of it.
        settings: of the run.
        what: to call it in a complaint.
    """
    wanted = settings.plan
    if plan is not None:
        if plan.supervision != wanted.supervision:
            raise _differs(
                what, f"was taught by {plan.supervision}, and this training is by {wanted.supervision}"
            )
        known = {name.casefold(): number for number, name in enumerate(plan.parts)}
        names = [part.casefold() for part in wanted.parts]
        both = [name.casefold() for name in plan.modalities], [n.casefold() for n in wanted.modalities]
        # Channels of one network have an order; networks of their own can be exchanged.
        apart = plan.supervision == "tags" and set(both[0]) >= set(both[1])
        if not apart and both[0] != both[1]:
            raise _differs(
                what, f"has the modalities {', '.join(plan.modalities)}, not {', '.join(wanted.modalities)}"
            )
        state = joined([of_network(state, known[name]) for name in names])
    loaded = loaded_networks(wanted.each, len(wanted.parts), state, what, "start-differs")
    return {key: value.detach() for key, value in loaded.state_dict().items()}


def _differs(what: str, how: str) -> SegToolkitError:
    return SegToolkitError(
        "start-differs", f"{what} {how}.", "Begin with other weights, or leave them out (--init-from)."
    )
