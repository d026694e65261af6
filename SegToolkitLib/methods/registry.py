"""The methods that there are, and the commands each brings."""

from __future__ import annotations

import importlib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

from SegToolkitLib.events import Reporter

METHODS = ("alpnet",)


@dataclass(frozen=True)
class Command:
    """One verb of one method on the command line.

    Attributes:
        help: a line for ``--help``.
        add_arguments: adds the command's arguments to its parser; imports nothing heavy.
        run: does the work; returns what ``done`` reports (names of outputs).
    """

    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, Reporter], dict[str, object]]


def commands_of(method: str) -> dict[str, Command]:
    """Verb -> command of a method package (its ``commands.COMMANDS``)."""
    module = importlib.import_module(f"SegToolkitLib.methods.{method}.commands")
    commands: dict[str, Command] = module.COMMANDS
    return commands
