"""Arguments that name a data set."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from SegToolkitLib.dataset.dataset import Dataset


def add_dataset(parser: ArgumentParser) -> None:
    """--dataset and --data."""
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="DESCRIPTION",
        help="description file, or a folder that holds a dataset.json",
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="folder of the volumes, if not the described one"
    )


def open_dataset(options: Namespace) -> Dataset:
    """Open what :func:`add_dataset` asked for."""
    from SegToolkitLib.dataset.dataset import Dataset

    return Dataset.open(options.dataset, options.data)
