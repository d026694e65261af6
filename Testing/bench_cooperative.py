"""One update of cooperative training: ours against the plain transcription; part of ``make bench``.

Both make whole updates of the same networks on the same batch: zero gradients, both phases, backward pass,
Adam. Each run is a process of its own, so that its peak memory is its own; both ways take turns. A third of
the updates has each kind of mask, as the release draws them. The plain way is ``Lib/cooperative_plain.py``;
ours keeps freed memory, as the training does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from Lib.cooperative_plain import Mask, PlainStep, build, optimisers

from SegToolkitLib import heap
from SegToolkitLib.atomic import write_json
from SegToolkitLib.methods.cooperative.loss import STANDARD
from SegToolkitLib.methods.cooperative.network import Networks, build_networks
from SegToolkitLib.methods.cooperative.optimiser import build_optimiser
from SegToolkitLib.methods.cooperative.plan import NetworkPlan
from SegToolkitLib.methods.cooperative.settings import OptimiserSettings, StepSettings
from SegToolkitLib.methods.cooperative.step import cooperative_step
from SegToolkitLib.training.memory import peak_memory_mb
from SegToolkitLib.training.run_folder import provenance

KINDS = ("dropout", "channel", "spatial")
CLASSES = 4
# Part of channels or places that is masked: the mean of the released draw; dropout takes a half.
SHARE = {"dropout": 0.5, "channel": 0.25, "spatial": 0.25}
# What the project demands, and how far losses may differ.
LEAST_FASTER = 3.0
MOST_DIFFERENT = 1e-3

Update = Callable[[], Mapping[str, float]]


def _batch(batch: int, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Blurred noise for images, its levels for labels, and the inputs' noise."""
    generator = torch.Generator().manual_seed(5)
    rough = torch.randn(batch, 1, size // 8, size // 8, generator=generator)
    smooth = torch.nn.functional.interpolate(rough, (size, size), mode="bilinear")
    images = smooth.sigmoid()
    labels = (images[:, 0] * CLASSES).long().clamp_(0, CLASSES - 1)
    return images, labels, 0.05 * torch.randn(images.shape, generator=generator)


def _networks() -> Networks:
    return build_networks(NetworkPlan(), CLASSES, seed=1).train()


def ours(kind: str, batch: int, size: int) -> Update:
    """Updates as a training makes them."""
    images, labels, noise = _batch(batch, size)
    networks = _networks()
    optimiser = build_optimiser(networks, OptimiserSettings())
    mask = {"kind": kind, "max_threshold": SHARE[kind], "random_threshold": False, "soft": False}
    settings = StepSettings.model_validate({"masking": {"image": mask, "shape": mask}})
    generator = torch.Generator().manual_seed(3)

    def update() -> Mapping[str, float]:
        optimiser.zero_grad()
        step = cooperative_step(networks, images, labels, settings, generator, noise)
        step.total.backward()
        optimiser.step()
        return {name: float(value) for name, value in step.losses.items()}

    return update


def plain(kind: str, batch: int, size: int) -> Update:
    """Updates as the specification tells them."""
    images, labels, noise = _batch(batch, size)
    networks = build().train()
    networks.load_state_dict(_networks().state_dict())
    adams = optimisers(networks)
    keep = torch.rand(batch, 128, generator=torch.Generator().manual_seed(3)) >= SHARE["dropout"]
    mask = Mask(kind, SHARE[kind], keep=keep)
    step = PlainStep(networks, mask, mask)

    def update() -> Mapping[str, float]:
        for adam in adams:
            adam.zero_grad()
        losses = step(images, labels, noise)
        losses["total"].backward()
        for adam in adams:
            adam.step()
        return {name: float(value.detach()) for name, value in losses.items()}

    return update


def _run(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """All kinds of one way: the first update warms up, the median of the others counts."""
    torch.set_num_threads(options.threads)
    found: dict[str, Any] = {}
    with heap.kept() if way == "ours" else contextlib.nullcontext():
        for kind in KINDS:
            update = (ours if way == "ours" else plain)(kind, options.batch, options.size)
            losses = update()
            rows = [_measured(update) for _ in range(options.updates)]
            found[kind] = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
            found[kind]["losses"] = losses
    found["peak_memory_mb"] = peak_memory_mb(torch.device("cpu"))
    return found


def _measured(update: Update) -> dict[str, float]:
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    update()
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": seconds,
        "computing_seconds": after.ru_utime - before.ru_utime,
        "system_seconds": after.ru_stime - before.ru_stime,
        "page_faults": after.ru_minflt - before.ru_minflt,
    }


def _child(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one way in a process of its own."""
    names = ("batch", "size", "threads", "updates")
    arguments = [text for name in names for text in (f"--{name}", str(getattr(options, name)))]
    done = subprocess.run(
        [sys.executable, __file__, "--run", way, *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"bench_cooperative: {way} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _mean(run: Mapping[str, Any], what: str) -> float:
    return statistics.fmean(run[kind][what] for kind in KINDS)


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Largest relative difference of clean images' losses before the first update.

    Those of hard examples are the tests' matter: dropout draws differ, and a near tie of two channels turns
    with rounding.
    """
    return max(
        abs(one[kind]["losses"][name] / value - 1)
        for kind in KINDS
        for name, value in other[kind]["losses"].items()
        if name in STANDARD
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--updates", type=int, default=2, help="measured, of each kind, a round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--run", choices=["ours", "plain"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(_run(options.run, options)))
        return
    runs: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
    for _ in range(options.rounds):
        for way, found in runs.items():
            found.append(_child(way, options))
            told = ", ".join(f"{kind} {found[-1][kind]['seconds']:.2f}" for kind in KINDS)
            print(f"    {way:6} {told} s", flush=True)
    figures = ("seconds", "computing_seconds", "system_seconds", "page_faults")
    ratios = [
        _mean(p, "seconds") / _mean(o, "seconds") for p, o in zip(runs["plain"], runs["ours"], strict=True)
    ]
    result = {
        "what": f"{options.batch} images of {options.size} x {options.size}, {options.threads} threads",
        **{
            name: {way: statistics.median(_mean(run, name) for run in found) for way, found in runs.items()}
            for name in figures
        },
        "times_faster": statistics.median(ratios),
        "times_faster_range": [min(ratios), max(ratios)],
        "peak_memory_mb": {way: max(run["peak_memory_mb"] for run in found) for way, found in runs.items()},
        "largest_difference_of_losses": _difference(runs["ours"][0], runs["plain"][0]),
    }
    for key, value in result.items():
        print(f"    {key:30} {value}")
    misses = []
    if result["times_faster"] < LEAST_FASTER:
        misses.append(f"times_faster is {result['times_faster']:.2f}, demanded {LEAST_FASTER}")
    if not result["largest_difference_of_losses"] <= MOST_DIFFERENT:
        misses.append(f"losses differ by {result['largest_difference_of_losses']}")
    path = options.out / f"bench-cooperative-{time.strftime('%Y%m%d-%H%M%S')}.json"
    options.out.mkdir(parents=True, exist_ok=True)
    machine = {**provenance(), "cores": os.cpu_count(), "load": os.getloadavg()}
    write_json(path, {"machine": machine, "results": result, "runs": runs, "misses": misses})
    print(f"kept as {path}")
    for miss in misses:
        print(f"NOT MET: {miss}")


if __name__ == "__main__":
    main()
