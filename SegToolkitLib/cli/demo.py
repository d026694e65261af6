"""``segtoolkit demo``: the main job on one volume, with its score, time and picture."""

from __future__ import annotations

import math
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.cli.options import ask_in_terminal
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

if TYPE_CHECKING:
    from SegToolkitLib.volume import Volume

STARTER = "abdomen-mr-t2-compact"


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="FOLDER", help="where to write (default: demo)"
    )
    parser.add_argument("--image", type=Path, help="your volume (default: a synthetic abdomen)")
    parser.add_argument(
        "--label", type=Path, help="its label map; one slice of it is shown, the rest is compared"
    )
    parser.add_argument("--slice", type=int, help="outlined slice (default: the one that shows most)")
    parser.add_argument("--seed", type=int, default=7, help="which synthetic patient (default: 7)")
    parser.add_argument("--model", default=STARTER, help=f"few-shot model (default: {STARTER})")
    parser.add_argument("--accept-licence", action="store_true", help="accept the model's licence")
    parser.add_argument("--device", default="auto")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.evaluation.overlay import overlay_picture
    from SegToolkitLib.evaluation.tables import write_results
    from SegToolkitLib.methods.alpnet.protocol import scan_scores
    from SegToolkitLib.methods.alpnet.segment import FewShotSegmenter
    from SegToolkitLib.methods.alpnet.slices import slice_axis
    from SegToolkitLib.volume import write_segmentation, write_volume

    image, truth, names = _volumes(options)
    if not (truth.voxels > 0).any() or truth.voxels.min() < 0:
        raise SegToolkitError(
            "empty-mask",
            f"{options.label} outlines nothing, or has negative values.",
            "Give a label map with values from 1.",
        )
    synthetic = options.image is None
    axis = slice_axis(image, "acquired")
    by_slice = np.moveaxis(truth.voxels, 2 - axis, 0)
    outlined = richest_slice(by_slice) if options.slice is None else options.slice
    if not 0 <= outlined < len(by_slice):
        raise SegToolkitError(
            "slice-outside",
            f"There is no slice {outlined}: the volume has 0 to {len(by_slice) - 1}.",
            "Choose one of them.",
        )
    if not by_slice[outlined].any():
        raise SegToolkitError(
            "empty-slice",
            f"Nothing is outlined on slice {outlined}.",
            "Choose another with --slice (make demo SLICE=n).",
        )
    structures = {int(v): names.get(int(v), f"label {int(v)}") for v in np.unique(by_slice[outlined]) if v}
    reporter.info(
        f"{'Synthetic abdomen' if synthetic else options.image}, {' x '.join(map(str, image.grid.size))}"
        f" voxels; shown: slice {outlined} with {', '.join(structures.values())}"
    )
    segmenter = FewShotSegmenter.from_model(
        options.model,
        device=str(choose_device(options.device)),
        accept_licence=options.accept_licence,
        ask=ask_in_terminal(),
    )
    if not segmenter.card.licence.permissive:
        reporter.info(f"Model terms ({segmenter.card.licence.name}): {segmenter.card.licence.summary}")
    started = time.monotonic()
    segmenter.set_support(image, truth, [outlined], structures)
    result = segmenter.segment(
        image, keep_largest=True, progress=lambda done, total: reporter.progress("segmenting", done, total)
    )
    seconds = time.monotonic() - started
    # The shown slice is given, so it is left out of the score.
    rest = np.arange(len(by_slice)) != outlined
    found = np.moveaxis(result.labels.voxels, 2 - axis, 0)[rest]
    dice = {
        name: round(scan_scores(found == number, by_slice[rest] == value).dice, 3)
        for number, (value, name) in enumerate(structures.items(), start=1)
    }
    out: Path = options.out
    write_volume(image, out / "image.nii.gz")
    write_segmentation(result.segmentation, out / "segmentation.seg.nrrd")
    lookup = np.zeros(int(truth.voxels.max()) + 1, dtype=np.uint8)
    for number, one in enumerate(structures, start=1):  # the result numbers them anew
        lookup[one] = number
    picture = out / "overlay.png"
    shown_slices = shown_with(outlined, by_slice)
    overlay_picture(
        image,
        result.labels,
        picture,
        truth=truth.with_voxels(lookup[truth.voxels]),
        names={s.label: s.name for s in result.segmentation.segments},
        title=f"One outlined slice (framed), {seconds:.1f} s"
        if axis == 2
        else f"One outlined slice, {seconds:.1f} s",
        slices=shown_slices if axis == 2 else None,
        mark_slices=[outlined] if axis == 2 else [],
        caption="Synthetic phantom, not a patient." if synthetic else "",
    )
    write_results(
        out / "result.json",
        {
            "model": options.model,
            "synthetic": synthetic,
            "outlined_slice": outlined,
            "dice": dice,
            "seconds": seconds,
        },
    )
    for name, score in dice.items():
        reporter.info(
            f"  Dice {score:.3f}  {name}" if math.isfinite(score) else f"  no other slice shows {name}"
        )
    reporter.info(f"{seconds:.1f} s on {segmenter.predictor.device}; picture: {picture}")
    reporter.info(f"The segmentation lies in {out / 'segmentation.seg.nrrd'}.")
    return {"dice": dice, "seconds": round(seconds, 2), "picture": str(picture), "folder": str(out)}


def richest_slice(by_slice: NDArray) -> int:
    """The slice of [n, H, W] with most structures; among those, the one with the largest smallest one."""

    def rank(z: int) -> tuple[int, int]:
        counts = np.bincount(by_slice[z].ravel())[1:]
        present = counts[counts > 0]
        return len(present), int(present.min(initial=by_slice[z].size)) if len(present) else 0

    return max(range(len(by_slice)), key=rank)


def shown_with(outlined: int, by_slice: NDArray, count: int = 12) -> list[int]:
    """Slices for the picture: evenly over those that hold a structure, the outlined one among them."""
    present = np.flatnonzero(by_slice.any((1, 2)))
    evenly = {int(present[int((n + 0.5) * len(present) / count)]) for n in range(count)}
    if outlined not in evenly:
        evenly.discard(min(evenly, key=lambda z: abs(z - outlined)))
        evenly.add(outlined)
    return sorted(evenly)


def _volumes(options: Namespace) -> tuple[Volume, Volume, dict[int, str]]:
    """Image, truth and structure names: the user's, or a phantom's."""
    from SegToolkitLib.phantom import LABEL_NAMES, phantom
    from SegToolkitLib.volume import check_label, read_volume
    from SegToolkitLib.volume.segmentation_file import is_segmentation_name, read_segmentation

    if options.image is None and options.label is None:
        patient = phantom(options.seed)
        return patient.image, patient.label, dict(LABEL_NAMES)
    if options.image is None or options.label is None:
        raise SegToolkitError(
            "half-given", "Only one of image and label is given.", "Give both: make demo IMAGE=... LABEL=..."
        )
    image = read_volume(options.image)
    if not is_segmentation_name(options.label):
        return image, check_label(read_volume(options.label, label=True), image), {}
    drawn = read_segmentation(options.label)
    return image, check_label(drawn.labels, image), {one.label: one.name for one in drawn.segments}


COMMAND = Command("run the main job on one volume and show what comes out", _add_arguments, _run)
