"""Load and memory of the machine, looked at every 0.1 s in the background, as the FLARE challenge does."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from SegToolkitLib.evaluation.flare import SAMPLE_SECONDS, Efficiency, efficiency

# Linux' own counters.
PROC = Path("/proc")

Probe = Callable[[], float]


class Sampler:
    """Takes samples while its block runs; of the whole machine, so nothing else should run on it.

    Args:
        gpu: number or UUID of the GPU to watch, as nvidia-smi calls it; None for none.
        interval: seconds between samples.

    Attributes:
        gpu_mb: total - free memory of the GPU; empty where there is none.
        cpu_busy: per cent of all processors; other systems than Linux: what this process takes of them.
        ram_mb: main memory in use; empty on other systems than Linux.

    Example:
        >>> with Sampler() as sampler:
        ...     _ = sum(range(1000))
        >>> sampler.efficiency().seconds > 0
        True
    """

    def __init__(self, gpu: int | str | None = None, interval: float = SAMPLE_SECONDS) -> None:
        self.gpu_mb: list[float] = []
        self.cpu_busy: list[float] = []
        self.ram_mb: list[float] = []
        self._gpu, self._interval = gpu, interval
        self._end = threading.Event()
        self._started = self._seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._stream = _GpuStream(self._gpu, self._interval) if self._gpu is not None else None
        self._probes = [
            (samples, probe)
            for samples, probe in (
                (self.gpu_mb, self._stream.latest if self._stream and self._stream.works else None),
                (self.cpu_busy, _cpu_probe()),
                (self.ram_mb, _ram_probe()),
            )
            if probe is not None
        ]
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._seconds = time.monotonic() - self._started
        self._end.set()
        self._thread.join()
        if self._stream:
            self._stream.close()

    def efficiency(self) -> Efficiency:
        """The samples, summed up by the rules of FLARE22; call it after the block."""
        return efficiency(self._seconds, self.gpu_mb, self.cpu_busy, self.ram_mb)

    def _run(self) -> None:
        taken = 0
        while not self._end.wait(max(0.0, self._started + (taken + 1) * self._interval - time.monotonic())):
            due = int((time.monotonic() - self._started) / self._interval)
            # A sample that comes late stands for those that were missed: areas must not shrink under load.
            for samples, probe in self._probes:
                samples.extend([probe()] * max(1, due - taken))
            taken = max(due, taken + 1)


class _GpuStream:
    """nvidia-smi, which keeps telling; it needs no memory of the GPU itself, as PyTorch would."""

    def __init__(self, gpu: int | str, interval: float) -> None:
        self._value: float | None = None
        self._first = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        command = ["nvidia-smi", "-i", str(gpu), "--query-gpu=memory.total,memory.free"]
        command += ["--format=csv,noheader,nounits", "-lms", str(max(1, round(1000 * interval)))]
        with suppress(OSError):
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            threading.Thread(target=self._read, name="nvidia-smi", daemon=True).start()
            self._first.wait(10)

    @property
    def works(self) -> bool:
        return self._value is not None

    def latest(self) -> float:
        return self._value or 0.0

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with suppress(ValueError):
                    total, free = (float(part) for part in line.split(","))
                    self._value = total - free
                    self._first.set()
        self._first.set()  # it ended without a word: there is no such GPU


def _cpu_probe() -> Probe:
    """Load since the call before, in per cent of all processors."""
    if not (PROC / "stat").exists():
        return _own_load()
    before = _ticks()

    def busy() -> float:
        nonlocal before
        now = _ticks()
        idle, whole = now[0] - before[0], now[1] - before[1]
        before = now
        return 100.0 * (1 - idle / whole) if whole > 0 else 0.0

    return busy


def _own_load() -> Probe:
    """The same of this process alone, for systems that do not tell of all in a file."""
    before = (time.process_time(), time.monotonic())

    def busy() -> float:
        nonlocal before
        now = (time.process_time(), time.monotonic())
        worked, passed = now[0] - before[0], now[1] - before[1]
        before = now
        return 100.0 * worked / (passed * (os.cpu_count() or 1)) if passed > 0 else 0.0

    return busy


def _ticks() -> tuple[int, int]:
    """Idle and all ticks of all processors so far; waiting for a disk counts as idle."""
    numbers = [int(word) for word in (PROC / "stat").read_text().partition("\n")[0].split()[1:9]]
    return numbers[3] + numbers[4], sum(numbers)


def _ram_probe() -> Probe | None:
    """Main memory in use, in MB."""
    if not (PROC / "meminfo").exists():
        return None

    def used() -> float:
        lines = (line.split() for line in (PROC / "meminfo").read_text().splitlines())
        kilobytes = {words[0]: int(words[1]) for words in lines}
        return (kilobytes["MemTotal:"] - kilobytes["MemAvailable:"]) / 1024

    return used
