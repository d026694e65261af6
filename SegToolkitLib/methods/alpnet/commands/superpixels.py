"""``segtoolkit superpixels alpnet``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.commands.data_options import add_dataset, open_dataset
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.sharding import add_shard


def _add_arguments(parser: ArgumentParser) -> None:
    add_dataset(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument(
        "--preset", default="published", help="of train, whose superpixels these will be (default: published)"
    )
    parser.add_argument("--scale", type=float, help="of the cut; this and what follows: if not the preset's")
    parser.add_argument("--sigma", type=float, help="smoothing before the cut, in pixels")
    parser.add_argument("--min-size", type=int, help="smallest superpixel, in pixels")
    parser.add_argument(
        "--fg-threshold",
        metavar="T",
        help='patient mask: number, "otsu" or "percentile:N" (default: the data set\'s)',
    )
    parser.add_argument(
        "--compat", action="store_true", help="number them by the authors' rule, gaps included"
    )
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    add_shard(parser, "cases")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.alpnet.settings import PRESETS, AlpnetSettings
    from SegToolkitLib.methods.alpnet.superpixel_files import preview_picture, pseudo_labels_of
    from SegToolkitLib.methods.alpnet.superpixels import worker_pool
    from SegToolkitLib.methods.alpnet.training import METHOD
    from SegToolkitLib.methods.alpnet.training_data import superpixel_settings
    from SegToolkitLib.training.command import preset_of
    from SegToolkitLib.volume import read_volume

    dataset = open_dataset(options)
    presets = {name: preset.settings for name, preset in METHOD.presets.items()} | PRESETS
    preset = preset_of(presets, options.preset)
    assert isinstance(preset, AlpnetSettings)
    wanted = superpixel_settings(dataset, preset.data.model_copy(update=_given(options)))
    cases = options.shard.of(dataset.cases)
    if not cases:
        reporter.info(f"There are no cases for part {options.shard}.")
    preview = None
    with worker_pool(options.workers) as pool:
        for done, case in enumerate(cases, start=1):
            image = read_volume(case.image)
            for one in wanted:
                labels = pseudo_labels_of(case.id, image, one, options.out, reporter, pool)
                # Of the data set's first case: of several parts, one alone writes the picture.
                if case.id == dataset.cases[0].id and one is wanted[0]:
                    preview = options.out / "preview.png"
                    preview_picture(image, labels, preview)
            reporter.progress("superpixels", done, len(cases))
    return {"folder": str(options.out), "preview": None if preview is None else str(preview)}


def _given(options: Namespace) -> dict[str, object]:
    """Settings of a training's data that the options name."""
    named = {
        "superpixel_scale": options.scale,
        "superpixel_sigma": options.sigma,
        "superpixel_min_sizes": None if options.min_size is None else [options.min_size],
        "threshold": options.fg_threshold,
        "superpixel_rule": "compat" if options.compat else None,
    }
    return {name: value for name, value in named.items() if value is not None}


COMMAND = Command("cut every slice into superpixels, the pseudo-labels of training", _add_arguments, _run)
