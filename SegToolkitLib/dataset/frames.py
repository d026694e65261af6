"""Folders of patients with several frames each, as of cine MR of the heart, described in place.

Where the files of a frame lie, a pattern says: ``{patient}`` and ``{frame}`` stand for parts of names.
Source: documentation of the released code of cooperative training, and the ACDC challenge.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.in_place import Found, Header, describe_in_place, header_of, problem_of
from SegToolkitLib.dataset.new_cases import case_id
from SegToolkitLib.errors import SegToolkitError

PATIENT, FRAME = "{patient}", "{frame}"
ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
# Values of the labels: as the ACDC challenge has them, and as the authors' code and M&Ms do.
NATIVE = {"right ventricle": 1, "myocardium": 2, "left ventricle": 3}
RELEASED = {"left ventricle": 1, "myocardium": 2, "right ventricle": 3}
LABEL_SETS: Mapping[str, Mapping[str, int]] = {"native": NATIVE, "released": RELEASED}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Layout:
    """Patterns of the paths of images and labels below a folder."""

    image: str
    label: str


LAYOUTS: Mapping[str, Layout] = {
    "released": Layout("{patient}/{frame}_img.nii.gz", "{patient}/{frame}_seg.nii.gz"),
    "acdc": Layout("{patient}/{patient}_frame{frame}.nii.gz", "{patient}/{patient}_frame{frame}_gt.nii.gz"),
}


def read_frames(
    folder: Path,
    layout: Layout = LAYOUTS["released"],
    frames: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Found:
    """Find the frames of all patients and look into the headers of their files.

    An image without a label file is kept without one; what cannot be read, or whose label has another size,
    is left out and told of.

    Args:
        folder: of the patients.
        layout: where the files are.
        frames: those to take; None takes all.
        progress: called with (done, total) after each case.

    Raises:
        SegToolkitError: "bad-pattern", "no-cases"; "same-name": two files of one case.
    """
    images = _files(folder, layout.image)
    chosen = {key: path for key, path in images.items() if frames is None or key[1] in frames}
    # A label's pattern may fit the image's, too: patient_frame01_gt.
    labels = _files(folder, layout.label)
    taken = set(labels.values())
    chosen = {key: path for key, path in chosen.items() if path not in taken}
    found = Found()
    for done, ((patient, frame), image) in enumerate(sorted(chosen.items()), start=1):
        id = case_id(f"{patient}_{frame}" if frame else patient)
        label = labels.get((patient, frame))
        problem = problem_of(image, label)
        if id in found.patients:
            raise SegToolkitError("same-name", f"Two images are of case {id}.", "Rename one of them.")
        found.patients[id] = patient
        if problem is not None:
            found.left_out[id] = problem
            del found.patients[id]
        elif label is not None:
            found.labelled[id] = (image, label)
        else:
            found.unlabelled[id] = image
        if progress is not None:
            progress(done, len(chosen))
    if not found.labelled:
        first = next((f" ({id}: {why})" for id, why in found.left_out.items()), "")
        raise SegToolkitError(
            "no-cases",
            f"{folder} holds no labelled frame{first}.",
            f"Its images should be {layout.image}, its labels {layout.label}; give other patterns.",
        )
    return found


def describe_frames(
    folder: Path,
    found: Found,
    out: Path,
    labels: Mapping[str, int] = NATIVE,
    name: str = "frames",
    modality: str = "MR",
) -> Dataset:
    """Write ``<out>/dataset.json``, which lists the files where they lie, and whose patients they are.

    Args:
        folder: that was read.
        found: in it.
        out: folder of the data set; made if missing.
        labels: value by name, without the background.
        name: of the data set.
        modality: "MR" or "CT".

    Raises:
        SegToolkitError: "dataset-exists", "write-failed".
    """
    image = next(iter(found.labelled.values()))[0]
    ending = next((one for one in ENDINGS if image.name.lower().endswith(one)), image.suffix)
    return describe_in_place(folder, found, out, labels, name=name, modality=modality, ending=ending)


def spacings(found: Found) -> str:
    """The range of the pixel spacings and slice distances of the images, for a person."""
    headers = [header_of(image) for image, _ in found.labelled.values()]
    axes = list(zip(*(one.spacing for one in headers if isinstance(one, Header)), strict=False))
    return " x ".join(
        f"{min(axis):.4g}" if max(axis) - min(axis) < 1e-3 else f"{min(axis):.4g} to {max(axis):.4g}"
        for axis in axes
    )


def _files(folder: Path, pattern: str) -> dict[tuple[str, str], Path]:
    """The files that fit a pattern, by patient and frame ("" where the pattern names none)."""
    if PATIENT not in pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise SegToolkitError(
            "bad-pattern",
            f"{pattern!r} does not say where a patient's files are.",
            f"Write a path below the folder, such as {LAYOUTS['released'].image}.",
        )
    text = re.escape(pattern)
    for name, part in ((PATIENT, "patient"), (FRAME, "frame")):
        mark = re.escape(name)
        text = text.replace(mark, f"(?P<{part}>[^/]+?)", 1).replace(mark, f"(?P={part})")
    wanted = re.compile(text)
    found: dict[tuple[str, str], Path] = {}
    stars = glob.escape(pattern).replace(glob.escape(PATIENT), "*").replace(glob.escape(FRAME), "*")
    for path in sorted(folder.glob(stars)):
        match = wanted.fullmatch(path.relative_to(folder).as_posix())
        if match is not None and not path.name.startswith("."):
            parts = match.groupdict()
            found[parts["patient"], parts.get("frame") or ""] = path
    return found
