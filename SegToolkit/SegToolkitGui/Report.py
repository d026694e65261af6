"""The text behind "Copy report": what a maintainer needs to know, and no more of the person than that.

Reports are in English: they go to a forum or an issue tracker.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import qt
import slicer

from SegToolkitGui.Errors import UserError

LOG_LINES = 50


def reportText(
    error: UserError | None = None,
    environment: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    log: Iterable[str] = (),
    lines: int = LOG_LINES,
) -> str:
    """Return the report.

    Args:
        error: The last error, if there was one.
        environment: Answer of the worker's verb "environment", if there is one.
        facts: More lines, such as {"Model": ..., "Device": ..., "State": ...}.
        log: Lines of the log; the last `lines` of them are taken.
    """
    parts = ["SegToolkit report", *_applicationLines(), *_environmentLines(environment or {})]
    parts += [f"{name}: {value}" for name, value in (facts or {}).items()]
    if error:
        parts += ["", f"Error: {error.code}", str(error), *error.details.splitlines()]
    last = list(log)[-lines:]
    parts += ["", f"Last {len(last)} log lines:", *last]
    return withoutHome("\n".join(parts)) + "\n"


def withoutHome(text: str) -> str:
    """Return the text with the home folder, which has the person's name in it, as "~"."""
    home = str(Path.home())
    if len(home) < 4:  # "/" and the like would change every path
        return text
    for form in {home, home.replace("\\", "\\\\"), home.replace("\\", "/")}:
        text = text.replace(form, "~")
    return text


def _applicationLines() -> list[str]:
    version = _applicationText("applicationVersion")
    revision = _applicationText("repositoryRevision") or _applicationText("revision")
    return [
        f"Slicer: {version} {revision}".rstrip(),
        f"System: {platform.platform()}, {os.cpu_count()} processors",
        f"Python: {sys.version.split()[0]}, Qt {qt.Qt.qVersion()}",
    ]


def _applicationText(name: str) -> str:
    value = getattr(slicer.app, name, "")
    return "" if callable(value) or value is None else str(value)


def _environmentLines(environment: Mapping[str, Any]) -> list[str]:
    if not environment:
        return ["Worker: has not answered"]
    packages = environment.get("packages") or {}
    devices = environment.get("devices") or []
    lines = [
        f"SegToolkitLib: {environment.get('version', '?')}, Python {environment.get('python', '?')}",
        "Packages: " + ", ".join(f"{name} {version or 'missing'}" for name, version in packages.items()),
        "Devices: "
        + (", ".join(f"{device.get('id')} ({device.get('name')})" for device in devices) or "none"),
    ]
    if environment.get("problem"):
        lines.append(f"Problem: {environment['problem']}")
    return lines
