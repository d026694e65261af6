"""One parity case on disk, and the registry of checks by method and kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parity.fill import filled_state
from parity.tolerance import assert_close


@dataclass(frozen=True)
class Case:
    """``<case>.json`` with the ``<case>.npz`` beside it."""

    path: Path
    spec: dict[str, Any]
    arrays: dict[str, np.ndarray]
    compared: list[str] = field(default_factory=list)
    """What has been held against an expected value so far."""

    @classmethod
    def load(cls, path: Path) -> Case:
        spec = json.loads(path.read_text(encoding="utf-8"))
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as archive:
            return cls(path, spec, {name: archive[name] for name in archive.files})

    @property
    def settings(self) -> dict[str, Any]:
        return self.spec["settings"]

    def tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[name])

    def state(self) -> dict[str, torch.Tensor]:
        return filled_state(self.spec["state_dict"], self.settings.get("weight_scale", 1.0))

    def check(
        self, tolerance: str, got: Any, expected: str | np.ndarray, what: str = "", **which: Any
    ) -> None:
        """Hold ``got`` against an array of the case by the case's own tolerance ``tolerance``."""
        wanted = self.arrays[expected] if isinstance(expected, str) else expected
        label = what or (expected if isinstance(expected, str) else tolerance)
        if assert_close(
            self.spec["tolerance"], tolerance, got, wanted, f"{self.path.stem}: {label}", **which
        ):
            self.compared.append(label)

    def check_if_there(self, tolerance: str, got: Any, expected: str) -> None:
        """Like :meth:`check`, for an array that a case may leave out."""
        if expected in self.arrays:
            self.check(tolerance, got, expected)

    def hold(self, got: Any, expected: str, group: str = "") -> None:
        """Like :meth:`check_if_there`, by the tolerance of that array or else of its ``group``."""
        self.check_if_there(expected if expected in self.spec["tolerance"] else group, got, expected)


Check = Callable[[Case], None]
CHECKS: dict[tuple[str, str], Check] = {}


def check(method: str, kind: str) -> Callable[[Check], Check]:
    """Register the check of a kind."""

    def register(function: Check) -> Check:
        assert (method, kind) not in CHECKS
        CHECKS[method, kind] = function
        return function

    return register


def run_check(case: Case) -> None:
    """Run the check of the case's kind; it fails if there is none, or if it compared nothing."""
    key = (case.spec["method"], case.spec["kind"])
    assert key in CHECKS, f"no check for method {key[0]!r}, kind {key[1]!r}: add one in Testing/Lib/parity"
    CHECKS[key](case)
    assert case.compared, f"{case.path.stem}: no expected array was compared"
