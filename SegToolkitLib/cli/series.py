"""``segtoolkit series FOLDER``: list the DICOM series of a folder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.volume import list_dicom_series

    found = list_dicom_series(options.folder)
    if not found:
        raise SegToolkitError(
            "no-dicom",
            f"{options.folder} holds no DICOM series.",
            "Give the folder that the scanner's files lie in.",
        )
    for series in found:
        reporter.info(
            f"{series.uid}  {series.modality:4} {series.files:5} files"
            f"  {series.description or '(no description)'}"
        )
    return {"series": [series.uid for series in found]}


COMMAND = Command("list the DICOM series of a folder", _add_arguments, _run)
