"""What an evaluation has found so far, a file a case, so that an interrupted one goes on where it was."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.dataset import Case
from SegToolkitLib.evaluation.robustness import VolumeResult
from SegToolkitLib.evaluation.scoring import OrganScore

# Below the folder of the tables.
FOLDER = "cases"
FORMAT = 1
# JSON has no words for numbers without a value, and for distances of what was missed.
TEXTS = ("case", "organ")
WORDS = {"nan": math.nan, "inf": math.inf}


@dataclass(frozen=True)
class KeptResults:
    """Results of the cases of one data set.

    Attributes:
        folder: of the files.
        dataset: its name.
        about: all that decides results besides the case (models, copies, scoring), as plain values: results
            that were made otherwise are not taken.
        anew: what is there already is not read.
    """

    folder: Path
    dataset: str
    about: Mapping[str, Any]
    anew: bool = False

    def load(self, case: Case, runs: Sequence[str]) -> list[VolumeResult] | None:
        """The results of a case; None where they are not known, or were made of other files or otherwise.

        Args:
            case: as it is now.
            runs: of the models that are tested on it.
        """
        if self.anew:
            return None
        with suppress(OSError, ValueError, TypeError, KeyError):
            content = json.loads(self._file(case).read_text(encoding="utf-8"))
            if content["made_of"] == self._made_of(case, runs):
                return [_result(one) for one in content["results"]]
        return None

    def save(self, case: Case, runs: Sequence[str], results: Sequence[VolumeResult]) -> None:
        """Keep the results of a case.

        Raises:
            SegToolkitError: "write-failed".
        """
        rows = [_plain(asdict(one)) for one in results]
        content = {"case": case.id, "made_of": self._made_of(case, runs), "results": rows}
        write_json(self._file(case), content)

    def _file(self, case: Case) -> Path:
        # Ids that differ by a sign or by their letters' case alone must not share a file.
        mark = hashlib.sha256(f"{self.dataset}\0{case.id}".encode()).hexdigest()[:8]
        name = "".join(one if one.isalnum() or one in "._-" else "_" for one in case.id)
        return self.folder / f"{name[:60]}-{mark}.json"

    def _made_of(self, case: Case, runs: Sequence[str]) -> str:
        files = [str(path) for path in (case.image, case.label) if path is not None]
        facts = [(Path(file).stat().st_size, Path(file).stat().st_mtime_ns) for file in files]
        parts = [FORMAT, self.dataset, dict(self.about), list(runs), case.id, files, facts]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf"
    return value


def _result(values: Mapping[str, Any]) -> VolumeResult:
    # Names may be words of ours: a case called "inf".
    scores = tuple(
        OrganScore(**{name: one if name in TEXTS else WORDS.get(one, one) for name, one in row.items()})
        for row in values["scores"]
    )
    return VolumeResult(**{**values, "scores": scores})
