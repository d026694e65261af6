"""PDCR and UAFR on the command line; one file a verb."""

from SegToolkitLib.methods.pdcr_uafr.commands import (
    convert,
    evaluate,
    exchange,
    prepare,
    train,
    train_all,
    vectors,
)

COMMANDS = {
    "prepare": prepare.COMMAND,
    "train": train.COMMAND,
    "train-all": train_all.COMMAND,
    "evaluate": evaluate.COMMAND,
    "visualise": vectors.COMMAND,
    "convert-settings": convert.COMMAND,
    "import": exchange.IMPORT,
    "export": exchange.EXPORT,
}
