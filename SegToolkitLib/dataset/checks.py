"""What is wrong with a data set, case by case and as a whole, before anybody trains on it."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from SegToolkitLib.atomic import write_text
from SegToolkitLib.dataset.batch import for_each_case
from SegToolkitLib.dataset.case import Case
from SegToolkitLib.dataset.channels import on_one_grid
from SegToolkitLib.dataset.description import FILE_NAME, DatasetDescription
from SegToolkitLib.dataset.nnunet_rules import broken_rules
from SegToolkitLib.dataset.splits import FILE_NAME as SPLITS_FILE
from SegToolkitLib.dataset.splits import read_splits
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json
from SegToolkitLib.volume import Volume, check_label, read_volume

if TYPE_CHECKING:
    from SegToolkitLib.dataset.dataset import Dataset, Progress

Severity = Literal["error", "warning"]
# What a person may have meant; everything else stops a training or spoils its figures.
WARNINGS = frozenset(
    {"empty-label", "spacing", "duplicate-image", "no-labels", "not-listed", "folds", "not-in-splits"}
    | {"same-channels"}
)
# A spacing this many times larger or smaller than the median is an outlier where spacings differ anyway.
SPACING_FACTOR = 2.0
# Below this, starting processes takes longer than reading.
PARALLEL_FROM_BYTES = 300 << 20


@dataclass(frozen=True)
class Problem:
    """Something in a data set that a person should look at.

    Attributes:
        case: its id; "" for the data set as a whole.
        code: short name of the kind of problem, for programs.
        message: a sentence.
        severity: "error" for what stops a training or spoils it, "warning" for what may be meant so.
    """

    case: str
    code: str
    message: str
    severity: Severity = "error"


@dataclass(frozen=True)
class _Facts:
    """What reading a case has shown; small enough to travel between processes."""

    problems: list[Problem] = field(default_factory=list)
    spacing: tuple[float, ...] | None = None
    digest: str = ""


def check(dataset: Dataset, progress: Progress | None = None, workers: int | None = None) -> list[Problem]:
    """Read every case and list what is wrong, the whole data set first, then in the order of the cases.

    Args:
        dataset: what to check.
        progress: called with (done, total) after each case.
        workers: processes that read; None takes one a core where there is much to read, else this one.

    Raises:
        SegToolkitError: there are no cases to check, or two have one id.
    """
    cases = dataset.cases
    if workers is None:
        size = sum(path.stat().st_size for case in cases for path in _files(case) if path.exists())
        workers = (os.cpu_count() or 1) if size >= PARALLEL_FROM_BYTES else 1
    facts: dict[str, _Facts] = {}
    failures = for_each_case(
        _examine,
        {case.id: (case, dataset.description) for case in cases},
        facts.__setitem__,
        workers,
        None if progress is None else lambda done, total, _text: progress(done, total),
    )
    problems = [*_rules(dataset), *_channels(dataset), *_labels(dataset), *_folds(dataset)]
    problems += [_problem(id, error.code, str(error)) for id, error in failures.items()]
    problems += [problem for one in facts.values() for problem in one.problems]
    if dataset.description.spacing_known:
        problems += _spacings(
            {id: one.spacing for id, one in facts.items() if one.spacing}, dataset.description.spacing
        )
    problems += _duplicates(dataset, {id: one.digest for id, one in facts.items() if one.digest})
    place = {id: n for n, id in enumerate(["", *dataset.ids])}
    return sorted(dict.fromkeys(problems), key=lambda one: place.get(one.case, 0))


def table(problems: Sequence[Problem]) -> str:
    """The problems as lines for a terminal; "" if there are none."""
    rows = [
        ("severity", "case", "problem", ""),
        *((p.severity, p.case or "-", p.code, p.message) for p in problems),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join((*(text.ljust(w) for text, w in zip(row, widths, strict=False)), row[3])).rstrip()
        for row in rows
    ]
    return "\n".join(lines) if problems else ""


def write_csv(path: Path, problems: Iterable[Problem]) -> None:
    """Write the problems as a CSV file with the columns case, code, message, severity.

    Raises:
        SegToolkitError: "write-failed".
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(Problem.__dataclass_fields__)
    rows.writerows(astuple(one) for one in problems)
    write_text(path, text.getvalue())


def _examine(job: tuple[Case, DatasetDescription]) -> _Facts:
    case, description = job
    facts = _Facts()
    images: dict[str, Volume] = {}
    files = dict(case.images) or {"": case.image}
    for name, file in files.items():
        try:
            image = images[name] = read_volume(file)
        except SegToolkitError as error:
            facts.problems.append(_problem(case.id, error.code, str(error)))
            continue
        if image.voxels.min() == image.voxels.max():
            facts.problems.append(
                _problem(case.id, "constant-image", f"Every voxel of {file.name} is {image.voxels.flat[0]}.")
            )
    if not images:
        return facts
    first = next(iter(images.values()))
    if case.label is not None:
        facts.problems.extend(_label(case, first, description))
    facts.problems.extend(_grids(case, images))
    digests = {name: _digest(image.voxels) for name, image in images.items()}
    facts.problems.extend(_same_channels(case, digests))
    spacing = tuple(round(float(one), 3) for one in first.spacing)
    return _Facts(facts.problems, spacing, "".join(digests.values()) if len(images) == len(files) else "")


