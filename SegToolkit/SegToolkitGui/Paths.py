"""Where things are: the library, the worker's Python program, and the folders of a person and a session."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError

SESSION_PREFIX = "SegToolkit"


def libraryRoot() -> Path:
    """Return the folder that contains the package SegToolkitLib.

    Installed, SegToolkitGui and SegToolkitLib lie side by side. In a source tree SegToolkitLib lies one
    folder higher.

    Raises:
        UserError: "library-missing".
    """
    for folder in Path(__file__).resolve().parents[1:3]:
        if (folder / "SegToolkitLib" / "__init__.py").is_file():
            return folder
    raise UserError(
        "library-missing",
        _("The folder SegToolkitLib was found neither beside nor above {folder}.").format(
            folder=Path(__file__).resolve().parents[1]
        ),
        _("Install the SegToolkit extension again, or keep its folders together when you copy them."),
    )


def pythonProgram() -> str:
    """Return the Python program that the worker runs in.

    In Slicer that is PythonSlicer, which Slicer puts on the PATH (slicer.util.executePythonModule finds it
    there too). Where there is no Slicer, it is the running Python.
    """
    return shutil.which("PythonSlicer") or sys.executable


def userFolder() -> Path:
    """Return the person's folder: $SEGTOOLKIT_HOME, or ~/.SegToolkit. It may not exist yet."""
    chosen = os.environ.get("SEGTOOLKIT_HOME")
    return Path(chosen).expanduser() if chosen else Path.home() / ".SegToolkit"


def newSessionFolder() -> Path:
    """Make and return an empty folder for exchange files, readable by this person only.

    It lies under Slicer's temporary folder. Folders that an earlier, crashed application left there are
    removed first: they hold patients' images.

    Raises:
        UserError: "no-temporary-folder".
    """
    parent = Path(slicer.app.temporaryPath)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _removeAbandoned(parent)
        return Path(
            tempfile.mkdtemp(prefix=f"{SESSION_PREFIX}-{_hostName()}-{os.getpid()}-", dir=str(parent))
        )
    except OSError as error:
        raise UserError(
            "no-temporary-folder",
            _("No folder for temporary files could be made in {folder}: {reason}.").format(
                folder=parent, reason=error.strerror or error
            ),
            _("Free some space there, or choose another temporary folder in Slicer's application settings."),
        ) from error


def diskError(error: OSError) -> UserError:
    """A failure to write or read a file of ours, in a sentence."""
    return UserError(
        "disk",
        _("{path} could not be written or read ({reason}).").format(
            path=error.filename or _("A temporary file"), reason=error.strerror or error
        ),
        _("Make room on that disk, or choose another temporary folder in Slicer's settings."),
    )


def removeFolder(path: Path | str, patience: float = 0.3) -> bool:
    """Remove a folder and all in it. Return whether it is gone.

    Args:
        path: The folder; one that does not exist is no error.
        patience: Seconds to try again for: a process that was just killed may have made a last file
            meanwhile, and Windows keeps its files for a moment.
    """
    deadline = time.monotonic() + patience
    while True:
        shutil.rmtree(str(path), ignore_errors=True)
        if not Path(path).exists():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def processExists(pid: int) -> bool:
    """Return whether a process with this number runs on this computer."""
    if os.name == "nt":
        # os.kill(pid, 0) would send Ctrl+C there.
        import ctypes

        synchronize, stillRunning = 0x00100000, 0x00000102
        handle = ctypes.windll.kernel32.OpenProcess(synchronize, False, pid)
        if not handle:
            return False
        running = ctypes.windll.kernel32.WaitForSingleObject(handle, 0) == stillRunning
        ctypes.windll.kernel32.CloseHandle(handle)
        return bool(running)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _hostName() -> str:
    """Return this computer's name for file names: a process number means nothing on another computer."""
    return re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())[:40] or "host"


def _removeAbandoned(parent: Path) -> None:
    pattern = re.compile(rf"{SESSION_PREFIX}-{re.escape(_hostName())}-(\d+)-.+")
    for folder in parent.glob(f"{SESSION_PREFIX}-*"):
        match = pattern.fullmatch(folder.name)
        if match and not folder.is_symlink() and not processExists(int(match.group(1))):
            removeFolder(folder, patience=0)


# What a person types may be no path at all: these say no where pathlib raises.


def absolute(text: str) -> str:
    """A typed path from the root on, "~" understood; "" for blanks. Processes start in other folders."""
    text = text.strip()
    return os.path.abspath(os.path.expanduser(text)) if text else ""  # noqa: PTH100, PTH111


def isFolder(path: str) -> bool:
    """Whether a folder lies there, and may be looked at."""
    return os.path.isdir(path)  # noqa: PTH112


def isFile(path: str) -> bool:
    """Whether a file lies there, and may be looked at."""
    return os.path.isfile(path)  # noqa: PTH113


def exists(path: str) -> bool:
    """Whether anything lies there, and may be looked at."""
    return os.path.exists(path)  # noqa: PTH110
