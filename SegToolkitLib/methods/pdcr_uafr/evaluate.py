"""Models on labelled images: measures of every image, and their means, for both ways to the image's size.

Source of the protocol: released code of PDCR and UAFR: a table of confusion for each image, whose measures
are averaged over images. Where the released numbers average the background in, ours have two names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from SegToolkitLib.dataset.batch import Failures
from SegToolkitLib.dataset.dataset import Case
from SegToolkitLib.dataset.masks import is_picture
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.image_scores import Absent, ImageScores, ScoreTable, score_table
from SegToolkitLib.evaluation.scoring import DEFAULT_TOLERANCE_MM, generic, score_case
from SegToolkitLib.evaluation.summary import mean_of
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
        tolerance_mm: of the NSD of volumes at their own size; None leaves it out.
    """

    resizes: tuple[Resize, ...] = ("first", "after")
    size: Literal["image", "network"] = "image"
    absent: Absent = "exclude"
    decimals: int | None = None
    tolerance_mm: float | None = DEFAULT_TOLERANCE_MM

    def measures_surfaces(self, case: Case, slices: int) -> bool:
        """Whether a case has an NSD: pictures have no spacing, and a single slice has no surface."""
        known = slices > 1 and not is_picture(case.image)
        return known and self.size == "image" and self.tolerance_mm is not None


@dataclass
class Evaluated:
    """What came out.

    Attributes:
        tables: way to the image's size -> case -> counts.
        nsd: way to the image's size -> case -> surface Dice of each class but the background, NaN where
            neither has it; of cases that have a surface.
        failures: why a case could not be used.
    """

    tables: dict[Resize, dict[str, Confusion]] = field(default_factory=dict)
    nsd: dict[Resize, dict[str, list[float]]] = field(default_factory=dict)
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
    found = Evaluated(
        {resize: {} for resize in protocol.resizes}, {resize: {} for resize in protocol.resizes}
    )
    count = segmenter.network.classes
    for done, case in enumerate(cases, start=1):
        try:
            stack, values = read_slices(case, segmenter.plan.input)
            truth = classes_in(values, case, classes)
            if protocol.size == "network":
                truth = resized_classes(truth, segmenter.plan.input.size)
            predicted = _predicted(segmenter, stack.pixels, truth.shape[1:], protocol.resizes)
            for resize, result in predicted.items():
                table = Confusion(count)
                table.add(truth, result)
                found.tables[resize][case.id] = table
                if protocol.measures_surfaces(case, len(stack)):
                    spacing = stack.upright.spacing[::-1]
                    found.nsd[resize][case.id] = _nsd(truth, result, spacing, count, protocol)
        except SegToolkitError as error:
            found.failures[case.id] = error
            reporter.warning(f"Case {case.id} is left out: {error.message}", error.hint)
        reporter.progress("evaluating", done, len(cases))
    return found


@torch.inference_mode()
def _predicted(
    segmenter: PdcrUafrSegmenter, pixels: Pixels, size: tuple[int, ...], resizes: Sequence[Resize]
) -> dict[Resize, NDArray[np.uint8]]:
    """Classes [slices, rows, columns] by the way to their size."""
    plan = segmenter.plan
    parts: dict[Resize, list[NDArray[np.uint8]]] = {resize: [] for resize in resizes}
    for start in range(0, len(pixels), plan.inference.chunk):
        chunk = pixels[start : start + plan.inference.chunk]
        images = normalised(resized(chunk, plan.input.size), plan.input).to(segmenter.device)
        logits, _ = raw(segmenter.network, images, segmenter.device, segmenter.precision)
        for resize, found in parts.items():
            found.append(classes_at(logits, size, resize).byte().cpu().numpy())
    return {resize: np.concatenate(found) for resize, found in parts.items()}


def _nsd(
    truth: NDArray[Any],
    result: NDArray[np.uint8],
    spacing_zyx: Sequence[float],
    classes: int,
    protocol: Protocol,
) -> list[float]:
    """Surface Dice of the classes 1 to ``classes`` - 1."""
    assert protocol.tolerance_mm is not None
    rules = generic({str(number): number for number in range(1, classes)}, protocol.tolerance_mm)
    return [row.nsd for row in score_case("", truth, result, spacing_zyx, rules)]


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
        surfaces = found.nsd.get(resize, {})
        for id, table in tables.items():
            scores = asdict(ImageScores.of(table, protocol.absent))
            by_class = {"dice": [float(one) for one in table.dice[1:]]}
            if surfaces:
                by_class["nsd"] = surfaces.get(id, [math.nan] * len(names))
                scores["foreground_nsd"] = mean_of(by_class["nsd"]).mean
            if len(names) > 1:
                for measure, values in by_class.items():
                    scores |= {f"{measure}_{name}": values[number - 1] for number, name in names.items()}
            rows.append({"image": id, "resize": resize, **scores})
        table_of_all = score_table(list(tables.values()), protocol.absent, protocol.decimals)
        if surfaces:
            nsd = mean_of([mean_of(one).mean for one in surfaces.values()])
            table_of_all = replace(table_of_all, macro={**table_of_all.macro, "foreground_nsd": nsd})
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
