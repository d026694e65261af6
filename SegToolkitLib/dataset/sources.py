"""Where unprepared scans come from: raw CHAOS, raw Synapse, or any described data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from SegToolkitLib.dataset.chaos import ChaosCase, chaos_cases, read_chaos
from SegToolkitLib.dataset.dataset import Case, Dataset, case_key, read_case
from SegToolkitLib.dataset.description import DatasetDescription
from SegToolkitLib.dataset.known import CHAOST2, CHAOST2_IDS, SABS, SABS_IDS
from SegToolkitLib.dataset.sabs import sabs_cases
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import Volume

SourceName = Literal["chaos", "sabs", "generic"]
RawCase = Case | ChaosCase


@dataclass(frozen=True)
class Source:
    """Raw scans and what is known about them.

    Attributes:
        cases: the scans.
        description: of the scans as they are; file patterns and borders are for ``described``.
        folder: where they lie.
        known_ids: the ids to which the published fold borders belong, or None: to as many as there are.
    """

    cases: list[RawCase]
    description: DatasetDescription
    folder: Path
    known_ids: tuple[str, ...] | None = None

    @classmethod
    def open(cls, name: SourceName, path: Path, data: Path | None = None) -> Source:
        """Find the scans of a source.

        Args:
            name: "chaos" and "sabs" for the layouts their providers ship, "generic" for a data set
                that ``Dataset.open`` can open.
            path: the folder (for "generic" also a description file).
            data: of "generic": folder of the volumes, if not the described one.

        Raises:
            SegToolkitError: "unused-option": ``data`` of another source; a source that does not exist, or no
                scans found.
        """
        if data is not None and name != "generic":
            raise SegToolkitError(
                "unused-option", f"--data belongs to generic, not to {name}.", "Leave it out."
            )
        if name == "chaos":
            return cls(list(chaos_cases(path)), CHAOST2, path, CHAOST2_IDS)
        if name == "sabs":
            return cls(list(sabs_cases(path)), SABS, path, SABS_IDS)
        if name == "generic":
            dataset = Dataset.open(path, data)
            return cls(list(dataset.cases), dataset.description, dataset.folder)
        raise SegToolkitError("source", f"There is no source '{name}'.", "Choose chaos, sabs or generic.")

    def described(
        self,
        ids: list[str],
        spacing: tuple[float, float, float] | None,
        size: tuple[int, int] | None,
    ) -> DatasetDescription:
        """Describe the prepared data set that holds the cases ``ids`` of this source.

        Fold borders are positions among all of the cases: with a part of them they would cut elsewhere
        than was meant, and a part is cut evenly into as many folds (or as it allows) instead.
        """
        raw = self.description
        whole = self.known_ids or tuple(case.id for case in self.cases)
        folds = len(raw.fold_borders) - 1 if raw.fold_borders else raw.folds
        return DatasetDescription(
            name=raw.name,
            modality=raw.modality,
            labels=raw.labels,
            fold_borders=raw.fold_borders if set(ids) == set(whole) else None,
            folds=max(1, min(folds, len(ids))),
            test_groups=raw.test_groups,
            foreground_threshold=raw.foreground_threshold,
            spacing=spacing,
            size=size,
            patients={id: patient for id, patient in raw.patients.items() if case_key(id) in ids},
            structures=raw.structures,
            not_annotated={id: names for id, names in raw.not_annotated.items() if case_key(id) in ids},
            licence=raw.licence,
            citation=raw.citation,
        )


def read_raw(case: RawCase, ranks: bool = False) -> tuple[Volume, Volume | None]:
    """Read a raw scan and its label (``ranks``: see ``read_chaos``).

    Raises:
        SegToolkitError: as ``read_case`` and ``read_chaos``.
    """
    return read_chaos(case, ranks) if isinstance(case, ChaosCase) else read_case(case)


def origin_of(case: RawCase) -> dict[str, str]:
    """Return where the image and the label of a raw scan are, for the record."""
    image, label = (case.dicom, case.ground) if isinstance(case, ChaosCase) else (case.image, case.label)
    return {"image": str(image)} | ({"label": str(label)} if label else {})


def files_of(case: RawCase) -> list[Path]:
    """List the files that a raw scan is read from."""
    if isinstance(case, ChaosCase):
        folders = [case.dicom] + ([case.ground] if case.ground else [])
        return [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()]
    return [*case.image_files] + ([case.label] if case.label else [])


def fingerprint(files: list[Path]) -> str:
    """Return a SHA-256 over the names, sizes and times of files: another one means another scan."""
    digest = hashlib.sha256()
    for path in files:
        facts = path.stat()
        digest.update(f"{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()
