"""The methods that there are, and the commands and services each brings."""

from __future__ import annotations

import importlib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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


Verb = Callable[[Mapping[str, Any], Reporter], dict[str, object]]


class Service(Protocol):
    """What a method does for the worker process.

    One object serves all requests of a worker, so it may keep what is costly to make: a loaded model,
    volumes, features.

    Attributes:
        verbs: request -> what answers it; takes the request as plain values and returns what ``done``
            reports.
    """

    verbs: Mapping[str, Verb]

    def relieve(self) -> None:
        """Let go of all that is kept: memory ran out."""


def service_of(method: str) -> Service:
    """A new service of a method package (its ``service.Service``); imports nothing heavy."""
    module = importlib.import_module(f"SegToolkitLib.methods.{method}.service")
    service: Service = module.Service()
    return service
