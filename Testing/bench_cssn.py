"""A whole case of the two-stage segmentation: ours against the plain pipeline; part of ``make bench``.

The networks have the released size and random weights. How long everything else takes depends on what they
find, and random logits would paint noise all over the volume. So, with the clock stopped, both ways get the
logits of a perfect network plus a part of those that they have just computed: regions look like organs, and
a difference between the two networks' numbers still moves their borders.

Each run is a process of its own, as with a container that is started for one case, so that its peak memory
is its own; both ways take turns. The plain pipeline is ``Lib/cssn_plain.py``. Where there is a GPU, it is
measured, too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from Lib.cssn_plain import PlainPipeline
from numpy.typing import NDArray
from scipy import ndimage

from SegToolkitLib.atomic import write_json
from SegToolkitLib.automatic.segmenter import AutomaticOptions

# Before torch: it says how torch takes memory, as in the program.
from SegToolkitLib.methods.cssn import automatic  # noqa: F401  # isort: split
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import ModelPlan, NetworkPlan, StagePlan
from SegToolkitLib.methods.cssn.segment import CssnSegmenter
from SegToolkitLib.methods.cssn.weights import Stage, for_stage, loaded_network, of_stage
from SegToolkitLib.models.card import Label
from SegToolkitLib.phantom.ct import trunk
from SegToolkitLib.training.memory import peak_memory_mb
from SegToolkitLib.training.run_folder import provenance
from SegToolkitLib.volume import read_volume, write_volume

PARTS = ("read", "resample", "coarse", "box", "fine", "restore", "write")
ORGANS = 13
# Logits of the perfect network inside an organ, and how much of the real ones' deviation is added.
CERTAINTY, SHARE = 6.0, 0.5
# What the project demands.
MOST_OTHER, LEAST_FASTER, LEAST_EQUAL, MOST_MB, MOST_GPU_MB, MOST_SMALL_MB = (
    0.25,
    3.0,
    0.995,
    4000,
    2052,
    1000,
)


class Guide:
    """Makes logits of a random network look like those of a good one; counts the time that this takes."""

    def __init__(self, truth: Path) -> None:
        from SegToolkitLib.methods.cssn.frame import canonical_view
        from SegToolkitLib.volume import read_volume

        self.labels = canonical_view(read_volume(truth))[0]
        self.seconds = 0.0

    def __call__(self, logits: NDArray[np.float32], box: tuple[slice, ...]) -> NDArray[np.float32]:
        """Logits [C, z, y, x] of a box of the volume; they are changed in place."""
        started = time.perf_counter()
        labels = self.labels[box]
        factors = np.divide(logits.shape[1:], labels.shape)
        for number, channel in enumerate(logits, start=1):
            share = ndimage.zoom((labels == number).astype(np.float32), factors, order=1)
            channel *= SHARE / max(float(channel.std()), 1e-6)
            channel += CERTAINTY * (2 * share - 1)
        self.seconds += time.perf_counter() - started
        return logits

    def clock(self) -> float:
        """Seconds, without those spent here."""
        return time.perf_counter() - self.seconds


def _plan_and_state() -> tuple[ModelPlan, dict[str, torch.Tensor]]:
    plans: dict[Stage, StagePlan] = {
        "coarse": StagePlan(network=NetworkPlan(kind="unet"), size=(160, 160, 160)),
        "fine": StagePlan(network=NetworkPlan(kind="efficient"), size=(160, 160, 160)),
    }
    state: dict[str, torch.Tensor] = {}
    for seed, (stage, plan) in enumerate(plans.items()):
        state |= for_stage(build_network(plan, ORGANS, seed).state_dict(), stage)
    return ModelPlan(**plans), state


def ours(scan: Path, truth: Path, out: Path, device: str, small: bool) -> dict[str, Any]:
    """The case as ``segtoolkit segment cssn`` does it."""
    guide = Guide(truth)

    class Guided(CssnSegmenter):
        def _logits(self, scan: Any, stage: Stage, box: Any) -> torch.Tensor:
            found = super()._logits(scan, stage, box)
            return torch.from_numpy(guide(found.float().cpu().numpy(), box.slices)).to(found)

    labels = [Label(value=value, name=f"organ {value}") for value in range(1, ORGANS + 1)]
    segmenter = Guided(*_plan_and_state(), labels, torch.device(device))
    if device != "cpu":
        # The first use of a GPU loads its libraries, which is no part of a case.
        torch.ones((1, 1, 8, 8, 8), device=device).sum().item()
    started = guide.clock()
    volume = read_volume(scan)
    read = guide.clock()
    result = segmenter.segment(volume, AutomaticOptions(small=small))
    done = guide.clock()
    write_volume(result.labels, out)
    ended = guide.clock()
    seconds = {"read": read - started, **result.seconds, "write": ended - done, "total": ended - started}
    return {
        "seconds": seconds,
        "peak_memory_mb": peak_memory_mb(torch.device("cpu")),
        "peak_gpu_memory_mb": peak_memory_mb(torch.device(device)) if device != "cpu" else None,
        "notes": list(result.notes),
    }


def plain(scan: Path, truth: Path, out: Path) -> dict[str, Any]:
    """The case as the specification tells it."""
    guide = Guide(truth)

    class Guided(PlainPipeline):
        def logits(self, network: Any, plan: Any, raw: Any, box: tuple[slice, ...]) -> NDArray[np.float32]:
            return guide(super().logits(network, plan, raw, box), box)

    plan, state = _plan_and_state()
    stages: list[tuple[Stage, Any]] = [("coarse", plan.coarse), ("fine", plan.fine)]
    coarse, fine = (loaded_network(p, ORGANS, of_stage(state, stage), stage) for stage, p in stages)
    pipeline = Guided(plan, coarse, fine, range(1, ORGANS + 1))
    pipeline.clock = guide.clock
    started = guide.clock()
    volume = read_volume(scan)
    read = guide.clock()
    labels = pipeline.segment(volume)
    done = guide.clock()
    write_volume(volume.with_voxels(labels), out)
    ended = guide.clock()
    seconds = {"read": read - started, **pipeline.seconds, "write": ended - done, "total": ended - started}
    return {"seconds": seconds, "peak_memory_mb": peak_memory_mb(torch.device("cpu"))}


def _child(*arguments: str) -> dict[str, Any]:
    """Run one way in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise SystemExit(f"bench_cssn: {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _compare(first: Path, second: Path, truth: Path) -> dict[str, float]:
    """Voxels that both ways label alike: of all, and of those that either labels; and Dice with the truth."""
    a, b, wanted = (read_volume(path).voxels for path in (first, second, truth))
    either = (a > 0) | (b > 0)
    dice = [
        2 * ((a == v) & (wanted == v)).sum() / max(1, (a == v).sum() + (wanted == v).sum())
        for v in range(1, 14)
    ]
    return {
        "equal": float((a == b).mean()),
        "equal_where_labelled": float((a == b)[either].mean()) if either.any() else 1.0,
        "mean_dice_with_the_truth": float(sum(dice) / len(dice)),
        "labelled_share": float((a > 0).mean()),
    }


def _scan(out: Path, slices: int) -> tuple[Path, Path]:
    """A synthetic scan of 500 mm and its true labels."""
    scan, truth = out / f"trunk-{slices}.nii.gz", out / f"trunk-{slices}-labels.nii.gz"
    if not (scan.exists() and truth.exists()):
        patient = trunk(2, shape=(slices, 512, 512), spacing=(0.8, 0.8, 500 / slices))
        write_volume(patient.image, scan)
        write_volume(patient.label, truth)
    return scan, truth


def _case(slices: int, out: Path, rounds: int) -> dict[str, Any]:
    scan, truth = _scan(out, slices)
    files = {way: out / f"{way}-{slices}.nii.gz" for way in ("ours", "plain")}
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "plain": []}
    for _ in range(rounds):
        for way in ("plain", "ours"):
            runs[way].append(_child("--run", way, str(scan), str(truth), str(files[way])))
            print(f"    {way} {_told(runs[way][-1]['seconds'])}", flush=True)
    seconds = {
        way: {
            part: statistics.median(r["seconds"].get(part, 0.0) for r in found)
            for part in found[0]["seconds"]
        }
        for way, found in runs.items()
    }
    mine = seconds["ours"]
    ratios = [
        p["seconds"]["total"] / o["seconds"]["total"]
        for p, o in zip(runs["plain"], runs["ours"], strict=True)
    ]
    others = [
        1 - (r["seconds"]["coarse"] + r["seconds"]["fine"]) / r["seconds"]["total"] for r in runs["ours"]
    ]
    return {
        "seconds": {"ours": {part: mine[part] for part in (*PARTS, "total")}, "plain": seconds["plain"]},
        "times_faster": statistics.median(ratios),
        "times_faster_range": [min(ratios), max(ratios)],
        "share_other_than_networks": statistics.median(others),
        "peak_memory_mb": {way: max(r["peak_memory_mb"] for r in found) for way, found in runs.items()},
        **_compare(files["ours"], files["plain"], truth),
        "notes": runs["ours"][0]["notes"],
    }


