"""Apply models to cases that they have not seen, so that the results can be scored; and what that costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from SegToolkitLib.anatomy import structure_of
from SegToolkitLib.automatic.segmenter import AutomaticMethod, AutomaticOptions, Mode
from SegToolkitLib.dataset.batch import Failures
from SegToolkitLib.dataset.classes import not_looked_for
from SegToolkitLib.dataset.dataset import Case, Dataset, case_key
from SegToolkitLib.dataset.new_cases import label_key
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.sampler import Sampler
from SegToolkitLib.evaluation.score_files import Pair
from SegToolkitLib.events import Reporter, TerminalReporter
from SegToolkitLib.models.card import ModelCard, read_card
from SegToolkitLib.models.licence import ensure_accepted
from SegToolkitLib.models.store import ModelStore
from SegToolkitLib.volume import read_volume, write_volume

if TYPE_CHECKING:
    import torch

HELD_OUT, TEST = "held-out", "test"
Costs = dict[str, dict[str, float]]


@dataclass(frozen=True)
class OpenedModel:
    """A model and the fold that it left out.

    Attributes:
        folder, card: of the model.
        fold: None where the cases are chosen in another way.
    """

    folder: Path
    card: ModelCard
    fold: int | None


@dataclass(frozen=True)
class How:
    """How models are applied.

    Attributes:
        device, precision, mode, small: as in ``segtoolkit segment``.
        alone: one process a case, sampled from its start to its end, as the FLARE challenge measures.
    """

    device: torch.device
    precision: str = "auto"
    mode: Mode = "full"
    small: bool = False
    alone: bool = False


def opened_model(name: str, method: str, accept: bool, ask: Callable[[str], bool] | None) -> OpenedModel:
    """A model of the store, or of a folder, once its licence is accepted; with the fold its card names.

    Raises:
        SegToolkitError: "other-method", or what finding it and its licence raise.
    """
    folder = ModelStore().find(name).folder
    card = read_card(folder)
    if card.method != method:
        raise SegToolkitError(
            "other-method", f"{card.name} is a model of {card.method}, not {method}.", "Choose another model."
        )
    ensure_accepted(card, accept=accept, ask=ask)
    return OpenedModel(folder, card, fold_of_card(card))


def fold_of_card(card: ModelCard) -> int | None:
    """The fold that a model's training left out; None where it does not say, or trained on all."""
    fold = card.training.settings.get("data", {}).get("fold")
    return fold if isinstance(fold, int) else None


def cases_to_test(
    dataset: Dataset,
    model: OpenedModel,
    which: str,
    held_out: Callable[[Dataset, OpenedModel], Sequence[str]],
    test: Callable[[Dataset, OpenedModel], Sequence[Case]] = lambda dataset, model: dataset.test_cases,
    reporter: Reporter | None = None,
) -> list[Case]:
    """The labelled cases to test a model on.

    A case in which nobody looked for a structure of the model is left out: there, what the model finds would
    be scored as false.

    Args:
        dataset: of the cases.
        model: to be tested.
        which: "held-out" (by the model's training), "test" (set aside), or ids such as "12,17".
        held_out: ids of what the model's training held out.
        test: what is set aside; by default, by the data set.
        reporter: hears of cases that are left out; None says it on stderr.

    Raises:
        SegToolkitError: "no-cases", "no-label", "trained-on-test", and what ``held_out`` raises.
    """
    if which == HELD_OUT:
        cases = [dataset.case(id) for id in held_out(dataset, model)]
    elif which == TEST:
        cases = list(test(dataset, model))
    else:
        cases = [dataset.case(id.strip()) for id in which.split(",") if id.strip()]
        bare = next((case.id for case in cases if case.label is None), None)
        if bare is not None:
            raise SegToolkitError(
                "no-label", f"Case {bare} has no label to test against.", "Leave it out of --cases."
            )
    cases = [case for case in cases if case.label is not None]
    lacking = {case.id: names for case in cases if (names := _not_looked_for(dataset, model.card, case))}
    cases = [case for case in cases if case.id not in lacking]
    if lacking:
        first = next(iter(lacking))
        (reporter or TerminalReporter()).warning(
            f"{len(lacking)} case(s) are not tested, because nobody looked for all structures of"
            f" {model.card.name} in them: {first} ({', '.join(lacking[first])})"
            f"{''.join(f', {id}' for id in list(lacking)[1:5])}{' ...' if len(lacking) > 5 else ''}.",
            "Annotate these structures there, or give other --cases.",
        )
    if not cases:
        raise SegToolkitError(
            "no-cases",
            f"There is no {'completely ' if lacking else ''}labelled case to test on.",
            "Choose other --cases.",
        )
    _check_unseen(dataset, model.card, cases)
    return cases


