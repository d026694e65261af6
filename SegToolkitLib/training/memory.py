"""How much memory this process has needed, and how much there is."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# What CUDA and the libraries take on a GPU besides tensors; measured as 300 to 500 MB.
CONTEXT_MB = 500.0


def peak_memory_mb(device: torch.device) -> float | None:
    """Most memory of the device that this process has held so far, in MB; None where it cannot be told.

    On a CPU that is the whole process, interpreter and libraries included; on a GPU what PyTorch has
    taken of it (which nobody else can use), and the context.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e6 + CONTEXT_MB
    if sys.platform == "win32":
        return _windows_peak()
    import resource

    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def device_memory_mb(device: torch.device) -> float | None:
    """Memory of the device in MB; of the machine for a CPU; None where it cannot be told."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory / 1e6
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
    except (AttributeError, ValueError, OSError):
        return None


def _windows_peak() -> float | None:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = [
            ("cb", wintypes.DWORD),
            ("PageFaultCount", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in ("PeakWorkingSetSize", "WorkingSetSize", "a", "b")),
            *((name, ctypes.c_size_t) for name in ("c", "d", "PagefileUsage", "PeakPagefileUsage")),
        ]

    counters = Counters(cb=ctypes.sizeof(Counters))
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    ask = kernel.K32GetProcessMemoryInfo
    ask.argtypes = (wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD)
    if not ask(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb):
        return None
    return float(counters.PeakWorkingSetSize) / 1e6
