"""``segtoolkit superpixels alpnet``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.commands.data_options import add_dataset, open_dataset
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    add_dataset(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--sigma", type=float, default=1.0, help="smoothing before the cut, in pixels")
    parser.add_argument("--min-size", type=int, default=400, help="smallest superpixel, in pixels")
    parser.add_argument(
        "--fg-threshold",
        metavar="T",
        help='patient mask: number, "otsu" or "percentile:N" (default: the data set\'s)',
    )
    parser.add_argument(
        "--compat", action="store_true", help="number them by the authors' rule, gaps included"
    )
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.alpnet.superpixel_files import preview_picture, pseudo_labels_of
    from SegToolkitLib.methods.alpnet.superpixels import SuperpixelSettings, worker_pool
    from SegToolkitLib.volume import read_volume

    dataset = open_dataset(options)
    settings = SuperpixelSettings(
        scale=options.scale,
        sigma=options.sigma,
        min_size=options.min_size,
        threshold=options.fg_threshold or dataset.description.foreground_threshold,
        rule="compat" if options.compat else "present",
    )
    preview = options.out / "preview.png"
    with worker_pool(options.workers) as pool:
        for done, case in enumerate(dataset.cases, start=1):
            image = read_volume(case.image)
            labels = pseudo_labels_of(case.id, image, settings, options.out, reporter, pool)
            if done == 1:
                preview_picture(image, labels, preview)
            reporter.progress("superpixels", done, len(dataset.cases))
    return {"folder": str(options.out), "preview": str(preview)}


COMMAND = Command("cut every slice into superpixels, the pseudo-labels of training", _add_arguments, _run)
