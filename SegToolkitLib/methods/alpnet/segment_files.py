"""Few-shot segmentation from files to files."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from SegToolkitLib.device import choose_device
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlay import overlay_picture
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.result import FewShotResult
from SegToolkitLib.methods.alpnet.segment import FOLLOW, REJECT, FewShotSegmenter
from SegToolkitLib.methods.alpnet.slices import Plane
from SegToolkitLib.methods.alpnet.support_set import SupportItem
from SegToolkitLib.methods.alpnet.support_use import add_item, open_support_sets, plane_of
from SegToolkitLib.sharding import WHOLE, Shard
from SegToolkitLib.volume import (
    Segmentation,
    Volume,
    check_range,
    list_dicom_series,
    read_dicom_series,
    read_segmentation,
    read_volume,
    write_segmentation,
    write_volume,
)
from SegToolkitLib.volume.segmentation_file import is_segmentation_name

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
AXES = "ijk"


@dataclass(frozen=True)
class SupportFile:
    """An outlined volume on disk; ``slices`` None means every slice with an outline."""

    image: Path
    mask: Path
    slices: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, words: Sequence[str]) -> SupportFile:
        """Read IMAGE MASK [SLICES].

        Raises:
            SegToolkitError: another number of words, or slices that are no numbers.
        """
        hint = "Write --support IMAGE MASK or --support IMAGE MASK 5,12,20."
        if not 2 <= len(words) <= 3:
            raise SegToolkitError(
                "bad-support", f"A support has 2 or 3 parts, {len(words)} were given.", hint
            )
        try:
            slices = tuple(int(z) for z in words[2].split(",")) if len(words) == 3 else None
        except ValueError as error:
            raise SegToolkitError("bad-support", f"{words[2]!r} are no slice numbers.", hint) from error
        return cls(Path(words[0]), Path(words[1]), slices)


@dataclass(frozen=True)
class SegmentJob:
    """What to segment with what; see ``segtoolkit segment alpnet --help``."""

    model: str
    supports: Sequence[SupportFile]
    queries: Sequence[Path]
    out: Path
    support_sets: Sequence[Path] = ()
    structures: str | None = None
    slices: tuple[int, int] | None = None
    plane: Plane = "acquired"
    series: Sequence[str] = ()
    keep_largest: bool = False
    as_published: bool = False
    confidence: Path | None = None
    overlay: Path | None = None
    batch: int = 8
    device: str = "auto"
    precision: str = "auto"
    accept_licence: bool = False
    ask: Callable[[str], bool] | None = None
    skip_existing: bool = False


def segment_files(job: SegmentJob, reporter: Reporter, shard: Shard = WHOLE) -> dict[str, object]:
    """Read, segment, write.

    Args:
        job: what to segment with what.
        reporter: hears of progress.
        shard: segment this part of the queries only; what all of them would write is checked all the same.

    Returns:
        For each query the written file, the suggested next slice and the seconds taken.

    Raises:
        SegToolkitError: an input is unusable. Results of earlier queries stay.
    """
    job = replace(job, queries=[found for query in job.queries for found in _volumes_of(query)])
    targets = _targets(job)
    if not shard.is_whole:
        job, targets = replace(job, queries=shard.of(job.queries)), shard.of(targets)
    if job.skip_existing:
        left = [place for place, target in enumerate(targets) if not target.exists()]
        if len(left) < len(targets):
            reporter.info(f"{len(targets) - len(left)} of {len(targets)} results are there and passed over.")
        job, targets = replace(job, queries=[job.queries[n] for n in left]), [targets[n] for n in left]
    if not job.queries:
        return {"results": []}
    with open_support_sets(job.support_sets) as items:
        return _segment(replace(job, plane=plane_of(items, job.plane)), items, targets, reporter)


def _segment(
    job: SegmentJob, items: Sequence[SupportItem], targets: Sequence[Path], reporter: Reporter
) -> dict[str, object]:
    segmenter = FewShotSegmenter.from_model(
        job.model,
        device=str(choose_device(job.device)),
        precision=job.precision,
        batch=job.batch,
        plane=job.plane,
        accept_licence=job.accept_licence,
        ask=job.ask,
    )
    names = parse_structures(job.structures)
    known: dict[Path, Volume] = {}
    for support in job.supports:
        if support.image not in known:
            known[support.image] = _read_image(support.image, job.series)
        segmenter.add_support(known[support.image], _read_mask(support.mask), support.slices, names)
    for item in items:
        add_item(segmenter, item)
    never = [name for name in (names or {}).values() if name not in segmenter.structures]
    if never:
        raise SegToolkitError(
            "empty-mask",
            f"{' and '.join(never)} {'is' if len(never) == 1 else 'are'} outlined on no support.",
            "Outline the structure, choose a slice where it is outlined, or take it from --structures.",
        )
    outputs = []
    for query, target in zip(job.queries, targets, strict=True):
        volume = known[query] if query in known else _read_image(query, job.series)
        check_range(volume, segmenter.card.preprocessing.modality)
        started = time.monotonic()
        result = segmenter.segment(
            volume,
            job.slices,
            keep_largest=job.keep_largest,
            reject=None if job.as_published else REJECT,
            follow=None if job.as_published else FOLLOW,
            find_ends=not job.as_published,
            progress=lambda done, total: reporter.progress("segmenting", done, total),
        )
        seconds = time.monotonic() - started
        write_segmentation(result.segmentation, target)
        _write_extras(job, volume, result)
        _tell(result, target, reporter)
        outputs.append(
            {
                "query": str(query),
                "segmentation": str(target),
                "next_slice": result.next_slice,
                "axis": AXES[result.axis],
                "seconds": round(seconds, 2),
            }
        )
    return {"results": outputs}


def parse_structures(text: str | None) -> dict[int, str] | None:
    """Read "1=liver,4=spleen"; None stays None.

    Raises:
        SegToolkitError: another form.
    """
    if text is None:
        return None
    try:
        pairs = [part.split("=", 1) for part in text.split(",")]
        named = {int(value): name.strip() for value, name in pairs}
        if not all(named.values()) or len(named) < len(pairs):
            raise ValueError("an empty name, or a value twice")
        return named
    except ValueError as error:
        raise SegToolkitError(
            "bad-structures",
            f"{text!r} does not name structures.",
            "Write, say, --structures 1=liver,4=spleen.",
        ) from error


def _volumes_of(query: Path) -> list[Path]:
    """The volume files of a folder, by name; a file, and a folder of DICOM, is a query of its own."""
    if not query.is_dir():
        return [query]
    files = sorted(path for path in query.iterdir() if path.name.lower().endswith(VOLUME_SUFFIXES))
    return [path for path in files if not is_segmentation_name(path)] or [query]


def _targets(job: SegmentJob) -> list[Path]:
    """Where each query's result goes; checked before any work starts."""
    if not job.supports and not job.support_sets:
        raise SegToolkitError(
            "no-support", "No outlined volume was given.", "Give --support IMAGE MASK, or --support-set ZIP."
        )
    single = len(job.queries) == 1
    if not single and (job.confidence or job.overlay):
        raise SegToolkitError(
            "several-queries",
            "A confidence volume or an overlay can be written for one query only.",
            "Give the queries one by one.",
        )
    if single and job.out.suffix and not job.out.is_dir():
        targets = [job.out]
    else:
        stems = [_stem(query) for query in job.queries]
        doubled = next((stem for stem in stems if stems.count(stem) > 1), None)
        if doubled:
            raise SegToolkitError(
                "same-name",
                f"Two queries are called {doubled!r} and would overwrite each other.",
                "Rename one.",
            )
        targets = [job.out / f"{stem}.seg.nrrd" for stem in stems]
    extras = [(job.confidence, VOLUME_SUFFIXES), (job.overlay, (".png",))]
    for path, suffixes in [*((target, VOLUME_SUFFIXES) for target in targets), *extras]:
        if path is not None:
            _check_target(path, suffixes)
    _check_no_overwriting(job, targets)
    return targets


