"""``segtoolkit prepare alpnet``."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.sharding import add_shard


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("source", choices=["chaos", "sabs", "generic"], help="layout of the raw data")
    parser.add_argument("input", type=Path, help="raw folder; for generic a description file or its folder")
    parser.add_argument("output", type=Path, help="folder to write")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="generic: folder of the volumes, if not the described one"
    )
    parser.add_argument(
        "--modality", choices=["MR", "CT"], help="start from the authors' steps for it (generic)"
    )
    parser.add_argument(
        "--clip-top", type=float, metavar="PERCENT", help="clip the brightest voxels (MR: 0.5)"
    )
    parser.add_argument(
        "--window", type=_numbers, metavar="LOW,HIGH", help="HU window, then mapped to 0..255"
    )
    parser.add_argument("--border", type=int, metavar="PIXELS", help="cut from each in-plane border")
    parser.add_argument("--spacing", type=_numbers, metavar="X,Y,Z", help="resample to this spacing in mm")
    parser.add_argument("--size", type=int, help="rows and columns after the centre crop or padding")
    parser.add_argument(
        "--ranks", action="store_true", help="chaos: the authors' ranks of grey values as labels"
    )
    parser.add_argument(
        "--authors-geometry", action="store_true", help="keep the uncropped origin, as the authors' files do"
    )
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what was prepared with other settings"
    )
    add_shard(parser, "cases")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.alpnet.prepare import prepare_dataset
    from SegToolkitLib.methods.alpnet.prepare_steps import CT_SETTINGS, MR_SETTINGS, PrepareSettings

    modality = {"chaos": "MR", "sabs": "CT"}.get(options.source, options.modality)
    base = {"MR": MR_SETTINGS, "CT": CT_SETTINGS}.get(modality)
    changed = _changes(options)
    settings = None
    if base is not None:
        settings = PrepareSettings.parse({**base.model_dump(), **changed})
    elif changed:
        settings = PrepareSettings.parse(changed)
    dataset = prepare_dataset(
        options.source,
        options.input,
        options.output,
        settings,
        workers=options.workers,
        progress=lambda done, total, text: reporter.progress("preparing", done, total, case=text),
        overwrite=options.overwrite,
        shard=options.shard,
        data=options.data,
    )
    if dataset is None:
        reporter.info(f"There are no cases for part {options.shard}.")
        return {"folder": str(options.output), "cases": []}
    reporter.info(f"{len(dataset.cases)} cases lie in {dataset.folder}; look at check.png there.")
    return {"folder": str(dataset.folder), "cases": dataset.ids}


def _changes(options: Namespace) -> dict[str, Any]:
    """The settings that were given on the command line."""
    given: dict[str, Any] = {
        name: getattr(options, name)
        for name in ("clip_top", "window", "border", "spacing", "size")
        if getattr(options, name) is not None
    }
    if options.spacing is not None:
        given["spacing_factor"] = None
    given.update({name: True for name in ("ranks", "authors_geometry") if getattr(options, name)})
    return given


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a list of numbers such as -125,275") from error


COMMAND = Command("turn raw scans into the slices that ALPNet trains on", _add_arguments, _run)
