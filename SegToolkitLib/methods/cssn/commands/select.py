"""``segtoolkit select-unlabeled cssn``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.cli.options import add_device, count
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.sharding import add_shard

if TYPE_CHECKING:
    from SegToolkitLib.methods.cssn.judging import Judge

UNLABELLED, HELD_OUT = "unlabelled", "held-out"


def _add_arguments(parser: ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--run", type=Path, metavar="FOLDER", help="training run whose kept checkpoints are compared"
    )
    source.add_argument(
        "--models",
        nargs="+",
        metavar="MODEL",
        help="models to compare instead; the last one is the reference",
    )
    parser.add_argument(
        "--source",
        choices=["checkpoints", "networks"],
        default="checkpoints",
        help="compare a run's checkpoints, or (sooner) its two networks",
    )
    parser.add_argument("--network", choices=["a", "b"], help="network of the run (default: the better one)")
    parser.add_argument(
        "--at",
        choices=["image", "network"],
        default="image",
        help="compare label maps of whole images, or (much sooner, a run only) those of the network's size",
    )
    parser.add_argument("--dataset", metavar="DESCRIPTION", help="data set (default: the run's)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of its volumes, if elsewhere")
    parser.add_argument(
        "--coarse", type=Path, metavar="MODEL", help="coarse model of the run, if it lies elsewhere now"
    )
    parser.add_argument(
        "--cases",
        default=UNLABELLED,
        metavar="WHICH",
        help="unlabelled, held-out (of the run), or ids such as 12,17 (default: unlabelled)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="table to write")
    parser.add_argument(
        "--rule",
        choices=["best", "sibling"],
        default="best",
        help="best: a share or number; sibling: complete, reliability above 0.9, at most 1000",
    )
    parser.add_argument("--keep", type=float, metavar="SHARE", help="share to keep (rule best; default: 0.1)")
    parser.add_argument("--count", type=count, metavar="N", help="number to keep at most")
    parser.add_argument("--min-reliability", type=float, metavar="R", help="keep none below (sibling: up to)")
    parser.add_argument(
        "--truth", action="store_true", help="also score against labels where there are, to check the ranking"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a table that is already there")
    parser.add_argument("--accept-licence", action="store_true", help="accept the models' licences")
    add_shard(parser, "images")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cssn.reliability import KEEP_SHARE
    from SegToolkitLib.methods.cssn.select_unlabelled import Choice, select

    if options.out.exists() and not options.overwrite:
        raise SegToolkitError(
            "table-exists",
            f"{options.out} is there already, and may have been edited.",
            "Give --overwrite, or another name with --out.",
        )
    if options.rule == "sibling" and options.keep is not None:
        raise SegToolkitError(
            "bad-choice",
            "The rule sibling keeps what is reliable enough; it knows no share (--keep).",
            "Leave out --keep, limit the number with --count, or take --rule best.",
        )
    share = KEEP_SHARE if options.keep is None else options.keep
    choice = Choice(options.rule, share, options.count, options.min_reliability)
    judge, ids = _of_run(options) if options.run else _of_models(options)
    return select(judge, ids, options.out, choice, reporter, options.shard, options.truth)


def _of_run(options: Namespace) -> tuple[Judge, Sequence[str]]:
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.cssn.cases import roles_of
    from SegToolkitLib.methods.cssn.judging import ImageJudge, NetworkJudge
    from SegToolkitLib.methods.cssn.reading import cache_folder
    from SegToolkitLib.methods.cssn.states import TrainedRun, states_of

    run = TrainedRun.open(options.run, options.dataset, options.data, options.coarse)
    roles = roles_of(run.dataset, run.settings.data, run.settings.seed)
    states = states_of(run, options.source, options.network)
    device = choose_device(options.device)
    judge: Judge
    if options.at == "network":
        judge = NetworkJudge(run, states, cache_folder(), device, options.precision)
    else:
        judge = ImageJudge.of_run(run, states, device, options.precision)
    known = {UNLABELLED: roles.unlabelled, HELD_OUT: roles.held_out}
    return judge, known.get(options.cases) or _named(options.cases, run.dataset.ids)


def _of_models(options: Namespace) -> tuple[Judge, Sequence[str]]:
    from SegToolkitLib.cli.options import ask_in_terminal
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.cssn.judging import ImageJudge
    from SegToolkitLib.models.card import read_card
    from SegToolkitLib.models.licence import ensure_accepted
    from SegToolkitLib.models.store import ModelStore

    if options.dataset is None or options.at == "network":
        raise SegToolkitError(
            "no-run",
            "Models know neither the data set nor the training images.",
            "Give --dataset and no --at network, or a --run.",
        )
    if len(options.models) < 2:
        raise SegToolkitError(
            "few-states", "One model alone cannot agree or disagree.", "Give at least two with --models."
        )
    dataset = Dataset.open(options.dataset, options.data)
    models = []
    for name in options.models:
        folder = ModelStore().find(name).folder
        card = read_card(folder)
        ensure_accepted(card, accept=options.accept_licence, ask=ask_in_terminal())
        models.append((folder, card))
    judge = ImageJudge.of_models(dataset, models, choose_device(options.device), options.precision)
    unlabelled = [case.id for case in dataset.cases if case.label is None]
    return judge, unlabelled if options.cases == UNLABELLED else _named(options.cases, dataset.ids)


def _named(text: str, known: Sequence[str]) -> list[str]:
    """The ids of a list, as the data set spells them; none for a word."""
    from SegToolkitLib.dataset.dataset import case_key

    if text in (UNLABELLED, HELD_OUT):
        return []
    ids = list(dict.fromkeys(case_key(part.strip()) for part in text.split(",") if part.strip()))
    strange = [id for id in ids if id not in known]
    if strange:
        raise SegToolkitError(
            "no-case", f"There is no case {strange[0]}.", f"There are {', '.join(known[:20])}."
        )
    return ids


COMMAND = Command("choose the unlabelled images that are worth learning from", _add_arguments, _run)
