"""nnU-Net on the command line; one file a verb."""

from SegToolkitLib.methods.nnunet.commands import exchange, path, prepare

COMMANDS = {
    "path": path.COMMAND,
    "prepare": prepare.COMMAND,
    "import": exchange.IMPORT,
}
