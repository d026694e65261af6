"""waiting.json: what a job waits for. It counts only while the process that wrote it owns the run."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from SegToolkitLib.jobs.shared_file import replace_json
from SegToolkitLib.training.alive import Owner

FILE_NAME = "waiting.json"


@dataclass(frozen=True)
class Waiting:
    """On which device a job waits, and for what, as a sentence."""

    device: str
    reason: str


def tell(folder: Path, owner: Owner, waiting: Waiting) -> None:
    """Let others know that the owner waits."""
    replace_json(
        folder / FILE_NAME,
        {"pid": owner.pid, "born": owner.born, "device": waiting.device, "reason": waiting.reason},
    )


def end(folder: Path) -> None:
    """It waits no longer."""
    with suppress(OSError):
        (folder / FILE_NAME).unlink(missing_ok=True)


def waiting_of(folder: Path, owner: Owner) -> Waiting | None:
    """What this live owner waits for; None where it does not wait."""
    try:
        values = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        if (values["pid"], values["born"]) != (owner.pid, owner.born):
            return None
        return Waiting(str(values["device"]), str(values["reason"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