def _stem(path: Path) -> str:
    name = path.resolve().name
    suffix = next((s for s in (".seg.nrrd", *VOLUME_SUFFIXES) if name.lower().endswith(s)), path.suffix)
    return name.removesuffix(suffix) or "query"


def _check_target(path: Path, suffixes: Sequence[str]) -> None:
    if not path.name.lower().endswith(tuple(suffixes)):
        raise SegToolkitError(
            "unknown-suffix",
            f"{path} does not say in which format to write.",
            f"End the name in one of {', '.join(suffixes)}, or give an existing folder.",
        )


def _check_no_overwriting(job: SegmentJob, targets: Sequence[Path]) -> None:
    """Refuse an output that is an input or another output."""
    inputs = [
        *job.queries,
        *job.support_sets,
        *(s.image for s in job.supports),
        *(s.mask for s in job.supports),
    ]
    taken = {path.resolve(): "an input" for path in inputs}
    for path in [*targets, job.confidence, job.overlay]:
        if path is None:
            continue
        if path.resolve() in taken:
            raise SegToolkitError(
                "would-overwrite",
                f"{path} is {taken[path.resolve()]} and would be overwritten.",
                "Choose another name for the output.",
            )
        taken[path.resolve()] = "another output"


def _read_image(path: Path, series: Sequence[str]) -> Volume:
    """A volume file, or the one series of a DICOM folder (the one among ``series``, if it has several)."""
    if not path.is_dir():
        return read_volume(path)
    chosen = {one.uid for one in list_dicom_series(path)} & set(series)
    return read_dicom_series(path, next(iter(chosen)) if len(chosen) == 1 else None)


def _read_mask(path: Path) -> Volume | Segmentation:
    return read_segmentation(path) if is_segmentation_name(path) else read_volume(path, label=True)


def _write_extras(job: SegmentJob, volume: Volume, result: FewShotResult) -> None:
    if job.confidence:
        write_volume(result.confidence, job.confidence)
    if job.overlay:
        names = {s.label: s.name for s in result.segmentation.segments}
        overlay_picture(volume, result.labels, job.overlay, names=names)


def _tell(result: FewShotResult, target: Path, reporter: Reporter) -> None:
    for note in result.notes:
        reporter.warning(note)
    reporter.info(f"Wrote {target}")
    if result.next_slice is not None:
        sure = result.slice_confidence[result.next_slice]
        reporter.info(
            f"Least certain: slice {result.next_slice} along {AXES[result.axis]} (confidence {sure:.2f});"
            " outline it next if the result is not good enough."
        )
