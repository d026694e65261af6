"""Which device a job means and how much memory it has, found out without loading torch here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What torch tells of the GPUs (worker.torch_facts.ask): {"gpus": [{"memory_gb": ...}]}, or None.
Facts = Callable[[], Mapping[str, Any] | None]

# A driver of NVIDIA, AMD or Windows' Linux leaves one of these.
DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")


@dataclass(frozen=True)
class Device:
    """A device with its queue.

    Attributes:
        name: "cpu", "mps", "cuda:0", ...
        memory_mb: how much there is; None where that is not known.
    """

    name: str
    memory_mb: float | None = None


def resolve(asked: str, facts: Facts) -> Device:
    """The device that ``asked`` ("auto", "cuda", ...) stands for; "auto" is the first GPU, or the CPU.

    Args:
        asked: as given to ``--device``.
        facts: asks torch; called only where there may be a GPU.
    """
    asked = asked.strip() or "auto"
    if asked == "cpu" or (asked == "auto" and not may_have_gpu()):
        return Device("cpu", _main_memory_mb())
    if asked != "auto" and not asked.startswith("cuda"):
        return Device(asked)
    gpus = list((facts() or {}).get("gpus", []))
    if asked == "auto" and not gpus:
        return Device("cpu", _main_memory_mb())
    index = asked.partition(":")[2]
    number = int(index) if index.isdigit() else 0
    memory = gpus[number].get("memory_gb") if number < len(gpus) else None
    return Device(f"cuda:{number}", None if memory is None else float(memory) * 1024)


def may_have_gpu() -> bool:
    """Whether there is a sign of a GPU's driver; False spares asking torch, which takes seconds."""
    if sys.platform == "darwin":
        return False  # "auto" never means Apple's GPU
    if sys.platform == "win32":
        system = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32"
        return any((system / name).exists() for name in ("nvcuda.dll", "amdhip64.dll", "amdhip64_6.dll"))
    return any(Path(name).exists() for name in DRIVERS)


def _main_memory_mb() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    except (AttributeError, ValueError, OSError):
        return None
