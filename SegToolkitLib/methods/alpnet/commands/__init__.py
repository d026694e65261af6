"""ALPNet on the command line; one file a verb."""

from SegToolkitLib.methods.alpnet.commands import (
    classmap,
    evaluate,
    exchange,
    prepare,
    segment,
    superpixels,
    train,
)

COMMANDS = {
    "prepare": prepare.COMMAND,
    "superpixels": superpixels.COMMAND,
    "classmap": classmap.COMMAND,
    "train": train.COMMAND,
    "evaluate": evaluate.COMMAND,
    "segment": segment.COMMAND,
    "import": exchange.IMPORT,
    "export": exchange.EXPORT,
}