def _not_looked_for(dataset: Dataset, card: ModelCard, case: Case) -> list[str]:
    """Structures of the model that were not looked for in a case."""
    skipped = not_looked_for(dataset, case.id)
    # Labels that share a class share its name ("left lung + right lung"); an object may be of several.
    told = card.training.settings.get("data", {}).get("structures") or ()
    names = [*told, *(part for label in card.labels for part in label.name.split(" + "))]
    found = {own for name in names for own in _same_structure(name, dataset.description.labels)}
    # Where no name is known, any structure may be meant.
    return [name for name in skipped if name in found] if found else skipped


def _same_structure(name: str, others: Iterable[str]) -> set[str]:
    """Those of other names that mean the same: spelt alike, or else the same organ."""
    known, others = structure_of(name), set(others)
    alike = {other for other in others if label_key(other) == label_key(name)}
    return alike or {other for other in others if known is not None and structure_of(other) == known}


def _check_unseen(dataset: Dataset, card: ModelCard, cases: Sequence[Case]) -> None:
    """Neither a case nor another image of its patient may have taught the model."""
    seen = trained_cases(dataset, card)
    patients = {dataset.patients.get(id, id) for id in seen}
    for case in cases:
        if case.id in seen or dataset.patients.get(case.id, case.id) in patients:
            what = f"case {case.id}" if case.id in seen else f"another image of the patient of case {case.id}"
            raise SegToolkitError(
                "trained-on-test",
                f"{card.name} was trained on {what}, which would be tested.",
                "Test each model on what it left out (--cases held-out, or its fold).",
            )


def trained_cases(dataset: Dataset, card: ModelCard) -> set[str]:
    """Ids of the cases of a data set that a model was trained on."""
    return {
        case_key(id)
        for trained in card.trained_on
        if trained.dataset == dataset.description.name
        for id in trained.cases
    }


def check_labels(dataset: Dataset, card: ModelCard) -> None:
    """Raise SegToolkitError "labels-differ" where the data set calls a value of the model differently."""
    ours = {value: name for name, value in dataset.description.labels.items()}
    for label in card.labels:
        if ours.get(label.value, label.name).casefold() != label.name.casefold():
            raise SegToolkitError(
                "labels-differ",
                f"Label {label.value} is {label.name} for {card.name}, but {ours[label.value]} in"
                f" {dataset.description.name}.",
                "Test the model on a data set with its labels.",
            )


def segment_cases(
    method: AutomaticMethod,
    model: OpenedModel,
    cases: Sequence[Case],
    out: Path,
    how: How,
    reporter: Reporter,
) -> tuple[list[Pair], Costs, Failures]:
    """Segment cases and write the results.

    Args:
        method: of the model.
        model: to apply.
        cases: to segment.
        out: folder of the results, ``<id>.nii.gz`` each.
        how: see :class:`How`.
        reporter: hears of progress.

    Returns:
        What to score; the seconds of each part of the work by case (with ``how.alone`` what the whole process
        took, in the measures of FLARE22); and why cases failed.
    """
    segmenter = None if how.alone else method.load(model.folder, model.card, how.device, how.precision)
    options = AutomaticOptions(mode=how.mode, small=how.small)
    pairs, costs, failures = [], {}, {}
    for done, case in enumerate(cases, start=1):
        target = out / f"{case.id}.nii.gz"
        try:
            if segmenter is None:
                costs[case.id] = _in_own_process(model, case, target, how)
            else:
                started = time.perf_counter()
                image = read_volume(case.image)
                read = time.perf_counter()
                result = segmenter.segment(image, options)
                segmented = time.perf_counter()
                write_volume(result.labels, target)
                ended = time.perf_counter()
                costs[case.id] = {
                    "read_s": read - started,
                    **{f"{part}_s": seconds for part, seconds in result.seconds.items()},
                    "write_s": ended - segmented,
                    "total_s": ended - started,
                }
            assert case.label is not None
            pairs.append(Pair(case.id, case.label, target, model.fold))
        except SegToolkitError as error:
            failures[case.id] = error
        reporter.progress("segmenting", done, len(cases))
    return pairs, costs, failures


def _in_own_process(model: OpenedModel, case: Case, target: Path, how: How) -> dict[str, float]:
    """Segment a case as the command line does, and watch the machine meanwhile."""
    command = [sys.executable, "-m", "SegToolkitLib", "segment", model.card.method]
    command += ["--accept-licence", "--overwrite"]
    command += ["--model", str(model.folder), "-i", str(case.image), "-o", str(target)]
    command += ["--device", str(how.device), "--precision", how.precision, "--mode", how.mode]
    command += ["--small"] if how.small else []
    with Sampler(_gpu_number(how.device)) as sampler:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise SegToolkitError(
            "segment-failed",
            f"Case {case.id} could not be segmented: {' '.join(done.stderr.split()[-60:])}",
            "Run segtoolkit segment on it to see more.",
        )
    return asdict(sampler.efficiency())


def _gpu_number(device: torch.device) -> str | None:
    """What nvidia-smi calls a device, which numbers all GPUs, whichever this process may see."""
    if device.type != "cuda":
        return None
    visible = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    index = device.index or 0
    return visible[index] if index < len(visible) else str(index)
