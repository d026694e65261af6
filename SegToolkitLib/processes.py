"""Other processes of this machine: whether one is there, whether it is still the same one, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")


def birth(pid: int) -> str | None:
    """When the process with this id began, as a text to compare; None where no process has the id.

    Two processes that had the same id one after the other have different births, after a restart of the
    machine too. A process that has ended but was not collected by its parent (a zombie) is none.
    """
    if pid <= 0:
        return None
    if sys.platform == "win32":
        return _windows_birth(pid)
    if Path("/proc/self/stat").exists():
        return _linux_birth(pid)
    return _posix_birth(pid)


def _linux_birth(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The name in brackets may hold blanks and brackets; what follows the last bracket does not.
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in "ZXx":
        return None
    try:
        boot = BOOT_FILE.read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return f"{boot} {fields[19]}"


def _posix_birth(pid: int) -> str | None:
    try:
        found = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=False,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
        ).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return " ".join(found[1:]) if len(found) > 1 and not found[0].startswith("Z") else None


def _windows_birth(pid: int) -> str | None:
    import ctypes

    query, running = 0x1000, 259
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.argtypes = (ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32)
    kernel.OpenProcess.restype = ctypes.c_void_p
    kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
    kernel.GetExitCodeProcess.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    kernel.GetProcessTimes.argtypes = (ctypes.c_void_p,) * 5
    handle = kernel.OpenProcess(query, 0, pid)
    if not handle:
        return None
    try:
        code = ctypes.c_uint32()
        times = (ctypes.c_uint64 * 4)()
        # An ended process keeps its id while somebody holds a handle of it.
        if not kernel.GetExitCodeProcess(handle, ctypes.byref(code)) or code.value != running:
            return None
        places = [ctypes.addressof(times) + 8 * n for n in range(4)]
        return str(times[0]) if kernel.GetProcessTimes(handle, *places) else None
    finally:
        kernel.CloseHandle(handle)


def kill(pid: int, born: str) -> bool:
    """End a process and its children at once, without a chance to tidy; False where it is gone already.

    Args:
        pid: of the process.
        born: its :func:`birth`, so that another process that was given the id is left alone.
    """
    if birth(pid) != born:
        return False
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)
        return True
    with suppress(ProcessLookupError):
        # Only the leader's group is all its own: a run started in a script shares the script's.
        if os.getpgid(pid) == pid and pid != os.getpgrp():
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    return True


def detached(
    command: list[str], folder: Path, console: Path, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one, its terminal, its group and its pipes.

    Args:
        command: program and arguments.
        folder: where it starts.
        console: file that takes its stdout and stderr, at the end.
        environment: its variables.

    Raises:
        OSError: it could not be started.
    """
    with console.open("ab") as output:
        if sys.platform == "win32":
            new_group, no_window, breakaway = 0x00000200, 0x08000000, 0x01000000
            try:
                return _popen(command, folder, output, environment, new_group | no_window | breakaway)
            except OSError:  # a job object that lets nobody out: the child ends with it, unless it is lenient
                return _popen(command, folder, output, environment, new_group | no_window)
        return _popen(command, folder, output, environment, 0)


def _popen(
    command: list[str], folder: Path, output: IO[bytes], environment: dict[str, str], flags: int
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        close_fds=True,
        start_new_session=sys.platform != "win32",
        creationflags=flags,
    )
    _collect(process)
    return process


def _collect(process: subprocess.Popen[bytes]) -> None:
    """Wait for it in a thread, so that it does not stay as a zombie while this process lives."""
    threading.Thread(target=process.wait, name=f"wait for {process.pid}", daemon=True).start()
