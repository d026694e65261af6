"""Arguments that several commands share."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path


def add_device(parser: ArgumentParser) -> None:
    """--device and --precision."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: auto)")
    parser.add_argument(
        "--precision",
        default="auto",
        choices=["auto", "float32", "bfloat16", "float16"],
        help="auto: mixed precision on a GPU, float32 on a CPU",
    )


def add_model(parser: ArgumentParser) -> None:
    """--model and --accept-licence."""
    parser.add_argument("--model", required=True, help="name of a model in the store, or its folder")
    parser.add_argument(
        "--accept-licence", action="store_true", help="accept the model's licence (asked once for each model)"
    )


def add_tested_cases(parser: ArgumentParser, dataset: str) -> None:
    """--dataset, --data and --cases, of a command that tests; ``dataset`` is the help of the first."""
    parser.add_argument("--dataset", required=True, metavar="DESCRIPTION", help=dataset)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of its images, if elsewhere")
    parser.add_argument(
        "--cases",
        default="held-out",
        help="held-out (by the model's training; all of a data set it never saw), test, or ids such as 12,17",
    )


def add_tolerance(parser: ArgumentParser) -> None:
    """--tolerance, in mm or None."""
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=2.0,
        metavar="MM",
        help="of the NSD; none leaves out distances, which take time (default: 2)",
    )


def _tolerance(text: str) -> float | None:
    """ "2" or "none"."""
    if text == "none":
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is neither a number of mm nor none") from error
    if not 0 <= value < 1e6:
        raise ArgumentTypeError(f"{text!r} is no distance in mm")
    return value


def ask_in_terminal() -> Callable[[str], bool] | None:
    """A question on the terminal, or None where nobody is there to answer."""
    if not sys.stdin.isatty():
        return None

    def ask(terms: str) -> bool:
        print(terms, file=sys.stderr)
        return input("Do you accept these terms? [y/N] ").strip().lower() in ("y", "yes")

    return ask


def count(text: str) -> int:
    """Parse a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def slice_range(text: str) -> tuple[int, int]:
    """Parse "12:30" (first and last slice, both included)."""
    try:
        first, last = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not of the form FIRST:LAST, such as 12:30") from error
    return first, last


def whole_numbers(text: str) -> list[int]:
    """Parse "3,7,12"."""
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 3,7,12") from error


def named_values(text: str) -> dict[int, str]:
    """Parse "1=liver,2=spleen"."""
    found: dict[int, str] = {}
    for part in text.split(","):
        value, equals, name = part.partition("=")
        if not equals or not value.strip().isdecimal() or not name.strip():
            raise ArgumentTypeError(f"{text!r} is not of the form 1=liver,2=spleen")
        found[int(value)] = name.strip()
    return found
