"""The copy of its coarse model that a fine run keeps, so that it goes on whatever becomes of the original."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cssn.coarse import Coarse, model_of
from SegToolkitLib.methods.cssn.plan import InferencePlan
from SegToolkitLib.models.card import CARD_FILE, read_card
from SegToolkitLib.training.run_folder import RunFolder

# Folder in a run's.
KEPT = "coarse-model"
# Of its weights, among the checksums of a run's data.
CHECKSUM = "coarse model"


def kept_coarse(run: RunFolder) -> Path | None:
    """The copy that a run keeps of its coarse model; None where it has none, as before copies were kept."""
    folder = run.path / KEPT
    return folder if (folder / CARD_FILE).is_file() else None


def coarse_of_run(
    run: RunFolder, place: Path | None, organs: Mapping[int, str], own: InferencePlan, reporter: Reporter
) -> Coarse | None:
    """The coarse model that a fine stage was started with, of which the run's folder keeps a copy.

    Args:
        run: new, or one that goes on.
        place: folder of the model as it is given now.
        organs: value -> name, of the training.
        own: rules of the training's settings.
        reporter: hears where the folder holds another model now.

    Raises:
        SegToolkitError: "coarse-changed": the run goes on, keeps no copy, and the model is not that of its
            start; or what :meth:`Coarse.load` and :meth:`Coarse.keep` raise.
    """
    kept = kept_coarse(run) if run.begun else None
    if kept is not None:
        coarse = Coarse.load(kept, organs, own)
        if place is not None and _is_other(place, coarse):
            reporter.warning(
                f"The coarse model in {place} is not the one that the run was started with. The run goes on"
                f" with that one ({coarse.card.name}), of which it keeps a copy.",
                "To use the other one, start a new run.",
            )
        return coarse
    if place is None:
        if run.writes and not run.begun:  # of a start that failed
            (run.path / KEPT / CARD_FILE).unlink(missing_ok=True)
        return None
    coarse = Coarse.load(place, organs, own)
    if run.begun:
        _check_same(run, place, coarse)
    if run.writes:
        coarse.keep(run.path / KEPT)
    return coarse


def _is_other(place: Path, coarse: Coarse) -> bool:
    try:
        there = read_card(model_of(place))
    except SegToolkitError:
        return False  # it is gone, and not needed
    return there.weights is None or there.weights.sha256 != coarse.fingerprint


def _check_same(run: RunFolder, place: Path, coarse: Coarse) -> None:
    checksums = (run.settings().get("data") or {}).get("sha256")
    if checksums is None or checksums.get(CHECKSUM) == coarse.fingerprint:
        return
    started = "with another one" if CHECKSUM in checksums else "without one"
    raise SegToolkitError(
        "coarse-changed",
        f"{place} holds the coarse model {coarse.card.name}, but the run {run.path} was started {started}.",
        "Say where that one lies now (--coarse FOLDER), or start a new run."
        if CHECKSUM in checksums
        else "Go on without --coarse, or start a new run.",
    )
