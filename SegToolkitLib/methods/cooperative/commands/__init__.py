"""Cooperative training on the command line; one file a verb."""

from SegToolkitLib.methods.cooperative.commands import (
    convert,
    evaluate,
    exchange,
    prepare,
    train,
    visualise,
)

COMMANDS = {
    "prepare": prepare.COMMAND,
    "train": train.COMMAND,
    "evaluate": evaluate.COMMAND,
    "visualise": visualise.COMMAND,
    "convert-settings": convert.COMMAND,
    "import": exchange.IMPORT,
    "export": exchange.EXPORT,
}
