"""Which smoothing brings maps nearest to the truth; see docs/cmer.md.

    python Testing/weak_labels/refinement.py --data FOLDER_OF_DATA_SETS --out runs/refinement
    python Testing/weak_labels/refinement.py --data FOLDER_OF_DATA_SETS --maps FOLDER_OF_MAPS --out ...

Without maps, made-up ones are refined: the mask of each patient of brats2015, smaller or larger than it is,
blurred, with smooth noise. With ``--maps`` those that ``segtoolkit maps cmer`` has written (for patient 1:
1_FLAIR_cam.nii.gz and so on), at the threshold that is best for all of them before they are refined.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.channels import read_channels
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.cmer.refine import refine
from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
from SegToolkitLib.methods.cmer.scoring import THRESHOLDS
from SegToolkitLib.volume import Volume, read_volume
from SegToolkitLib.volume.lattice import cut, sub_grid

ROOT = Path(__file__).parents[2]
MODALITIES = ("FLAIR", "T1c")
# Voxels by which the mask shrinks (or grows), and the blur's deviation in pixels.
MADE_UP = {"smaller": (4, 3.0), "larger": (-4, 5.0)}
# Pixels around the masks that are looked at, for the sake of time.
AROUND = 20
NOISE, NOISE_SIZE = 0.15, 6.0
COMPONENTS = {"smallest_ml": 0.0, "fill_holes": False, "supported": False}
# What is compared: name -> settings.
WAYS: dict[str, dict[str, object]] = {
    "cut alone": {"smoothing": "none"},
    **{
        f"random walker, {region}, certain {certain:g}, edges {edges:g}": {
            "smoothing": "random_walker",
            "region": region,
            "certain": certain,
            "edges": edges,
        }
        for region, certain, edges in [
            *itertools.product(["slice"], [0.5, 0.8], [130.0, 1000.0]),
            ("volume", 0.5, 130.0),
        ]
    },
    **{
        f"geodesic, {region}, {steps} steps": {"smoothing": "geodesic", "region": region, "steps": steps}
        for region, steps in [("slice", 20), ("volume", 20)]
    },
}


def made_up(truth: NDArray[np.bool_], kind: str, seed: int) -> dict[str, NDArray[np.float32]]:
    """Maps of a mask [Z, Y, X], one a modality, with noise of their own."""
    rng = np.random.default_rng(seed)
    shrink, blur = MADE_UP[kind]
    moved = truth
    if shrink:
        change = ndimage.binary_erosion if shrink > 0 else ndimage.binary_dilation
        moved = change(truth, iterations=abs(shrink))
    soft = ndimage.gaussian_filter(moved.astype(np.float32), (1.0, blur, blur))
    near = ndimage.binary_dilation(truth, iterations=15)
    found = {}
    for name in MODALITIES:
        noise = ndimage.gaussian_filter(rng.normal(size=truth.shape).astype(np.float32), NOISE_SIZE)
        values = soft / soft.max() + NOISE * noise / noise.std() * near
        found[name] = np.clip(values, 0, 1).astype(np.float32)
    return found


def cropped(volume: Volume, label: Volume) -> Volume:
    """The box around a mask, and :data:`AROUND` more."""
    (box,) = ndimage.find_objects((label.voxels > 0).astype(np.uint8))
    start = [max(0, one.start - AROUND) for one in box][::-1]
    stop = [min(n, one.stop + AROUND) for one, n in zip(box, label.voxels.shape, strict=True)][::-1]
    size = tuple(b - a for a, b in zip(start, stop, strict=True))
    grid = sub_grid(volume.grid, tuple(start), size)
    return Volume(cut(volume.voxels, tuple(start), size, 0), grid.spacing, grid.origin, grid.direction)


def dsc(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Of two masks."""
    return float(2 * (a & b).sum() / max(1, a.sum() + b.sum()))


def cases(
    options: argparse.Namespace,
) -> Iterator[tuple[str, str, dict[str, Volume], dict[str, Volume], Volume]]:
    """Kind of the maps, patient, images, maps and mask."""
    dataset = Dataset.open(ROOT / "Resources" / "DataSets" / "brats2015.json", options.data / "brats2015")
    for number, case in enumerate(dataset.cases):
        images, label = read_channels(case, MODALITIES)
        assert label is not None
        whole, label = label, cropped(label, label)
        images = {name: cropped(image, whole) for name, image in images.items()}
        if options.maps is not None:
            files = {name: options.maps / f"{case.id}_{name}_cam.nii.gz" for name in MODALITIES}
            if all(file.is_file() for file in files.values()):
                yield (
                    "real",
                    case.id,
                    images,
                    {n: cropped(read_volume(f), whole) for n, f in files.items()},
                    label,
                )
            continue
        for kind in MADE_UP:
            maps = made_up(label.voxels > 0, kind, number)
            yield kind, case.id, images, {n: label.with_voxels(m) for n, m in maps.items()}, label


def best_threshold(found: list[tuple[Mapping[str, Volume], Volume]]) -> float:
    """Of the mean of maps, by the mean DSC of all patients."""
    scores = {
        threshold: statistics.mean(
            dsc(np.mean([one.voxels for one in maps.values()], axis=0) > threshold, label.voxels > 0)
            for maps, label in found
        )
        for threshold in THRESHOLDS
    }
    return max(scores, key=lambda one: scores[one])


def main() -> int:
    """Refine all maps in all ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each data set")
    parser.add_argument("--maps", type=Path, help="folder of real maps")
    parser.add_argument(
        "--tagged", action="store_true", help="slices without the object stay empty, as tagged"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "refinement")
    options = parser.parse_args()
    every = list(cases(options))
    threshold = 0.5 if options.maps is None else best_threshold([(maps, label) for *_, maps, label in every])
    table: dict[str, dict[str, list[float]]] = {}
    seconds: dict[str, list[float]] = {}
    for kind, id, images, maps, label in every:
        truth = label.voxels > 0
        tags = [bool(one) for one in truth.any((1, 2))] if options.tagged else None
        for way, settings in WAYS.items():
            begun = time.perf_counter()
            wanted = RefineSettings.model_validate(COMPONENTS | settings)
            mask = refine(images, maps, wanted, threshold, tags=tags).mask.voxels > 0
            seconds.setdefault(way, []).append(time.perf_counter() - begun)
            table.setdefault(way, {}).setdefault(kind, []).append(dsc(mask, truth))
        line = ", ".join(f"{way}: {table[way][kind][-1]:.3f}" for way in WAYS)
        print(line, file=sys.stderr)
        print(f"{kind} maps of patient {id} are refined", file=sys.stderr, flush=True)
    write_json(options.out / "refinement.json", {"threshold": threshold, "dsc": table, "seconds": seconds})
    kinds = list(next(iter(table.values())))
    lines = [
        f"| at {threshold:g} | {' | '.join(kinds)} | seconds a patient |",
        "|---|" + "---|" * (len(kinds) + 1),
    ]
    for way, by_kind in table.items():
        means = " | ".join(f"{statistics.mean(by_kind[kind]):.3f}" for kind in kinds)
        lines.append(f"| {way} | {means} | {statistics.mean(seconds[way]):.1f} |")
    (options.out / "refinement.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(json.dumps({"threshold": threshold}), "\n".join(lines), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
