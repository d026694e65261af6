"""The toy brings no commands of its own; the engine gives it ``train`` and ``estimate``."""

COMMANDS: dict = {}
