"""``models import`` and ``models export``: what the verbs of all methods have in common."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from SegToolkitLib.events import Reporter

if TYPE_CHECKING:
    from SegToolkitLib.models.card import ModelCard


class Naming(TypedDict):
    """Arguments of a method's ``import_authors`` that come from :func:`add_naming`."""

    name: str | None
    licence_name: str | None
    half: bool
    tell: Callable[[str], None]


def add_out(parser: ArgumentParser) -> None:
    """The option ``--out`` of an import."""
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="model folder to write")


def add_naming(parser: ArgumentParser, made_from: str, licence: str) -> None:
    """Options of an import that say what the model is called, its licence, and how it is stored.

    Args:
        parser: of the verb.
        made_from: what the name is made from where none is given ("the labels").
        licence: what the card says where none is given ("unclear").
    """
    parser.add_argument("--name", help=f"name of the model (default: made from {made_from})")
    parser.add_argument("--licence-name", help=f"licence of the weights (default: {licence})")
    parser.add_argument("--half", action="store_true", help="store half precision")


def naming(options: Namespace, reporter: Reporter) -> Naming:
    """What :func:`add_naming` was given, and who hears how well the keys fit."""
    return {
        "name": options.name,
        "licence_name": options.licence_name,
        "half": options.half,
        "tell": reporter.info,
    }


def imported(card: ModelCard, folder: Path, reporter: Reporter, how: str = "") -> dict[str, object]:
    """Tell where the model lies; returns the outputs of the verb.

    Args:
        card: as written.
        folder: of the model.
        reporter: hears it.
        how: put before it ("the weights fit; ").
    """
    reporter.info(f"{card.name}: {how}the model lies in {folder}")
    return {"model": str(folder)}


def add_export(parser: ArgumentParser, target: Literal["file", "folder"], help: str) -> None:
    """Arguments of an export: a model, and the file or folder to write."""
    parser.add_argument("model", help="name of a model, or its folder")
    parser.add_argument(target, type=Path, help=help)


def exported_file(
    options: Namespace, reporter: Reporter, write: Callable[[Path, Path], Path]
) -> dict[str, object]:
    """Export a model as one file; returns the outputs of the verb.

    Args:
        options: of :func:`add_export` for a file.
        reporter: hears what was written.
        write: folder of the model, file -> the file.

    Raises:
        SegToolkitError: what finding the model and ``write`` raise.
    """
    file = write(_found(options.model), options.file)
    reporter.info(f"Wrote {file}")
    return {"file": str(file)}


def exported_files(
    options: Namespace, reporter: Reporter, write: Callable[[Path, Path], list[Path]]
) -> dict[str, object]:
    """Export a model as several files; returns the outputs of the verb.

    Args:
        options: of :func:`add_export` for a folder.
        reporter: hears what was written.
        write: folder of the model, folder of the files -> the files.

    Raises:
        SegToolkitError: what finding the model and ``write`` raise.
    """
    files = write(_found(options.model), options.folder)
    for file in files:
        reporter.info(f"Wrote {file}")
    return {"files": [str(file) for file in files]}


def _found(model: str) -> Path:
    from SegToolkitLib.models.store import ModelStore

    return ModelStore().find(model).folder
