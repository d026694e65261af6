"""CSSN on the command line; one file a verb."""

from SegToolkitLib.methods.cssn.commands import evaluate, exchange, prepare, profile, select, train

COMMANDS = {
    "prepare": prepare.COMMAND,
    "train": train.COMMAND,
    "evaluate": evaluate.COMMAND,
    "profile": profile.COMMAND,
    "select-unlabeled": select.COMMAND,
    "import": exchange.IMPORT,
    "export": exchange.EXPORT,
}
