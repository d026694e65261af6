"""``segtoolkit models``: list, show, add and remove models, and exchange them with the authors' code."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import METHODS, Command, commands_of


def _add_arguments(parser: ArgumentParser) -> None:
    # Also after the action, where people write it; SUPPRESS keeps the one before the action.
    common = ArgumentParser(add_help=False)
    common.add_argument(
        "--json", action="store_true", default=SUPPRESS, help="report to a program: JSON lines"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", parents=[common], help="list the models that can be used").set_defaults(
        act=_list
    )
    show = actions.add_parser("show", parents=[common], help="show a model's card and terms")
    show.add_argument("model")
    show.set_defaults(act=_show)
    add = actions.add_parser("add", parents=[common], help="copy a model folder into your own collection")
    add.add_argument("folder", type=Path)
    add.add_argument("--replace", action="store_true", help="replace the model of that name")
    add.set_defaults(act=_add)
    remove = actions.add_parser("remove", parents=[common], help="remove a model from your own collection")
    remove.add_argument("model")
    remove.set_defaults(act=_remove)
    record = actions.add_parser(
        "record", parents=[common], help="write the figures of an evaluation into a model's card"
    )
    record.add_argument("folder", type=Path, help="folder of the model")
    record.add_argument("results", type=Path, help="results.json of segtoolkit evaluate")
    record.add_argument(
        "--as", dest="name", required=True, help="what the figures are, such as setting-1-5-folds"
    )
    record.set_defaults(act=_record)
    for verb, text in (("import", "turn an authors' checkpoint into a model"), ("export", "and back")):
        methods = actions.add_parser(verb, help=text).add_subparsers(dest="method", required=True)
        for method in METHODS:
            command = commands_of(method).get(verb)
            if command is not None:
                one = methods.add_parser(method, parents=[common], help=command.help)
                command.add_arguments(one)
                one.set_defaults(act=command.run)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    outputs: dict[str, object] = options.act(options, reporter)
    return outputs


def _list(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.models.store import ModelStore

    entries = ModelStore().list()
    for entry in entries:
        if entry.card is not None and entry.usable:
            reporter.info(
                f"{entry.name}  ({entry.card.method}, {entry.card.licence.name}, {entry.origin})"
                f"  {entry.card.title}"
            )
        else:
            reporter.info(f"{entry.name}  not usable: {entry.problem}")
    return {"models": [entry.name for entry in entries if entry.usable]}


def _show(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.models.card import card_text
    from SegToolkitLib.models.store import ModelStore

    entry = ModelStore().find(options.model)
    assert entry.card is not None  # find returns usable models only
    reporter.info(card_text(entry.card))
    return {"folder": str(entry.folder)}


def _add(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.models.store import ModelStore

    entry = ModelStore().add(options.folder, options.replace)
    reporter.info(f"{entry.name} lies in {entry.folder}")
    return {"name": entry.name, "folder": str(entry.folder)}


def _remove(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.models.store import ModelStore

    ModelStore().remove(options.model)
    reporter.info(f"Removed {options.model}")
    return {}


def _record(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.models.card import read_card, write_card
    from SegToolkitLib.validation import read_json

    results = read_json(options.results)
    names = ("dataset", "folds", "cases", "protocol", "dice_percent", "nsd_percent")
    kept = {name: results[name] for name in names if _has_figures(results.get(name))}
    card = read_card(options.folder)
    write_card(options.folder, card.model_copy(update={"metrics": {**card.metrics, options.name: kept}}))
    reporter.info(f"Recorded {options.name} in the card of {card.name}")
    return {"folder": str(options.folder)}


def _has_figures(value: object) -> bool:
    """Whether there is anything but tables of measures that nobody could take."""
    return any(map(_has_figures, value.values())) if isinstance(value, dict) else value is not None


COMMAND = Command("list, show, add, remove, import and export models", _add_arguments, _run)
