"""The same work divided among several processes or machines: each takes every n-th case."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts; ``number`` counts from 0. Together the parts are the whole, without overlap."""

    number: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "0/4", the first of four.

        Raises:
            ArgumentTypeError: another form, or a number that is not below the count.
        """
        try:
            number, count = (int(part) for part in text.split("/"))
        except ValueError as error:
            raise ArgumentTypeError(f"{text!r} is not of the form NUMBER/COUNT, such as 0/4") from error
        if count < 1:
            raise ArgumentTypeError(f"{text!r}: there must be one part or more, such as 0/4")
        if not 0 <= number < count:
            raise ArgumentTypeError(f"{text!r}: the parts of {count} are 0/{count} to {count - 1}/{count}")
        return cls(number, count)

    def of(self, cases: Sequence[T]) -> list[T]:
        """The cases of this part."""
        return list(cases[self.number :: self.count])

    @property
    def is_whole(self) -> bool:
        """Whether there is one part only."""
        return self.count == 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Shard()


def add_shard(parser: ArgumentParser, what: str) -> None:
    """--shard; ``what`` names the cases that are divided."""
    parser.add_argument(
        "--shard",
        type=Shard.parse,
        default=WHOLE,
        metavar="I/N",
        help=f"only every N-th of the {what}, from number I (from 0) on: for N processes or machines at once",
    )
