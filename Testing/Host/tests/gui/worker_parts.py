"""What the tests of the worker's client share."""

from __future__ import annotations

from pathlib import Path

from SegToolkitGui.Errors import UserError
from SegToolkitGui.WorkerClient import WorkerClient

FAKE = Path(__file__).with_name("fake_worker.py")


class Answers:
    """Collects what the client calls back with."""

    def __init__(self) -> None:
        self.events: list[dict] = []
        self.finished: list[tuple[dict | None, UserError | None]] = []

    def onFinished(self, outputs: dict | None, error: UserError | None) -> None:
        self.finished.append((outputs, error))

    @property
    def codes(self) -> list[str]:
        return [error.code if error else "done" for _outputs, error in self.finished]


def isRunning(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def ask(client: WorkerClient, verb: str, answers: Answers, **body: object) -> str:
    return client.request(verb, body, answers.events.append, answers.onFinished)