def _grids(case: Case, images: Mapping[str, Volume]) -> Iterator[Problem]:
    first, *others = images
    for name in others:
        try:
            on_one_grid({first: images[first], name: images[name]}, f"case {case.id}")
        except SegToolkitError as error:
            yield _problem(case.id, error.code, str(error))


def _same_channels(case: Case, digests: Mapping[str, str]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for name, digest in digests.items():
        if first.setdefault(digest, name) != name:
            yield _problem(
                case.id,
                "same-channels",
                f"The image {name} of case {case.id} is that of {first[digest]}, value by value.",
            )


def _label(case: Case, image: Volume, description: DatasetDescription) -> Iterator[Problem]:
    assert case.label is not None
    try:
        label = check_label(read_volume(case.label, label=True), image)
    except SegToolkitError as error:
        yield _problem(case.id, error.code, str(error))
        return
    values = np.unique(label.voxels).astype(int)
    unknown = description.unknown_labels(values.tolist())
    if unknown:
        yield _problem(case.id, "unknown-label", f"{case.label.name}: {unknown}.")
    if not values.any():
        yield _problem(case.id, "empty-label", f"{case.label.name} holds background only.")


def _digest(voxels: np.ndarray) -> str:
    """Of the values alone: the same scan may have been saved as another type, format or placement."""
    plain = np.ascontiguousarray(voxels, dtype=np.float32)
    return hashlib.blake2b(plain.data, digest_size=16).hexdigest() + str(plain.shape)


def _rules(dataset: Dataset) -> Iterator[Problem]:
    file = dataset.folder / FILE_NAME
    if file.is_file() and "channel_names" in read_json(file):
        for id, code, message in broken_rules(dataset.folder):
            yield _problem(str(int(id)) if id.isdecimal() else id, code, message)


def _channels(dataset: Dataset) -> Iterator[Problem]:
    for id, path in dataset.without_image().items():
        yield _problem("", "no-image", f"{path} is of no case: case {id} has no image of the main channel.")


def _labels(dataset: Dataset) -> Iterator[Problem]:
    missing = [case for case in dataset.cases if case.label is None and not case.unlabelled]
    if all(case.label is None for case in dataset.cases):
        yield _problem("", "no-labels", f"No case of {dataset.description.name} has a label.")
    elif dataset.listing is None and not dataset.description.unlabelled_image_pattern:
        for case in missing:
            yield Problem(
                case.id, "no-label", f"{case.image.name} has no label, other cases have.", "warning"
            )


def _folds(dataset: Dataset) -> Iterator[Problem]:
    try:
        splits, count = read_splits(dataset), dataset.fold_count
    except SegToolkitError as error:
        yield _problem("", error.code, str(error), "error")
        return
    if count == 0:
        patients = len(set(dataset.patients.values()))
        of = "" if patients == len(dataset.ids) else f" of {patients} patients"
        yield _problem(
            "",
            "folds",
            f"{len(dataset.ids)} cases{of} are too few for {dataset.description.folds} folds: train on all of"
            " them, or make fewer folds (segtoolkit dataset split --folds).",
        )
    placed = {id for one in splits or () for id in (*one.train, *one.val)}
    for id in dataset.ids if splits else ():
        if id not in placed:
            yield _problem(
                id, "not-in-splits", f"Case {id} is in no fold of {SPLITS_FILE}: it is never used."
            )


def _spacings(
    found: Mapping[str, tuple[float, ...]], described: tuple[float, float, float] | None
) -> Iterator[Problem]:
    if not found:
        return
    common, count = Counter(found.values()).most_common(1)[0]
    expected = described or (common if 2 * count > len(found) else None)
    median = np.median(np.array(list(found.values())), axis=0)
    for id, spacing in found.items():
        if expected is not None:
            odd, wanted = not np.allclose(spacing, expected, rtol=1e-3, atol=1e-3), expected
        else:
            ratio = np.array(spacing) / median
            odd = bool((ratio > SPACING_FACTOR).any() or (ratio < 1 / SPACING_FACTOR).any())
            wanted = tuple(float(one) for one in median)
        if odd:
            text = [" x ".join(f"{one:g}" for one in mm) for mm in (spacing, wanted)]
            why = {True: "was described" if described else "is that of most cases", False: "is the median"}
            yield _problem(
                id,
                "spacing",
                f"Case {id} has voxels of {text[0]} mm; {text[1]} mm {why[expected is not None]}.",
            )


def _duplicates(dataset: Dataset, digests: Mapping[str, str]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for id, digest in digests.items():
        other = first.setdefault(digest, id)
        if other == id:
            continue
        apart = dataset.patients[id] != dataset.patients[other]
        yield _problem(
            id,
            "duplicate-image",
            f"The image of case {id} is that of case {other}, value by value"
            + ("; as different patients they may end up in training and in validation." if apart else "."),
        )


def _problem(case: str, code: str, message: str, severity: Severity | None = None) -> Problem:
    return Problem(case, code, message, severity or ("warning" if code in WARNINGS else "error"))


def _files(case: Case) -> list[Path]:
    return [*case.image_files] + ([case.label] if case.label else [])
