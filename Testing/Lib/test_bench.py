"""The claims of `make bench`, on small inputs: equal output, in a fraction of the authors' time."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[1] / "bench.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench"] = module
    spec.loader.exec_module(module)
    return module


def test_four_structures_take_a_sixth_of_the_authors_time_at_equal_output(bench: ModuleType) -> None:
    result = bench.inference("compact", 4, 12, 4)
    assert result["equal_pixels"] > 0.9999
    assert result["times_faster_range"][1] >= 6


def test_every_section_reports_its_peak_memory_and_the_table_is_kept(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def isolated(function: object, *arguments: object) -> dict[str, float]:
        return {"asked_for": 1.0, "peak_memory_mb": 2.0}

    monkeypatch.setattr(bench, "run", isolated)
    monkeypatch.setattr(sys, "argv", ["bench", "--out", str(tmp_path)])
    bench.main()
    kept = json.loads(next(tmp_path.glob("bench-*.json")).read_text())
    assert len(kept["results"]) == 5
    assert kept["machine"]["torch"]
    assert "inference, compact, 4 structures" in capsys.readouterr().out
