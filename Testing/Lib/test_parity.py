"""Every parity case found below --cases is run by the check registered for its method and kind."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import parity
from parity.case import Case, run_check

# They register their checks.
for module in pkgutil.iter_modules(parity.__path__):
    importlib.import_module(f"{parity.__name__}.{module.name}")

DEFAULT = Path(__file__).parents[1] / "Data" / "parity"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case_path" not in metafunc.fixturenames:
        return
    folders = [Path(folder) for folder in metafunc.config.getoption("cases") or [DEFAULT]]
    found = [(path, folder) for folder in folders for path in sorted(folder.rglob("*.json"))]
    if not found:
        raise pytest.UsageError(f"no parity case (*.json) below {', '.join(map(str, folders))}")
    metafunc.parametrize(
        "case_path",
        [path for path, _ in found],
        ids=[str(path.relative_to(top).with_suffix("")) for path, top in found],
    )


def test_case(case_path: Path) -> None:
    run_check(Case.load(case_path))
