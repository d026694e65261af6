"""What the experiments here share: they use the product's own commands, and go on where they stopped."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from SegToolkitLib.atomic import write_json

ROOT = Path(__file__).parents[1]


class Runs(Protocol):
    """A piece of an experiment."""

    def run(self) -> None:
        """Do what is not done yet."""


@dataclass(frozen=True)
class Shell:
    """Runs commands of the product one after the other, and keeps what they say.

    Attributes:
        log: file that grows.
        threads: of each command.
    """

    log: Path
    threads: int = 1

    def segtoolkit(self, *words: Any) -> None:
        """Run ``segtoolkit WORDS``; a command that fails ends the experiment."""
        command = [sys.executable, "-m", "SegToolkitLib", *map(str, words)]
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command[1:])}\n")
            log.flush()
            environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
            subprocess.run(command, check=True, cwd=ROOT, stdout=log, stderr=log, env=environment)

    def train(self, run: Path, *words: Any) -> None:
        """Train, or go on with it; a run that has its model is left as it is."""
        if (run / "result" / "model" / "model.json").is_file():
            return
        if (run / "settings.json").is_file():
            self.segtoolkit("train", words[0], "--run", run, "--resume")
        else:
            self.segtoolkit("train", *words, "--run", run)


class Keyed(Protocol):
    """A part of an experiment whose scores can be kept."""

    @property
    def key(self) -> str:
        """Of its scores among those that are kept."""

    def scores(self) -> Any:
        """None, or nothing in it, where nothing is finished."""


def add_keeping(parser: ArgumentParser) -> None:
    """The options ``--keep`` and ``--anew``."""
    parser.add_argument("--keep", action="store_true", help="add the scores to the repository's")
    parser.add_argument("--anew", action="store_true", help="take no scores from the repository")


class Kept:
    """Scores of finished trainings that the repository keeps: an experiment of hours goes on elsewhere.

    Args:
        file: of the repository; it need not be there.
        plan: whatever the scores depend on; those of another plan count as none.
        anew: tell of none, so that all is done again.
    """

    def __init__(self, file: Path, plan: Any, anew: bool = False) -> None:
        self._file, self._anew = file, anew
        self._plan = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
        content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        self._scores: dict[str, Any] = content["scores"] if content.get("plan") == self._plan else {}

    def of(self, training: str) -> Any:
        """The scores of a training, or None."""
        return None if self._anew else self._scores.get(training)

    @contextmanager
    def adding(self, trainings: Iterable[Keyed], wanted: bool) -> Iterator[None]:
        """Keep what is finished when the block ends, however it does, if that is wanted."""
        try:
            yield
        finally:
            if wanted:
                self.write({one.key: scores for one in trainings if (scores := one.scores())})

    def write(self, scores: Mapping[str, Any]) -> None:
        """Keep these and what was kept before, to four digits after the point."""
        self._scores |= {name: _rounded(one) for name, one in scores.items()}
        ordered = {name: self._scores[name] for name in sorted(self._scores)}
        write_json(self._file, {"plan": self._plan, "scores": ordered})


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def settings_words(settings: Mapping[str, Any]) -> list[str]:
    """``--set`` for each of them."""
    return [word for name, value in settings.items() for word in ("--set", f"{name}={json.dumps(value)}")]


def describe(description: Path, out: Path, folds: int) -> None:
    """A copy of a data set's description that has another number of folds."""
    write_json(out, {**json.loads(description.read_text(encoding="utf-8")), "folds": folds})


def run_all(pieces: Iterable[Runs], at_once: int) -> None:
    """Run them, some at the same time; the first failure is raised."""
    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(piece.run) for piece in pieces]:
            done.result()


def spread(values: list[float], sign: str = "") -> str:
    """Mean and, of several values, standard deviation."""
    mean = f"{statistics.mean(values):{sign}.1f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.1f}"
