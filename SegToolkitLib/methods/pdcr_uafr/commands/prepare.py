"""``segtoolkit prepare pdcr_uafr``: folders of pictures and masks as data sets."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

LAYOUTS = ("ISIC2016", "ISIC2017", "ISIC2016_PH2", "MC", "DigestPath")


def _add_arguments(parser: ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--layout",
        metavar="NAME",
        help=f"a published data set, arranged as the authors' code wants it: {', '.join(LAYOUTS)}",
    )
    what.add_argument("--images", type=Path, metavar="FOLDER", help="pictures of your own (jpg, jpeg, png)")
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="with --layout: above the data set")
    parser.add_argument(
        "--masks", type=Path, metavar="FOLDER", help="with --images: their masks (default: the same folder)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to describe them")
    parser.add_argument("--name", help="of the data set (default: the layout's, or the folder's)")
    parser.add_argument("--structure", help="what the masks show (default: the layout's, or lesion)")
    parser.add_argument(
        "--skip-unpaired", action="store_true", help="leave out pictures without exactly one mask"
    )
    parser.add_argument(
        "--keep-masks",
        action="store_true",
        help="list masks as they are, for data.mask_rule=released (default: masks of 0 and 1 are written)",
    )


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.pictures import LAYOUTS as KNOWN
    from SegToolkitLib.dataset.pictures import layout_folders

    if options.layout is not None:
        if options.root is None:
            raise SegToolkitError(
                "no-folder", "A layout needs --root.", "Give the folder above the data set."
            )
        folders = layout_folders(options.root, options.layout)
        layout = next(name for name in KNOWN if name.casefold() == options.layout.casefold())
        structure = options.structure or KNOWN[layout].structure
        name = options.name or layout
    else:
        folders = {"train": (options.images, options.masks or options.images)}
        name = options.name or options.images.resolve().name
        structure = options.structure or "lesion"
    made: dict[str, object] = {}
    for part, (images, masks) in folders.items():
        # A data set of its own for tests: no training can take its cases by mistake.
        title = name if part == "train" else f"{name}-{part}"
        out = options.out / part if len(folders) > 1 else options.out
        made[part] = _describe(title, structure, images, masks, out, options, reporter)
    return made


def _describe(
    name: str,
    structure: str,
    images: Path,
    masks: Path,
    out: Path,
    options: Namespace,
    reporter: Reporter,
) -> dict[str, object]:
    from SegToolkitLib.dataset.description import FILE_NAME
    from SegToolkitLib.dataset.pictures import describe_pictures, paired

    # Before its masks are replaced by those of other pictures.
    if (out / FILE_NAME).exists():
        raise SegToolkitError(
            "dataset-exists", f"{out} holds a data set already.", "Choose another folder, or remove it."
        )
    pairing = paired(images, masks)
    reporter.info(f"{name}: {pairing.text()}")
    if not pairing.exact and not options.skip_unpaired:
        raise SegToolkitError(
            "unpaired",
            f"{name}: {pairing.text()}.",
            "Mend the names, or leave such pictures out: --skip-unpaired.",
        )
    dataset, left_out = describe_pictures(
        pairing,
        out,
        name=name,
        structure=structure,
        keep_masks=options.keep_masks,
        progress=lambda done, total: reporter.progress(f"preparing {name}", done, total),
    )
    for id, why in left_out.items():
        reporter.warning(f"Case {id} is left out: {why}.")
    reporter.info(f"{len(dataset.cases)} cases are described in {out}")
    return {"dataset": str(out), "cases": len(dataset.cases), "left_out": left_out}


COMMAND = Command("describe folders of pictures and masks as data sets", _add_arguments, _run)
