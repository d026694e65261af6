"""prepare.json: what a prepared folder was made from, so that work is neither repeated nor mixed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from SegToolkitLib.atomic import write_json
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json

FILE_NAME = "prepare.json"
LOCK_NAME = ".prepare.lock"
FORMAT = 1
# What is done under the lock takes moments, but for the pictures of a large data set.
PATIENCE_SECONDS = 600


def prepared_files(folder: Path, id: str) -> tuple[Path, Path]:
    """Return where a prepared case's image and label are."""
    return folder / f"image_{id}.nii.gz", folder / f"label_{id}.nii.gz"


@dataclass(frozen=True)
class PreparedRecord:
    """The settings of a preparation, and each case it has finished.

    Attributes:
        folder: the prepared folder.
        made_by: source and settings, as plain values; equal ones give equal files.
        cases: facts of each finished case by id: "source", "fingerprint" of its files, "labelled",
            "original_grid" and "prepared_grid" (``Grid.describe``), between which results travel back.
    """

    folder: Path
    made_by: dict[str, Any]
    cases: dict[str, dict[str, Any]]

    @classmethod
    def open(cls, folder: Path, made_by: dict[str, Any], overwrite: bool = False) -> PreparedRecord:
        """Read the folder's record, or begin one.

        Args:
            folder: the prepared folder; need not exist.
            made_by: source and settings of the preparation that is about to start.
            overwrite: take away the files of a preparation with others, instead of raising.

        Raises:
            SegToolkitError: "settings-differ", or the record cannot be read.
        """
        with locked(folder):
            return cls._open(folder, made_by, overwrite)

    @classmethod
    def _open(cls, folder: Path, made_by: dict[str, Any], overwrite: bool) -> PreparedRecord:
        path = folder / FILE_NAME
        if not path.is_file():
            return cls(folder, made_by, {})
        old = read_json(path)
        if old.get("format") == FORMAT and old.get("made_by") == made_by:
            return cls(folder, made_by, dict(old.get("cases", {})))
        if not overwrite:
            raise SegToolkitError(
                "settings-differ",
                f"{folder} holds a data set that was prepared from another source or with other settings.",
                "Choose another folder, or say that it may be overwritten.",
            )
        for id in old.get("cases", {}):
            for file in prepared_files(folder, id):
                # Images of two preparations must not mix, should a case fail this time.
                file.unlink(missing_ok=True)
        # At once: another process that prepares other cases of it must not take them away again.
        record = cls(folder, made_by, {})
        record._write()
        return record

    def is_current(self, id: str, fingerprint: str) -> bool:
        """Tell whether a case was prepared from files with this fingerprint and is still there."""
        facts = self.cases.get(id)
        if facts is None or facts.get("fingerprint") != fingerprint:
            return False
        image, label = prepared_files(self.folder, id)
        return image.is_file() and (label.is_file() or not facts.get("labelled"))

    def keep(self, id: str, facts: dict[str, Any]) -> None:
        """Add a finished case and write the record at once: an interruption must not lose what is done."""
        with locked(self.folder):
            self.read_others()
            self.cases[id] = facts
            self._write()

    def read_others(self) -> None:
        """Take in the cases that other processes have finished; call it under :func:`locked`.

        Raises:
            SegToolkitError: "settings-differ": another process began anew with other settings.
        """
        if not (self.folder / FILE_NAME).is_file():
            return
        there = read_json(self.folder / FILE_NAME)
        if there.get("made_by") != self.made_by:
            raise SegToolkitError(
                "settings-differ",
                f"{self.folder} is being prepared with other settings by another process.",
                "Choose another folder, or wait for the other process.",
            )
        self.cases.update(there.get("cases", {}))  # what this process finished is in it too

    def _write(self) -> None:
        write_json(self.folder / FILE_NAME, {"format": FORMAT, "made_by": self.made_by, "cases": self.cases})


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have a prepared folder's record alone for a moment; several processes may prepare into one folder.

    Raises:
        SegToolkitError: "write-failed".
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(folder / LOCK_NAME), timeout=PATIENCE_SECONDS)
        lock.acquire()
    except (OSError, Timeout) as error:
        raise SegToolkitError(
            "write-failed",
            f"{folder} cannot be written: {getattr(error, 'strerror', None) or error}.",
            "Choose a folder where you may write, and see whether another process hangs.",
        ) from error
    try:
        yield
    finally:
        lock.release()
