"""prepare.json: what a prepared folder was made from, so that work is neither repeated nor mixed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json

FILE_NAME = "prepare.json"
FORMAT = 1


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
        return cls(folder, made_by, {})

    def is_current(self, id: str, fingerprint: str) -> bool:
        """Tell whether a case was prepared from files with this fingerprint and is still there."""
        facts = self.cases.get(id)
        if facts is None or facts.get("fingerprint") != fingerprint:
            return False
        image, label = prepared_files(self.folder, id)
        return image.is_file() and (label.is_file() or not facts.get("labelled"))

    def keep(self, id: str, facts: dict[str, Any]) -> None:
        """Add a finished case and write the record at once: an interruption must not lose what is done."""
        self.cases[id] = facts
        write_json(self.folder / FILE_NAME, {"format": FORMAT, "made_by": self.made_by, "cases": self.cases})
