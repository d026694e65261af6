"""Write the cases of a data set as the authors' code wants them: prepared volumes, in folders of patients.

Source: released preparation script. It lost origin and direction, which are kept here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from SegToolkitLib.dataset.batch import Failures
from SegToolkitLib.dataset.dataset import Case, Dataset, read_case
from SegToolkitLib.dataset.frames import LAYOUTS, Layout
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cooperative.plan import InputPlan
from SegToolkitLib.methods.cooperative.prepare import stacked
from SegToolkitLib.volume import Volume, write_volume


def write_prepared(
    dataset: Dataset,
    out: Path,
    plan: InputPlan,
    relabel: Mapping[int, int],
    reporter: Reporter,
    cases: Sequence[Case] | None = None,
    layout: Layout = LAYOUTS["released"],
) -> tuple[list[Path], Failures]:
    """Normalise and resample each case, and write it with its label; slices are not cropped.

    Args:
        dataset: of the cases.
        out: folder of the patients.
        plan: grid and intensities.
        relabel: value of a label -> value to write; others stay as they are.
        reporter: hears of progress.
        cases: None takes all.
        layout: where the files go.

    Returns:
        The images, and why cases could not be written.

    Raises:
        SegToolkitError: "same-name": two cases would be written into one file, and nothing is written;
            "write-failed".
    """
    targets = _targets(dataset, layout)
    chosen = list(dataset.cases if cases is None else cases)
    written: list[Path] = []
    failures: Failures = {}
    for done, case in enumerate(chosen, start=1):
        target, drawn_to = targets[case.id]
        try:
            image, label = read_case(case)
            stack = stacked(image, plan, crop=False)
            write_volume(stack.prepared.volume.with_voxels(stack.pixels), out / target)
            if label is not None:
                drawn = stack.prepared.label(label)
                write_volume(_relabelled(drawn, relabel), out / drawn_to)
            written.append(out / target)
        except SegToolkitError as error:
            if error.code == "write-failed":
                raise  # so will the next one
            failures[case.id] = error
        reporter.progress("writing", done, len(chosen))
    return written, failures


def _targets(dataset: Dataset, layout: Layout) -> dict[str, tuple[str, str]]:
    """Where image and label of each case go, of all cases: shards must not overwrite each other's files."""
    found: dict[str, tuple[str, str]] = {}
    owners: dict[str, str] = {}
    for case in dataset.cases:
        patient = dataset.patients.get(case.id, case.id)
        frame = frame_of(case.id, patient)
        image, label = (_filled(pattern, patient, frame) for pattern in (layout.image, layout.label))
        # Some file systems do not tell letters' cases apart.
        other = owners.setdefault(image.casefold(), case.id)
        if other != case.id:
            raise SegToolkitError(
                "same-name",
                f"Cases {other} and {case.id} of patient {patient} would both be written as {image}.",
                "Give one of them another id.",
            )
        found[case.id] = image, label
    return found


def frame_of(id: str, patient: str) -> str:
    """What is left of a case's id without its patient: "ED" of "007_ED"."""
    return id.removeprefix(patient).strip("_-. ") or id


def _filled(pattern: str, patient: str, frame: str) -> str:
    return pattern.replace("{patient}", patient).replace("{frame}", frame)


def _relabelled(label: Volume, relabel: Mapping[int, int]) -> Volume:
    voxels = label.voxels.astype(np.uint8)
    changed = voxels.copy()
    for value, into in relabel.items():
        changed[voxels == value] = into
    return label.with_voxels(changed)
