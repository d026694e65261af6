"""Memory kept while a computation lasts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from SegToolkitLib import heap
from SegToolkitLib.events import Reporter
from SegToolkitLib.training.loop import StepResult, train
from test_training import CPU, Plain, plain_options, run_of

# Told by a process of its own: what other tests have left in this one's heap would count as well.
MEASURE = """
import json, resource
from pathlib import Path
import numpy as np
from SegToolkitLib import heap

def touched(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.empty(2**23).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096

touched(1)
told = {"outside": touched(10), "at_rest": resident()}
with heap.kept():
    touched(1)
    told |= {"inside": touched(10), "held": resident()}
told |= {"after": resident(), "outside_again": touched(10)}
with heap.kept():
    with heap.kept():
        touched(1)
    told["after_inner"] = touched(10)
told["after_outer"] = touched(10)
print(json.dumps(told))
"""


@pytest.mark.skipif(heap._glibc() is None, reason="glibc alone can be told")
def test_memory_is_kept_inside_and_goes_back_after_it() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, check=True, encoding="utf-8")
    told = json.loads(done.stdout)
    # Pages that the system had to clear while an array of 64 MB came and went ten times.
    assert told["inside"] < told["outside"] / 5
    assert told["outside_again"] > told["outside"] / 2
    assert told["after_inner"] < told["outside"] / 5
    assert told["after_outer"] > told["outside"] / 2
    assert told["held"] > told["at_rest"] + 50e6
    assert told["after"] < told["at_rest"] + 20e6


def test_other_systems_and_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    heap._glibc.cache_clear()
    try:
        assert heap._glibc() is None
        with heap.kept():
            pass
    finally:
        heap._glibc.cache_clear()


def test_trainings_on_a_cpu_keep_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, seen = [0], []

    @contextmanager
    def kept() -> Iterator[None]:
        inside[0] += 1
        yield
        inside[0] -= 1

    class Watching(Plain):
        def step(self, sample: float | None) -> StepResult:
            seen.append(inside[0])
            return super().step(sample)

    monkeypatch.setattr(heap, "kept", kept)
    task = Watching([1.0, 2.0])
    train(task, run_of(tmp_path / "run"), plain_options(task), CPU, Reporter())
    assert seen == [1, 1]
    assert inside == [0]


def test_an_error_inside_passes_and_ends_it() -> None:
    with pytest.raises(ValueError, match="inside"), heap.kept():
        raise ValueError("inside")
