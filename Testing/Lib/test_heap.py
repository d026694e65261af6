"""Memory kept while a computation lasts."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from SegToolkitLib import heap


def _first_touches(times: int) -> int:
    """Pages that the system had to clear while a large array came and went so often."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.empty(2**23).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(heap._glibc() is None, reason="glibc alone can be told")
def test_memory_is_kept_inside_and_goes_back_after_it() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])

    _first_touches(1)
    outside, at_rest = _first_touches(10), resident()
    with heap.kept():
        _first_touches(1)
        inside, held = _first_touches(10), resident()
    assert inside < outside / 5
    assert held > at_rest + 10000
    assert resident() < at_rest + 5000
    assert _first_touches(10) > outside / 2


def test_other_systems_and_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_glibc", lambda: None)
    with heap.kept():
        pass
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")
    heap._glibc.cache_clear()
    assert heap._glibc() is None
    heap._glibc.cache_clear()


def test_an_error_inside_passes_and_ends_it() -> None:
    with pytest.raises(ValueError, match="inside"), heap.kept():
        raise ValueError("inside")
