"""The end of a run's log, read again only when the file grew."""

from __future__ import annotations

from pathlib import Path

# Where a run writes what it does, and what else its process prints.
FILES = ("log.txt", "console.txt")
TAIL_BYTES = 12_000


class RunLog:
    """Shows the last lines.

    Args:
        view: a QPlainTextEdit.
    """

    def __init__(self, view) -> None:
        self._view = view
        self._shown: tuple = ()

    def clear(self) -> None:
        """Another run follows."""
        self._shown = ()
        self._view.setPlainText("")

    def show(self, status: dict, visible: bool) -> None:
        """Bring the view up to date; nothing is read while nobody sees it."""
        if not visible:
            return
        stamp = tuple(_stamp(Path(status["folder"], name)) for name in FILES)
        if stamp == self._shown:
            return
        self._shown = stamp
        bar = self._view.verticalScrollBar()
        atEnd = bar.value >= bar.maximum - 4
        self._view.setPlainText("\n".join(self.lines(status)))
        if atEnd:
            bar.setValue(bar.maximum)

    def lines(self, status: dict) -> list[str]:
        """The last lines of both files."""
        if not status:
            return []
        texts = [tail(Path(status["folder"], name)) for name in FILES]
        return [line for text in texts for line in text.splitlines()]


def tail(path: Path, count: int = TAIL_BYTES) -> str:
    """The last whole lines of a file, "" if it cannot be read."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - count))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return text if size <= count else text.partition("\n")[2]


def _stamp(path: Path) -> tuple[int, float]:
    try:
        facts = path.stat()
    except OSError:
        return 0, 0.0
    return facts.st_size, facts.st_mtime
