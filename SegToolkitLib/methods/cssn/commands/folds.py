"""``segtoolkit train cssn --folds``: what each fold is trained with, settled before the first one begins."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.methods.cssn.training import METHOD
from SegToolkitLib.models.card import CARD_FILE
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.training.start import stored_settings

# Run folder of a fold, below --run; and of its coarse model, below --coarse.
FOLD = "fold-{}"


@dataclass(frozen=True)
class FoldRun:
    """One fold.

    Attributes:
        options: of its run.
        settings: to begin it with: those of another fold; None where the options say it, or it goes on.
        told: a sentence about that; "" for none.
    """

    options: Namespace
    settings: CssnSettings | None = None
    told: str = ""


def goes_on(options: Namespace) -> bool:
    """Whether a run is there that the engine will go on with; see ``training.command.run``."""
    run = RunFolder(options.run)
    if options.resume or not options.start_or_resume or not run.settings_file.is_file():
        return bool(options.resume)
    return not (options.dataset and run.failed_at_start)


def each_fold(options: Namespace) -> list[FoldRun]:
    """The runs of ``options.folds``.

    Folds that an interrupted command did not come to are started, not resumed: with preset and settings where
    these are given, else with those of a fold that was begun.

    Raises:
        SegToolkitError: "no-run": folds are to be resumed, none was begun, and nothing says how to begin;
            "no-coarse-fold"; "other-stage".
    """
    name = options.name or options.run.resolve().name
    again = {"resume": False, "start_or_resume": options.resume or options.start_or_resume}
    runs = []
    for fold in options.folds:
        folder = FOLD.format(fold)
        own = {"run": options.run / folder, "fold": str(fold), "name": f"{name}-{folder}", **again}
        one = Namespace(**{**vars(options), **own})
        there = goes_on(one)
        one.coarse = _coarse_of(options.coarse, folder, needed=not there)
        said = there or not one.start_or_resume or options.preset or options.config
        runs.append(FoldRun(one) if said else _like_another(one, options))
    return runs


def _like_another(one: Namespace, options: Namespace) -> FoldRun:
    """A fold to begin with the settings and data of one that was begun."""
    other = _begun(options.run, options.folds)
    if other is None:
        if options.resume:
            raise SegToolkitError(
                "no-run",
                f"No fold was begun in {options.run}, so there are no settings to go on with.",
                "Start the folds without --resume, or give --preset or --config.",
            )
        return FoldRun(one)
    settings = stored_settings(other, None, METHOD)
    assert isinstance(settings, CssnSettings)
    if options.stage and settings.stage != options.stage:
        raise SegToolkitError(
            "other-stage",
            f"--stage asks for the {options.stage} stage, but {other.path} trains the {settings.stage} one.",
            "Leave out --stage, or choose another folder with --run.",
        )
    _take_start(one, other)
    told = f"{one.run.name} begins with the settings of {other.path.name}."
    return FoldRun(one, settings, told)


def _begun(folder: Path, folds: Sequence[int]) -> RunFolder | None:
    """The first fold of a folder that was begun; those asked for go first."""
    places = [*(folder / FOLD.format(fold) for fold in folds), *sorted(folder.glob(FOLD.format("*")))]
    runs = (RunFolder(place) for place in places)
    return next((run for run in runs if run.settings_file.is_file() and not run.failed_at_start), None)


def _take_start(one: Namespace, other: RunFolder) -> None:
    """Fill in data set and further inputs of another fold, where they are not given."""
    start = other.settings().get("start") or {}
    if one.dataset is None:
        one.dataset = start.get("dataset")
        one.data = one.data or (Path(start["data"]) if start.get("data") else None)
    places = {name: Path(path) for name, path in (start.get("places") or {}).items()}
    given = {text.partition("=")[0].strip() for text in one.place}
    coarse = None if one.coarse or "coarse" in given else places.get("coarse")
    if coarse is not None and other.path.name in coarse.parts:
        # The other fold's coarse model has seen what this one holds out.
        above = Path(*coarse.parts[: coarse.parts.index(other.path.name)])
        one.coarse = _coarse_of(above, one.run.name, needed=True)
    one.place = [*(f"{name}={path}" for name, path in places.items()), *one.place]


def _coarse_of(folder: Path | None, fold: str, needed: bool) -> Path | None:
    """The coarse model of a fold.

    Args:
        folder: as given; its ``fold-N`` counts where there is one.
        fold: name of that.
        needed: complain where models of other folds are there alone; a run that goes on has kept its own.
    """
    if folder is None:
        return None
    # Not at the top: it imports torch, which takes seconds, and a run shows before that that it lives.
    from SegToolkitLib.methods.cssn.coarse import model_of

    found = folder / fold if (folder / fold).is_dir() else folder
    folds = sorted(path.name for path in folder.glob(FOLD.format("*")))
    if needed and folds and not (model_of(found) / CARD_FILE).is_file():
        raise SegToolkitError(
            "no-coarse-fold",
            f"{folder} has no finished coarse model of {fold}; it has the folder(s) {', '.join(folds)}.",
            "Train it first (--stage coarse --folds ...), or name one model for all folds.",
        )
    return found
