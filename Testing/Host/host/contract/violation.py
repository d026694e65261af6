"""One finding of the contract."""

from pathlib import Path
from typing import NamedTuple


class Violation(NamedTuple):
    """Where, and a sentence."""

    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"
