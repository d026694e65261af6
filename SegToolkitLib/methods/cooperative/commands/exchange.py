"""``segtoolkit models import cooperative`` and ``segtoolkit models export cooperative``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.models.exchange import add_export, add_naming, add_out, exported_files, imported, naming


def _add_import(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        required=True,
        metavar="PATH",
        help="folder with the five files (image_encoder.pth, ...), or above them; or a snapshot (.pkl)",
    )
    add_out(parser)
    parser.add_argument(
        "--labels",
        default="acdc",
        help="acdc (1 left ventricle, 2 myocardium, 3 right ventricle; default), or a JSON file:"
        " name -> value",
    )
    parser.add_argument(
        "--reconstruction",
        choices=["sigmoid", "none"],
        help="last activation of the image decoder (default: none for files of the first release)",
    )
    parser.add_argument(
        "--code",
        choices=["separate", "shared", "unfiltered"],
        help="shared: share_code, unfiltered: w_o_filter of the authors; the five files cannot tell (default:"
        " what a snapshot says, else separate)",
    )
    parser.add_argument(
        "--spacing", type=float, metavar="MM", help="of the pixels (default: as released, 1.37)"
    )
    parser.add_argument(
        "--crop",
        type=int,
        default=None,
        metavar="PIXELS",
        help="rows and columns (default: 192, as released)",
    )
    parser.add_argument(
        "--rescale",
        choices=["volume", "slice"],
        default="volume",
        help="slice: each slice is brought to [0, 1], as released for volumes of one frame (default: volume)",
    )
    add_naming(parser, made_from="the labels", licence="unclear")


def _import(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cooperative.checkpoints import import_authors
    from SegToolkitLib.methods.cooperative.plan import InputPlan
    from SegToolkitLib.models.card import parse

    named = {"rescale": options.rescale, "spacing_mm": options.spacing, "crop": options.crop}
    given = {name: value for name, value in named.items() if value is not None}
    card = import_authors(
        options.source,
        options.out,
        labels=options.labels,
        plan=parse(InputPlan, given, "The options"),
        reconstruction=options.reconstruction,
        code=options.code,
        **naming(options, reporter),
    )
    return imported(card, options.out, reporter)


def _add_export(parser: ArgumentParser) -> None:
    add_export(parser, "folder", "folder of the five files to write")


def _export(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.cooperative.checkpoints import export_authors
    from SegToolkitLib.models.card import read_card

    def write(folder: Path, out: Path) -> list[Path]:
        written = export_authors(folder, out)
        code = read_card(folder).settings["network"].get("code", "separate")
        if code != "separate":
            reporter.warning(
                f"The five files do not say that the networks' codes are {code}.",
                f"Import them with --code {code}.",
            )
        return written

    return exported_files(options, reporter, write)


IMPORT = Command("turn checkpoints of the authors' code into a model", _add_import, _import)
EXPORT = Command("write a model as checkpoints of the authors' code", _add_export, _export)
