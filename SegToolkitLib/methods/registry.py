"""The methods that there are, and the commands, services and trainings each brings."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from SegToolkitLib import methods
from SegToolkitLib.automatic import command as automatic_command
from SegToolkitLib.automatic.segmenter import AutomaticMethod
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.training import command as training_command
from SegToolkitLib.training.method import TrainingMethod

# Packages alone: a method's folder may lie beside other files.
METHODS = tuple(sorted({module.name for module in pkgutil.iter_modules(methods.__path__) if module.ispkg}))


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
    """Verb -> command of a method package (its ``commands.COMMANDS``).

    A method that can be trained has ``train`` and ``estimate``, also where its package brings none; one whose
    models segment by themselves has ``segment``.
    """
    commands: dict[str, Command] = {}
    if _has(method, "training"):
        commands["train"] = Command(
            "train a model",
            lambda parser: training_command.add_arguments(parser),
            lambda options, reporter: training_command.run(training_of(method), options, reporter),
        )
        commands["estimate"] = Command(
            "estimate the time and memory of a training",
            training_command.add_estimate_arguments,
            lambda options, reporter: training_command.estimate(training_of(method), options, reporter),
        )
    if _has(method, "automatic"):
        commands["segment"] = Command(
            "segment volumes with a trained model",
            _add_segment_arguments,
            lambda options, reporter: _segment(method, options, reporter),
        )
    if _has(method, "commands"):
        commands |= importlib.import_module(f"{methods.__name__}.{method}.commands").COMMANDS
    return commands


def _add_segment_arguments(parser: ArgumentParser) -> None:
    from SegToolkitLib.cli.options import add_device, add_model

    add_model(parser)
    automatic_command.add_arguments(parser)
    add_device(parser)


def _segment(method: str, options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.cli.options import ask_in_terminal

    others = [name for name in METHODS if "segment" in commands_of(name)]
    return automatic_command.run(method, automatic_of(method), options, reporter, ask_in_terminal(), others)


def trainable() -> list[str]:
    """Names of the methods that can be trained."""
    return [method for method in METHODS if _has(method, "training")]


def training_of(method: str) -> TrainingMethod:
    """What a method brings to the training engine (its ``training.METHOD``); imports nothing heavy.

    Raises:
        SegToolkitError: "unknown-method": there is no such method, or it cannot be trained.
    """
    if method not in METHODS or not _has(method, "training"):
        raise SegToolkitError(
            "unknown-method",
            f"There is no method {method!r} that can be trained.",
            f"The methods are {', '.join(trainable())}.",
        )
    found: TrainingMethod = importlib.import_module(f"{methods.__name__}.{method}.training").METHOD
    return found


def automatic() -> list[str]:
    """Names of the methods whose models segment volumes by themselves."""
    return [method for method in METHODS if _has(method, "automatic")]


def automatic_of(method: str) -> AutomaticMethod:
    """How a method's models segment volumes (its module ``automatic``); imports no torch.

    Raises:
        SegToolkitError: "not-automatic": there is no such method, or its models need more than a volume.
    """
    if method not in METHODS or not _has(method, "automatic"):
        raise SegToolkitError(
            "not-automatic",
            f"Models of the method {method!r} do not segment volumes by themselves.",
            f"Choose a model of {' or '.join(automatic()) or 'another method'}.",
        )
    found: AutomaticMethod = importlib.import_module(f"{methods.__name__}.{method}.automatic")
    return found


def _has(method: str, part: str) -> bool:
    return importlib.util.find_spec(f"{methods.__name__}.{method}.{part}") is not None


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


@runtime_checkable
class Recognises(Protocol):
    """A service that can tell checkpoints of its method from those of others."""

    def recognises(self, path: Path) -> bool:
        """Whether a file is one of this method, as far as can be told without reading it."""
        ...


class _NoService:
    """Of a method that a window can train, but not use."""

    verbs: Mapping[str, Verb] = {}

    def relieve(self) -> None:
        """Nothing is kept."""


def service_of(method: str) -> Service:
    """A new service of a method package (its ``service.Service``); imports nothing heavy."""
    if not _has(method, "service"):
        return _NoService()
    service: Service = importlib.import_module(f"{methods.__name__}.{method}.service").Service()
    return service
