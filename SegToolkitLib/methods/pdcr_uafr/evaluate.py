"""Models on labelled images: measures of every image, and their means, for both ways to the image's size.

Source of the protocol: released code of PDCR and UAFR: a table of confusion for each image, whose measures
are averaged over images. Where the released numbers average the background in, ours have two names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from SegToolkitLib.dataset.batch import Failures
from SegToolkitLib.dataset.dataset import Case
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.image_scores import Absent, ImageScores, ScoreTable, score_table
from SegToolkitLib.evaluation.tables import write_csv, write_results
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.pdcr_uafr.predict import raw
from SegToolkitLib.methods.pdcr_uafr.reading import classes_in, read_slices
from SegToolkitLib.methods.pdcr_uafr.resizing import classes_at
from SegToolkitLib.methods.pdcr_uafr.segment import PdcrUafrSegmenter
from SegToolkitLib.methods.pdcr_uafr.slices import Pixels, normalised, resized, resized_classes

Resize = Literal["first", "after"]


@dataclass(frozen=True)
class Protocol:
    """How results are compared with labels.

    Attributes:
        resizes: ways to the image's size.
        size: where they are compared: the image's own size, or the network's, to which masks are resized then
            (as published for DigestPath).
        absent: see :meth:`ImageScores.of`.
        decimals: round each image's measures; None does not.
    """

    resizes: tuple[Resize, ...] = ("first", "after")
    size: Literal["image", "network"] = "image"
    absent: Absent = "exclude"
    decimals: int | None = None


@dataclass
class Evaluated:
    """What came out.

    Attributes:
        tables: way to the image's size -> case -> counts.
        failures: why a case could not be used.
    """

    tables: dict[Resize, dict[str, Confusion]] = field(default_factory=dict)
    failures: Failures = field(default_factory=dict)


def evaluate(
    segmenter: PdcrUafrSegmenter,
    cases: Sequence[Case],
    classes: Mapping[int, int],
    protocol: Protocol,
    reporter: Reporter,
) -> Evaluated:
    """Segment labelled cases once, and count pixels; of a volume, those of all slices together.

    Args:
        segmenter: the model.
        cases: with labels.
        classes: label value of the data set -> class of the model.
        protocol: how to compare.
        reporter: hears of progress.
    """
    found = Evaluated({resize: {} for resize in protocol.resizes})
    count = segmenter.network.classes
    for done, case in enumerate(cases, start=1):
        try:
            stack, values = read_slices(case, segmenter.plan.input)
            truth = classes_in(values, case, classes)
            if protocol.size == "network":
                truth = resized_classes(truth, segmenter.plan.input.size)
            made = {resize: Confusion(count) for resize in protocol.resizes}
            for start, predicted in _predicted(segmenter, stack.pixels, truth.shape[1:], protocol.resizes):
                for resize, classes_found in predicted.items():
                    made[resize].add(truth[start : start + len(classes_found)], classes_found)
            for resize, table in made.items():
                found.tables[resize][case.id] = table
        except SegToolkitError as error:
            found.failures[case.id] = error
            reporter.warning(f"Case {case.id} is left out: {error.message}", error.hint)
        reporter.progress("evaluating", done, len(cases))
    return found


@torch.inference_mode()
def _predicted(
    segmenter: PdcrUafrSegmenter, pixels: Pixels, size: tuple[int, ...], resizes: Sequence[Resize]
) -> list[tuple[int, dict[Resize, NDArray[np.uint8]]]]:
    """Number of the first slice, and classes of some slices, by the way to their size."""
    plan, parts = segmenter.plan, []
    for start in range(0, len(pixels), plan.inference.chunk):
        chunk = pixels[start : start + plan.inference.chunk]
        images = normalised(resized(chunk, plan.input.size), plan.input).to(segmenter.device)
        logits, _ = raw(segmenter.network, images, segmenter.device, segmenter.precision)
        parts.append((start, {one: classes_at(logits, size, one).byte().cpu().numpy() for one in resizes}))
    return parts


def write_evaluation(
    folder: Path, found: Evaluated, protocol: Protocol, names: Mapping[int, str], about: Mapping[str, Any]
) -> list[str]:
    """Write ``images.csv`` (a row for each image and way), ``results.json``; return lines for a person.

    Args:
        folder: made if missing.
        found: of :func:`evaluate`.
        protocol: as there.
        names: class -> name.
        about: what else the results say.

    Raises:
        SegToolkitError: "write-failed".
    """
    rows: list[dict[str, Any]] = []
    summaries: dict[str, Any] = {}
    lines: list[str] = []
    for resize, tables in found.tables.items():
        for id, table in tables.items():
            scores = asdict(ImageScores.of(table, protocol.absent))
            dice = {f"dice_{name}": float(table.dice[number]) for number, name in names.items()}
            rows.append({"image": id, "resize": resize, **scores, **(dice if len(names) > 1 else {})})
        table_of_all = score_table(list(tables.values()), protocol.absent, protocol.decimals)
        summaries[resize] = asdict(table_of_all)
        lines += _told(resize, table_of_all)
    write_csv(folder / "images.csv", rows)
    write_results(folder / "results.json", {**about, "protocol": asdict(protocol), "means": summaries})
    return lines


def _told(resize: str, table: ScoreTable) -> list[str]:
    macro = table.macro
    parts = [
        f"{name.replace('_', ' ')} " + (f"{100 * one.mean:.2f} %" if one.count else "none")
        for name, one in macro.items()
    ]
    lines = [f"resize {resize}: {', '.join(parts)} ({macro['accuracy'].count} images)"]
    undefined = table.undefined["foreground_dice"]
    if undefined:
        lines.append(f"{undefined} images show nothing and were given nothing; they have no Dice and IoU.")
    return lines
