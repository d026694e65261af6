"""WSS-CMER on the command line; one file a verb."""

from SegToolkitLib.methods.cmer.commands import (
    convert,
    crossval,
    evaluate,
    exchange,
    maps,
    prepare,
    pseudolabels,
    refine,
    tags,
    train,
)

COMMANDS = {
    "prepare": prepare.COMMAND,
    "tags": tags.COMMAND,
    "train": train.COMMAND,
    "crossval": crossval.COMMAND,
    "maps": maps.COMMAND,
    "refine": refine.COMMAND,
    "evaluate": evaluate.COMMAND,
    "export-pseudolabels": pseudolabels.COMMAND,
    "convert-settings": convert.COMMAND,
    "import": exchange.IMPORT,
    "export": exchange.EXPORT,
}
