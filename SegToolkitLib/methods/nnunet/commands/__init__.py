"""nnU-Net on the command line; one file a verb."""

from SegToolkitLib.methods.nnunet.commands import exchange, path, prepare, train

COMMANDS = {
    "path": path.COMMAND,
    "prepare": prepare.COMMAND,
    "train": train.COMMAND,
    "import": exchange.IMPORT,
}
