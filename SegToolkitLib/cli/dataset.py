"""``segtoolkit dataset``: make data sets, add to them, check them, and cut them into folds."""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser, Namespace
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegToolkitLib.cli.options import named_values
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

if TYPE_CHECKING:
    from SegToolkitLib.dataset.new_cases import NewCase


@dataclass
class _Item:
    """What was given for one image."""

    image: Path
    channels: dict[str, Path] = field(default_factory=dict)
    label: Path | None = None
    name: str | None = None
    patient: str | None = None
    structures: dict[int, str] = field(default_factory=dict)


class _Begin(Action):
    """--image begins a case; the options after it belong to that case."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option: Any = None) -> None:
        name, path = values
        item = _Item(path, {name: path} if name else {})
        namespace.items = [*(namespace.items or ()), item]


class _OfLast(Action):
    """--label, --name, --patient and --structures of the image before."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option: Any = None) -> None:
        if not namespace.items:
            parser.error(f"{option} belongs to an image: write --image before it")
        setattr(namespace.items[-1], self.dest, values)


class _Channel(Action):
    """--channel NAME=FILE: a further image of the case."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option: Any = None) -> None:
        name, path = values
        if not namespace.items or not namespace.items[-1].channels:
            parser.error(f"{option} belongs to an image with a name: write --image NAME=FILE before it")
        if not name or name in namespace.items[-1].channels:
            parser.error(f"{option} needs a name of its own: {option} NAME=FILE")
        namespace.items[-1].channels[name] = path


def _named_file(text: str) -> tuple[str, Path]:
    """ "flair=a.nii.gz", or a file alone, whose name may hold the sign, too."""
    name, equals, path = text.partition("=")
    if not equals or not path or Path(text).exists():
        return "", Path(text)
    return name.strip(), Path(path)


def _add_arguments(parser: ArgumentParser) -> None:
    # Also after the action, where people write it; SUPPRESS keeps the one before the action.
    common = ArgumentParser(add_help=False)
    common.add_argument(
        "--json", action="store_true", default=SUPPRESS, help="report to a program: JSON lines"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", parents=[common], help="read every case and list what is wrong")
    _add_path(check)
    check.add_argument("--csv", type=Path, metavar="FILE", help="write the problems as a table, too")
    check.add_argument("--picture", type=Path, metavar="FILE", help="write a PNG with a slice of each case")
    check.add_argument("--workers", type=int, help="processes that read (default: as suits the size)")
    check.add_argument("--strict", action="store_true", help="fail (exit code 1) if there is any error")
    check.set_defaults(act=_check)
    show = actions.add_parser("show", parents=[common], help="say what a data set holds")
    _add_path(show)
    show.set_defaults(act=_show)
    create = actions.add_parser("create", parents=[common], help="make a data set in nnU-Net's layout")
    create.add_argument("folder", type=Path)
    create.add_argument("--title", help="name of the data set (default: that of the folder)")
    create.add_argument("--modality", choices=["MR", "CT"], help="decides how intensities are normalised")
    _add_cases(create)
    create.set_defaults(act=_create)
    add = actions.add_parser("add", parents=[common], help="add cases to a data set in nnU-Net's layout")
    add.add_argument("folder", type=Path)
    _add_cases(add)
    add.set_defaults(act=_append)
    split = actions.add_parser("split", parents=[common], help="cut the cases into folds, patient by patient")
    _add_path(split)
    split.add_argument("--folds", type=int, default=5, help="number of folds (default: 5)")
    split.add_argument("--seed", type=int, default=0, help="another one gives other folds (default: 0)")
    split.add_argument("--overwrite", action="store_true", help="replace the splits.json that is there")
    split.add_argument(
        "--nnunet", type=Path, metavar="FOLDER", help="write splits_final.json for nnU-Net there, too"
    )
    split.set_defaults(act=_split)


def _add_path(parser: ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="folder that holds a dataset.json, or a description file")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="folder of the volumes, if not the described one"
    )


def _add_cases(parser: ArgumentParser) -> None:
    given = parser.add_argument_group("cases", "--image may be repeated; what follows it belongs to it")
    given.add_argument(
        "--image",
        dest="items",
        action=_Begin,
        type=_named_file,
        metavar="[NAME=]FILE",
        default=None,
        help="begins a case; with NAME, the first of several registered images",
    )
    given.add_argument(
        "--channel",
        action=_Channel,
        type=_named_file,
        default=SUPPRESS,
        metavar="NAME=FILE",
        help="a further registered image of the case, such as t1c=anna-t1c.nii.gz",
    )
    for name, kind, text in (
        ("label", Path, "label map on the image's grid, or .seg.nrrd; without it the image stays unlabelled"),
        ("name", str, "name of the case (default: from the image's file name)"),
        ("patient", str, "whose image it is (default: a patient of its own)"),
        ("structures", named_values, "names of the label map's values, such as 1=liver,2=spleen"),
    ):
        given.add_argument(
            f"--{name}",
            dest=name,
            action=_OfLast,
            type=kind,
            default=SUPPRESS,
            metavar=name.upper(),
            help=text,
        )
    given.add_argument(
        "--resample",
        action="store_true",
        help="bring images of a case onto the voxels of its first one (nothing is registered)",
    )
    given.add_argument(
        "--from", dest="source", type=Path, metavar="DATASET", help="take the cases of this data set"
    )
    given.add_argument(
        "--data", type=Path, metavar="FOLDER", help="where its volumes lie, if not in the described folder"
    )


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    outputs: dict[str, object] = options.act(options, reporter)
    return outputs


def _check(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.check_picture import check_picture
    from SegToolkitLib.dataset.checks import check, table, write_csv
    from SegToolkitLib.dataset.dataset import Dataset

    dataset = Dataset.open(options.path, options.data)
    problems = check(dataset, lambda n, total: reporter.progress("checking", n, total), options.workers)
    if problems:
        reporter.info(table(problems))
    errors = sum(one.severity == "error" for one in problems)
    warnings = len(problems) - errors
    reporter.info(f"{len(dataset.cases)} cases, {errors} errors, {warnings} warnings")
    if options.csv:
        write_csv(options.csv, problems)
    if options.picture:
        check_picture(dataset, options.picture)
    if options.strict and errors:
        raise SegToolkitError(
            "dataset-errors", f"{dataset.description.name} has {errors} errors.", "They are listed above."
        )
    return {
        "cases": len(dataset.cases),
        "errors": errors,
        "warnings": warnings,
        "problems": [
            {"case": one.case, "code": one.code, "text": one.message, "severity": one.severity}
            for one in problems
        ],
    }


def _show(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.dataset import Dataset

    dataset = Dataset.open(options.path, options.data)
    facts, cases = dataset.description, dataset.cases
    labelled = sum(case.label is not None for case in cases)
    patients = len(set(dataset.patients.values()))
    reporter.info(f"{facts.name} ({facts.modality}) in {dataset.folder}")
    reporter.info(f"{len(cases)} images of {patients} patients, {labelled} with a label")
    if facts.channels:
        reporter.info("images of each case: " + ", ".join(facts.channels))
    reporter.info("labels: " + ", ".join(f"{value} {name}" for name, value in facts.labels.items()))
    for id, names in dataset.not_annotated.items():
        reporter.info(f"case {id}: not annotated: {', '.join(names)}")
    reporter.info(f"{dataset.fold_count} folds")
    if facts.licence:
        reporter.info(f"licence: {facts.licence.name}")
    return {
        "folder": str(dataset.folder),
        "name": facts.name,
        "modality": facts.modality,
        "channels": list(facts.channels),
        "cases": dataset.ids,
        "labelled": labelled,
        "labels": dict(facts.labels),
        "patients": dataset.patients,
        "folds": dataset.fold_count,
    }


def _create(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.dataset.description import DatasetDescription

    if options.source is not None:
        facts = Dataset.open(options.source, options.data).description
        description = facts.model_copy(
            update={"name": options.title or facts.name, "modality": options.modality or facts.modality}
        )
    elif options.modality is None:
        raise SegToolkitError("no-modality", "A new data set needs a modality.", "Give --modality CT or MR.")
    else:
        name = options.title or options.folder.resolve().name
        named = options.items[0].channels if options.items else {}
        description = DatasetDescription(
            name=name,
            modality=options.modality,
            labels={"background": 0},
            **({"image_pattern": "image_{id}_{channel}.nii.gz"} if named else {}),
            channels={channel: channel for channel in named},
        )
    return _write(options, reporter, description)


def _append(options: Namespace, reporter: Reporter) -> dict[str, object]:
    return _write(options, reporter, None)


def _write(options: Namespace, reporter: Reporter, description: Any) -> dict[str, object]:
    from SegToolkitLib.dataset.nnunet_write import add_cases

    written = add_cases(
        options.folder,
        description,
        _cases(options),
        mode="append" if description is None else "create",
        resample=options.resample,
        progress=lambda done, total: reporter.progress("writing", done, total),
    )
    reporter.info(f"{options.folder} has {len(written)} new cases: {', '.join(written)}")
    return {"folder": str(options.folder), "cases": written}


def _cases(options: Namespace) -> list[NewCase]:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.dataset.new_cases import (
        Structure,
        case_from_files,
        case_id,
        cases_of,
        without_channel,
    )

    found = [] if options.source is None else list(cases_of(Dataset.open(options.source, options.data)))
    for item in options.items or ():
        base = item.image.name.removesuffix(".gz").rpartition(".")[0] or item.image.name
        taken = [case.id for case in found]
        name = item.name or without_channel(case_id(base), item.channels, taken)
        structures = {value: Structure(name=text) for value, text in item.structures.items()}
        case = case_from_files(name, item.image, item.label, structures, item.patient)
        found.append(replace(case, channels=item.channels))
    if not found:
        raise SegToolkitError("no-cases", "No case is given.", "Give --image, or --from another data set.")
    return found


def _split(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.dataset.splits import NNUNET_NAME, make_splits, write_nnunet_splits, write_splits

    dataset = Dataset.open(options.path, options.data)
    splits = make_splits(dataset, options.folds, options.seed)
    path = write_splits(dataset, splits, overwrite=options.overwrite)
    if options.nnunet:
        write_nnunet_splits(dataset, splits, options.nnunet / NNUNET_NAME)
    for fold, one in enumerate(splits):
        reporter.info(f"fold {fold}: {len(one.train)} train, {len(one.val)} validate: {', '.join(one.val)}")
    return {"path": str(path), "folds": len(splits)}


COMMAND = Command("make, extend, check and split data sets", _add_arguments, _run)