def _gpu_case(slices: int, out: Path) -> dict[str, Any]:
    """Seconds and memory in half precision, in both modes; the second of two runs counts."""
    scan, truth = _scan(out, slices)
    found: dict[str, Any] = {}
    for name, flags in (("full", []), ("small", ["--small"])):
        file = out / f"gpu-{name}-{slices}.nii.gz"
        for _ in range(2):
            run = _child("--run", "ours", str(scan), str(truth), str(file), "--device", "cuda", *flags)
        found[name] = run
        found[f"{name} and cpu"] = _compare(file, out / f"ours-{slices}.nii.gz", truth)
    return found


def _told(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{part} {value:.2f}" for part, value in seconds.items()) + " s"


def _check(name: str, case: Mapping[str, Any]) -> list[str]:
    """What the case misses of the demands."""
    tests = [
        (case["share_other_than_networks"] <= MOST_OTHER, "share_other_than_networks"),
        (case["times_faster"] >= LEAST_FASTER, "times_faster"),
        (case["equal_where_labelled"] >= LEAST_EQUAL, "equal_where_labelled"),
        (case["peak_memory_mb"]["ours"] < MOST_MB, "peak_memory_mb"),
        ("gpu" not in case or case["gpu"]["full"]["peak_gpu_memory_mb"] < MOST_GPU_MB, "gpu"),
        ("gpu" not in case or case["gpu"]["small"]["peak_gpu_memory_mb"] < MOST_SMALL_MB, "gpu"),
    ]
    return [f"{name}: {key} is {case[key]}" for met, key in tests if not met]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--slices", type=int, nargs="+", default=[200, 400])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--run", nargs=4, metavar=("WAY", "SCAN", "TRUTH", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--device", default="cpu", help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        way, files = options.run[0], [Path(name) for name in options.run[1:]]
        found = ours(*files, options.device, options.small) if way == "ours" else plain(*files)
        print(json.dumps(found))
        return
    folder = options.out / "cssn"
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    misses = []
    for slices in options.slices:
        name = f"512 x 512 x {slices}"
        print(name, flush=True)
        results[name] = case = _case(slices, folder, options.rounds)
        if torch.cuda.is_available():
            case["gpu"] = _gpu_case(slices, folder)
        for key, value in case.items():
            print(f"    {key:28} {value}")
        misses += _check(name, case)
    path = options.out / f"bench-cssn-{time.strftime('%Y%m%d-%H%M%S')}.json"
    machine = {**provenance(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    write_json(path, {"machine": machine, "results": results, "misses": misses})
    print(f"kept as {path}")
    for miss in misses:
        print(f"NOT MET: {miss}")


if __name__ == "__main__":
    main()
