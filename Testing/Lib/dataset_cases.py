"""Volumes on awkward grids, data sets made of them, and nnU-Net's own demands written down a second time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SegToolkitLib.dataset import DatasetDescription
from SegToolkitLib.dataset.new_cases import NewCase, Structure
from SegToolkitLib.dataset.nnunet_write import add_cases
from SegToolkitLib.volume import Volume

MR = DatasetDescription(name="made", modality="MR", labels={"background": 0})
LIVER, SPLEEN, KIDNEY = Structure(name="liver"), Structure(name="spleen"), Structure(name="right kidney")


def turned(angle: float, axis: tuple[float, float, float]) -> np.ndarray:
    """The rotation by an angle (radians) around an axis."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: np.ndarray = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn


DIRECTIONS = {
    "identity": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "mirrored": np.diag([1.0, 1.0, -1.0]),
    "permuted": np.eye(3)[[2, 0, 1]],
    "oblique": turned(0.37, (1, 2, 3)),
    "oblique mirrored": turned(1.1, (3, -1, 2)) @ np.diag([1.0, -1.0, 1.0]),
}


def image(
    seed: int = 0,
    direction: np.ndarray | None = None,
    spacing: tuple[float, float, float] = (0.7128906, 0.7128906, 3.3),
    shape: tuple[int, int, int] = (6, 20, 17),
    kind: type = np.int16,
) -> Volume:
    voxels = np.random.default_rng(seed).normal(100, 40, shape).astype(kind)
    origin = (-183.4431, 91.0073 + seed, 12.5)
    return Volume(voxels, spacing, origin, np.eye(3) if direction is None else direction)


def mask(like: Volume, *values: int) -> Volume:
    """A block for each value, one after the other along i."""
    voxels = np.zeros(like.shape, np.uint8)
    for n, value in enumerate(values):
        voxels[2:4, 5:12, 1 + 4 * n : 4 + 4 * n] = value
    return like.with_voxels(voxels)


def case(id: str, seed: int = 0, patient: str | None = None, **structures: int) -> NewCase:
    """An image with a block for each structure; without structures an image without a label."""
    scan = image(seed)
    named = {value: Structure(name=name) for name, value in structures.items()}
    return NewCase(id, scan, mask(scan, *named) if named else None, named, patient)


def made(folder: Path, count: int = 3) -> Path:
    """A data set of labelled cases c0, c1, ..."""
    add_cases(folder, MR, [case(f"c{n}", n, liver=1, spleen=2) for n in range(count)])
    return folder


def nnunet_complaints(folder: Path) -> list[str]:
    """What nnU-Net's verify_dataset_integrity demands, independent of the library's own code."""
    found: list[str] = []
    values = json.loads((folder / "dataset.json").read_text())
    found += [
        f"no {key}" for key in ("labels", "channel_names", "numTraining", "file_ending") if key not in values
    ]
    ending, labels = values["file_ending"], sorted(values["labels"].values())
    if labels != list(range(len(labels))) or values["labels"].get("background") != 0:
        found.append(f"labels {labels}")
    if "dataset" in values:
        cases = {
            id: ([folder / one for one in files["images"]], folder / files["label"])
            for id, files in values["dataset"].items()
        }
    else:
        names = sorted({p.name[: -len(ending) - 5] for p in (folder / "imagesTr").iterdir()})
        cases = {
            id: (
                sorted((folder / "imagesTr").glob(f"{id}_????{ending}")),
                folder / "labelsTr" / f"{id}{ending}",
            )
            for id in names
        }
    if len(cases) != values["numTraining"]:
        found.append(f"{len(cases)} cases, not {values['numTraining']}")
    for id, (images, label) in cases.items():
        if len(images) != len(values["channel_names"]):
            found.append(f"{id} has {len(images)} channels")
        missing = [path.name for path in (*images, label) if not path.is_file()]
        if missing:
            found.append(f"missing {missing}")
            continue
        outline = sitk.ReadImage(str(label))
        codes = np.unique(sitk.GetArrayFromImage(outline))
        if not set(codes.tolist()) <= set(labels):
            found.append(f"{id} has the values {codes}")
        for path in images:
            scan = sitk.ReadImage(str(path))
            if np.isnan(sitk.GetArrayFromImage(scan)).any():
                found.append(f"{id} has NaN")
            for fact in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
                if not np.allclose(getattr(scan, fact)(), getattr(outline, fact)()):
                    found.append(f"{id} differs in {fact}")
    return found
