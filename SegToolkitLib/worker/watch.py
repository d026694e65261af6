"""The worker ends when nobody is left to answer to: also in the middle of a computation."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

EVERY_SECONDS = 0.5
EXIT_ABANDONED = 3


def start(folder: Path, parent: int | None) -> None:
    """Watch from a thread of its own, and end the process when the parent or the folder is gone.

    Args:
        folder: of the worker.
        parent: process to live with; None watches the folder only.
    """
    alive = parent_check(parent) if parent is not None else (lambda: True)

    def watch() -> None:
        while alive() and _is_there(folder):
            time.sleep(EVERY_SECONDS)
        # Not sys.exit: the main thread may be busy for minutes, and there is nothing to tidy.
        os._exit(EXIT_ABANDONED)

    threading.Thread(target=watch, name="watch", daemon=True).start()


def _is_there(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:
        return True  # a network drive that does not answer at the moment is not gone


def parent_check(pid: int) -> Callable[[], bool]:
    """A function that tells whether the process that has this id now is still alive."""
    if sys.platform == "win32":
        return _windows_check(pid)
    # The direct parent's death shows in our own parent's id, even where the id is given away again.
    direct = os.getppid() == pid
    born = _birth(pid)

    def alive() -> bool:
        if direct and os.getppid() != pid:
            return False
        return _exists(pid) and _birth(pid) == born

    return alive


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it belongs to another user, so it is there
    return True


def _birth(pid: int) -> str:
    """Linux: when the process began, "dead" for one that has ended but is not collected; elsewhere ""."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    # The name in brackets may hold blanks and brackets; what follows the last bracket does not.
    fields = text.rpartition(")")[2].split()
    return "dead" if fields[0] in "ZXx" else fields[19]


def _windows_check(pid: int) -> Callable[[], bool]:
    import ctypes

    synchronize, still_running = 0x00100000, 0x102
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.argtypes = (ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32)
    kernel.OpenProcess.restype = ctypes.c_void_p
    kernel.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    kernel.WaitForSingleObject.restype = ctypes.c_uint32
    # While the handle is open, Windows gives the id to nobody else.
    handle = kernel.OpenProcess(synchronize, 0, pid)
    if not handle:
        return lambda: False
    return lambda: bool(kernel.WaitForSingleObject(handle, 0) == still_running)
