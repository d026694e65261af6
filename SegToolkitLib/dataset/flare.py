"""The folders of the FLARE challenges as their participants lay them out, described in place.

``train_images/<id>_0000.nii.gz`` with ``train_mask/<id>.nii.gz``, ``trainu_images/<id>_0000.nii.gz`` without
labels, ``val_images/<id>_0000.nii.gz``; lists of ids (``train_series_uids.txt`` and so on, one a line) lie
beside them or in ``file_list``, and may be missing.
Source: documentation of SemiSeg-CSSN and EfficientSegmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.in_place import Found, describe_in_place, problem_of
from SegToolkitLib.errors import SegToolkitError

ENDING = ".nii.gz"
CHANNEL = "_0000"
LABELLED, MASKS, UNLABELLED = "train_images", "train_mask", "trainu_images"
LISTS = {LABELLED: "train_series_uids.txt", UNLABELLED: "trainu_series_uids.txt"}
LIST_FOLDERS = (".", "file_list")

FLARE22_LABELS = {
    "liver": 1,
    "right kidney": 2,
    "spleen": 3,
    "pancreas": 4,
    "aorta": 5,
    "inferior vena cava": 6,
    "right adrenal gland": 7,
    "left adrenal gland": 8,
    "gallbladder": 9,
    "oesophagus": 10,
    "stomach": 11,
    "duodenum": 12,
    "left kidney": 13,
}
FLARE21_LABELS = {"liver": 1, "kidney": 2, "spleen": 3, "pancreas": 4}
LABEL_SETS: Mapping[str, Mapping[str, int]] = {"flare22": FLARE22_LABELS, "flare21": FLARE21_LABELS}
LICENCE = {
    "name": "FLARE challenge rules",
    "url": "https://flare22.grand-challenge.org",
    "permissive": False,
    "text": "The challenge's page states rules of use but no licence; a re-release of its 50 labelled cases"
    " is CC BY-NC-SA 4.0. Use models of these data for research only.",
}
CITATION = (
    "Ma et al., Unleashing the strengths of unlabelled data in deep learning-assisted pan-cancer abdominal"
    " organ quantification: the FLARE22 challenge, Lancet Digital Health 6(11) (2024) e815-e826"
)

Progress = Callable[[int, int], None]


def read_flare(folder: Path, progress: Progress | None = None) -> Found:
    """Find the cases of a folder and look into the headers of their files.

    A case whose files are missing or unreadable, or whose mask has another size than its image, is left
    out and told of.

    Raises:
        SegToolkitError: "no-cases": there is no labelled image at all.
    """
    found = Found()
    ids = {kind: _ids(folder, kind, found) for kind in (LABELLED, UNLABELLED)}
    total, done = sum(map(len, ids.values())), 0
    for kind, names in ids.items():
        for id in names:
            image, mask = folder / kind / f"{id}{CHANNEL}{ENDING}", folder / MASKS / f"{id}{ENDING}"
            problem = problem_of(image, mask if kind == LABELLED else None)
            if problem is None and id in found.labelled:
                problem = "it is among the labelled and the unlabelled images"
            if problem is not None:
                found.left_out[id] = problem
            elif kind == LABELLED:
                found.labelled[id] = (image, mask)
            else:
                found.unlabelled[id] = image
            done += 1
            if progress is not None:
                progress(done, total)
    if not found.labelled:
        first = next((f" ({id}: {why})" for id, why in found.left_out.items()), "")
        raise SegToolkitError(
            "no-cases",
            f"{folder} holds no labelled case{first}.",
            f"Give the folder that holds {LABELLED}/<id>{CHANNEL}{ENDING} and {MASKS}/<id>{ENDING}.",
        )
    return found


def describe_flare(
    folder: Path, found: Found, out: Path, labels: Mapping[str, int], name: str = "FLARE"
) -> Dataset:
    """Write ``<out>/dataset.json``, which lists the files where they lie: see :func:`describe_in_place`."""
    return describe_in_place(
        folder,
        found,
        out,
        labels,
        name=name,
        modality="CT",
        ending=ENDING,
        licence=LICENCE,
        citation=CITATION,
    )


def _ids(folder: Path, kind: str, found: Found) -> list[str]:
    """Ids of the list, where there is one, else of the files."""
    for place in LIST_FOLDERS:
        path = folder / place / LISTS[kind]
        if path.is_file():
            lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
            return list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    ending = f"{CHANNEL}{ENDING}"
    names = sorted(path.name for path in (folder / kind).glob(f"*{ending}"))
    return [name.removesuffix(ending) for name in names if not name.startswith(".")]
