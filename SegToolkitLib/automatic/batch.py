"""Many images one after the other, from files to files; what one of them lacks does not stop the others."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.automatic.inputs import Item, overlay_file
from SegToolkitLib.automatic.run import Finished, segment_volume
from SegToolkitLib.automatic.segmenter import AutomaticOptions, AutomaticSegmenter, Described
from SegToolkitLib.automatic.timing import remember
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlay import overlay_picture
from SegToolkitLib.evaluation.tables import write_csv
from SegToolkitLib.events import Reporter
from SegToolkitLib.models.card import Label, ModelCard
from SegToolkitLib.palette import label_colour_fraction
from SegToolkitLib.volume import (
    Segment,
    Segmentation,
    Volume,
    list_dicom_series,
    onto_grid,
    read_dicom_series,
    read_volume,
    write_segmentation,
    write_volume,
)


@dataclass(frozen=True)
class Job:
    """What is done with every image.

    Attributes:
        segmenter, card, described: the loaded model.
        options: checked ones.
        overlay: a file for one image, a folder for several; None writes none.
        table: CSV of all images.
        series: UIDs to choose from where a DICOM folder has several series.
    """

    segmenter: AutomaticSegmenter
    card: ModelCard
    described: Described
    options: AutomaticOptions
    overlay: Path | None = None
    table: Path | None = None
    series: Sequence[str] = ()


def segment_files(
    job: Job, items: Sequence[Item], reporter: Reporter, overwrite: bool = False
) -> dict[str, object]:
    """Segment images.

    Args:
        job: what is done with each.
        items: images and where their results go.
        reporter: hears of progress.
        overwrite: segment anew what has a result already; otherwise it is passed over.

    Returns:
        ``results`` (image, segmentation, seconds), ``skipped`` (files that were there) and ``table``.

    Raises:
        SegToolkitError: an image failed; those after it were segmented all the same.
    """
    there = [item for item in items if item.target.exists() and not overwrite]
    if there:
        reporter.warning(f"{_count(there)} passed over: a result is there.", "--overwrite makes them anew.")
    to_do = [item for item in items if item not in there]
    results: list[dict[str, object]] = []
    failures: list[tuple[Item, SegToolkitError]] = []
    rows: list[dict[str, Any]] = _kept_rows(job.table, there)
    for number, item in enumerate(to_do, start=1):
        if len(to_do) > 1:
            reporter.info(f"{item.name} ({number} of {len(to_do)})")
        try:
            seconds, done = _one(job, item, len(items) == 1, reporter)
        except Exception as error:
            told = _told(error)
            if told is None:
                raise
            failures.append((item, told))
            if len(to_do) > 1:
                reporter.warning(f"{item.name}: {told.message}", told.hint)
            continue
        results.append({"image": str(item.image), "segmentation": str(item.target), "seconds": seconds})
        rows += [{"image": item.name, **asdict(row)} for row in done.rows]
        if job.table is not None:
            write_csv(job.table, rows)
    if failures:
        raise _failed(failures, len(to_do))
    skipped = [str(item.target) for item in there]
    return {"results": results, "skipped": skipped, "table": str(job.table) if job.table else None}


def _one(job: Job, item: Item, alone: bool, reporter: Reporter) -> tuple[dict[str, float], Finished]:
    """Segment one image and write all its files; the result itself comes last, as it says "done"."""
    started = time.monotonic()
    reporter.progress("reading", 0, 1)
    volume = _read(item.image, job.series)
    _check_holds(item.target, volume)
    reporter.progress("reading", 1, 1)
    read = time.monotonic()
    done = segment_volume(job.segmenter, job.card, volume, job.options, reporter.progress, job.described)
    for note in done.result.notes:
        reporter.warning(note)
    writing = time.monotonic()
    for name, values in done.result.maps.items():
        # A method may look at a box of the volume only; other programs want the image's voxels.
        write_volume(onto_grid(values, volume, label=False), item.map_file(name))
    if job.overlay is not None:
        names = {label.value: label.name for label in done.wanted}
        picture = overlay_file(job.overlay, item, alone)
        overlay_picture(volume, done.result.labels, picture, names=names, title=item.name)
    found = [label for label, row in zip(done.wanted, done.rows, strict=True) if row.voxels]
    segmentation = Segmentation(done.result.labels, [segment_of(label) for label in found])
    write_segmentation(segmentation, item.target)
    ended = time.monotonic()
    reporter.info(f"Wrote {item.target}")
    remember(job.card, str(job.segmenter.device), job.options, ended - started)
    seconds = {"read": read - started, **done.seconds, "write": ended - writing, "total": ended - started}
    return {part: round(value, 3) for part, value in seconds.items()}, done


def _check_holds(target: Path, volume: Volume) -> None:
    """A volume does not fit into a picture: found out before the work."""
    slices = volume.voxels.shape[0]
    if target.suffix.lower() == ".png" and slices > 1:
        raise SegToolkitError(
            "not-a-picture",
            f"{target.name} holds one slice, but {volume.name or 'the image'} has {slices}.",
            "Use another --format, or end the name in .seg.nrrd.",
        )


def segment_of(label: Label) -> Segment:
    """The label of a card as a segment of a file."""
    colour = label.colour or label_colour_fraction(label.value)
    return Segment(label.value, label.name, colour, label.terminology)


def _read(path: Path, series: Sequence[str]) -> Volume:
    """A volume file, or the one series of a DICOM folder (the one among ``series``, if it has several)."""
    if not path.is_dir():
        return read_volume(path)
    picked = {one.uid for one in list_dicom_series(path)} & set(series)
    return read_dicom_series(path, next(iter(picked)) if len(picked) == 1 else None)


def _kept_rows(table: Path | None, there: Sequence[Item]) -> list[dict[str, Any]]:
    """Rows of an earlier table for the images that are passed over."""
    if table is None or not table.is_file():
        return []
    names = {item.name for item in there}
    with table.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row.get("image") in names]


def _told(error: Exception) -> SegToolkitError | None:
    """What a person reads about an image that failed; None for a fault of ours, which stops the work."""
    if isinstance(error, SegToolkitError):
        # A full disk will fail for the next image too.
        return None if error.code == "write-failed" else error
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return SegToolkitError(
            "out-of-memory", "There was not enough memory.", "Use --small, or --device cpu."
        )
    return None


def _failed(failures: Sequence[tuple[Item, SegToolkitError]], count: int) -> SegToolkitError:
    if count == 1:
        return failures[0][1]
    listed = " ".join(f"{item.name}: {error.message}" for item, error in failures)
    return SegToolkitError(
        "images-failed",
        f"{len(failures)} of {count} images could not be segmented. {listed}",
        "Mend or leave out these images and run the command again: the others are not segmented twice.",
    )


def _count(items: Sequence[Item]) -> str:
    return "1 image is" if len(items) == 1 else f"{len(items)} images are"
