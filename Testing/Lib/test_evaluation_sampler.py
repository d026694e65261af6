"""The background sampler: it sees load, misses nothing under load, and reads nvidia-smi."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from SegToolkitLib.evaluation import sampler as sampler_module
from SegToolkitLib.evaluation.sampler import Sampler


def work(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def test_samples_are_as_many_as_the_time_has_tenths_of_a_second() -> None:
    with Sampler() as sampler:
        work(0.55)
    cost = sampler.efficiency()
    assert 0.55 <= cost.seconds < 5
    assert abs(len(sampler.cpu_busy) - cost.seconds / 0.1) <= 2
    assert all(0 <= value <= 100 for value in sampler.cpu_busy)
    assert max(sampler.cpu_busy) > 0
    assert sampler.gpu_mb == []
    assert cost.auc_cpu == pytest.approx(sum(sampler.cpu_busy) * 0.1)


def test_a_late_sample_stands_for_those_that_were_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow() -> float:
        time.sleep(0.25)
        return 50.0

    monkeypatch.setattr(sampler_module, "_cpu_probe", lambda: slow)
    with Sampler() as sampler:
        time.sleep(1.0)
    assert abs(len(sampler.cpu_busy) - 10) <= 4
    assert set(sampler.cpu_busy) == {50.0}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux' counters")
def test_main_memory_of_the_machine_is_seen() -> None:
    with Sampler() as sampler:
        time.sleep(0.25)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    assert all(0 < value < whole for value in sampler.ram_mb)


def test_where_the_system_tells_nothing_this_process_is_watched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sampler_module, "PROC", tmp_path)
    with Sampler() as sampler:
        work(0.35)
    assert max(sampler.cpu_busy) > 0
    assert sampler.ram_mb == []


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a pretended nvidia-smi first on the path; what it prints is in the file beside it."""
    if os.name == "nt":
        pytest.skip("a script with a shebang")
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nwhile true; do cat {tmp_path}/says; sleep 0.05; done\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_gpu_memory_is_total_less_free(smi: Path) -> None:
    (smi / "says").write_text("81920, 79872\n")
    with Sampler(gpu=1) as sampler:
        time.sleep(0.35)
    assert set(sampler.gpu_mb) == {2048.0}
    asked = (smi / "asked").read_text()
    assert "-i 1 " in asked
    assert "memory.total,memory.free" in asked
    assert "-lms 100" in asked


def test_without_a_gpu_there_are_no_samples_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with Sampler(gpu=0) as sampler:
        time.sleep(0.15)
    assert sampler.gpu_mb == []


def test_a_gpu_that_does_not_exist_ends_the_watch_of_it_alone(smi: Path) -> None:
    (smi / "nvidia-smi").write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    with Sampler(gpu=9) as sampler:
        time.sleep(0.25)
    assert sampler.gpu_mb == []
    assert sampler.cpu_busy
