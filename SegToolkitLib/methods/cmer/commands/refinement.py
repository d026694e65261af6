"""Options of the refinement, for all commands that refine."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
    from SegToolkitLib.methods.cmer.tags import Tag
    from SegToolkitLib.volume import Volume


def add_refine(parser: ArgumentParser) -> None:
    """--refine and its settings."""
    parser.add_argument("--refine", action="store_true", help="turn the maps into one mask, see 'refine'")
    add_settings(parser)


def add_settings(parser: ArgumentParser) -> None:
    """--refine-set."""
    parser.add_argument(
        "--refine-set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="setting of the refinement, such as smoothing=none or smallest_ml=0.5; repeatable",
    )


def settings_of(options: Namespace) -> RefineSettings:
    """What the options say.

    Raises:
        SegToolkitError: as :func:`SegToolkitLib.settings.load`.
    """
    from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
    from SegToolkitLib.settings import load

    return load(RefineSettings, RefineSettings(), None, options.refine_set)


def tags_by_case(
    file: Path | None, images: Mapping[str, Mapping[str, Volume]], dataset: Dataset | None = None
) -> dict[str, list[Tag]]:
    """Tags of cases from a file, else from the data set's folder; nothing of a case without any.

    Args:
        file: of tags; it may name other cases as well.
        images: of the cases, by case and modality; the slices of the first modality count.
        dataset: of the cases.

    Raises:
        SegToolkitError: what reading raises.
    """
    from SegToolkitLib.dataset.slice_tags import TAGS_FILE
    from SegToolkitLib.methods.cmer.cases import slice_count
    from SegToolkitLib.methods.cmer.tags import from_csv
    from SegToolkitLib.volume.slicewise import slice_axis

    path = file
    if path is None and dataset is not None and (dataset.folder / TAGS_FILE).is_file():
        path = dataset.folder / TAGS_FILE
    if path is None:
        return {}
    sizes = {} if dataset is None else {case.id: slice_count(case) for case in dataset.cases}
    for id, own in images.items():
        grid = next(iter(own.values())).grid
        sizes[id] = grid.size[slice_axis(grid)]
    found = from_csv(path, sizes)
    return {id: found[id] for id in images if any(tag is not None for tag in found[id])}
