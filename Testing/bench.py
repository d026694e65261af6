"""What our way of computing saves: ``make bench``.

Each section runs in a process of its own, so that its peak memory is its own, and compares two ways in
turns within one run, because a machine's speed drifts. The table is printed and kept as JSON.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from SegToolkitLib.atomic import write_json
from SegToolkitLib.methods.alpnet.augment import AUGMENTATIONS
from SegToolkitLib.methods.alpnet.data import EpisodeSampler, Normalisation, Scan
from SegToolkitLib.methods.alpnet.loss import Pooling, episode_scores, upsample
from SegToolkitLib.methods.alpnet.network import ALPNet, build_network
from SegToolkitLib.methods.alpnet.predictor import Predictor
from SegToolkitLib.methods.alpnet.prototypes import resize_mask
from SegToolkitLib.methods.alpnet.settings import PRESETS
from SegToolkitLib.methods.alpnet.superpixels import SuperpixelSettings, volume_pseudo_labels, worker_pool
from SegToolkitLib.methods.alpnet.train import AlpnetTask
from SegToolkitLib.phantom import phantom
from SegToolkitLib.training.run_folder import provenance

POOLING = Pooling((2, 2))


def _case(slices: int) -> tuple[np.ndarray, np.ndarray, int]:
    """z-scored slices, labels, and the slice that is shown."""
    patient = phantom(11, slices=slices)
    labels = patient.label.voxels
    shown = max(range(len(labels)), key=lambda z: (len(np.unique(labels[z])), int((labels[z] > 0).sum())))
    return Normalisation("MR")(patient.image.voxels), labels, shown


def _authors_procedure(
    network: ALPNet, pixels: np.ndarray, masks: list[np.ndarray], shown: int
) -> np.ndarray:
    """Encode support and query anew for every slice and structure, one episode at a time."""
    out = np.zeros((len(masks), *pixels.shape), dtype=bool)
    support = torch.from_numpy(pixels[shown])
    with torch.inference_mode():
        for z in range(len(pixels)):
            for index, mask in enumerate(masks):
                features = network(torch.stack([support, torch.from_numpy(pixels[z])]))
                size = (features.shape[-2], features.shape[-1])
                fg = torch.from_numpy(mask.astype(np.float32))[None]
                low, _ = episode_scores(
                    features[1:], features[:1], resize_mask(fg, size), resize_mask(1 - fg, size), POOLING
                )
                out[index, z] = upsample(low, pixels.shape[1:]).argmax(1)[0].numpy() == 1
    return out


def _our_procedure(
    predictor: Predictor, pixels: np.ndarray, masks: list[np.ndarray], shown: int
) -> np.ndarray:
    """Encode every slice once, then compare with the prototypes of each structure."""
    features = predictor.encode(pixels)
    out = np.zeros((len(masks), *pixels.shape), dtype=bool)
    for index, mask in enumerate(masks):
        prototypes = predictor.describe([(features[shown], mask)])
        for start in range(0, len(pixels), predictor.batch):
            part = slice(start, start + predictor.batch)
            scores = predictor.scores(features[part], prototypes, pixels.shape[1:])
            out[index, part] = (scores[:, 1] > scores[:, 0]).cpu().numpy()
    return out


def inference(encoder: str, structures: int, slices: int, rounds: int) -> dict[str, Any]:
    """Seconds a slice, the authors' procedure against ours, at equal output."""
    network = build_network(encoder, generator_seed=0).eval()
    pixels, labels, shown = _case(slices)
    masks = [labels[shown] == value for value in np.unique(labels[shown]) if value][:structures]
    assert len(masks) == structures, "the phantom's slice shows too few structures"
    predictor = Predictor(network, POOLING, torch.device("cpu"))
    times: dict[str, list[float]] = {"authors": [], "ours": []}
    agreement = 1.0
    _our_procedure(predictor, pixels[:2], masks, 0)  # warm up
    for _ in range(rounds):
        started = time.perf_counter()
        theirs = _authors_procedure(network, pixels, masks, shown)
        middle = time.perf_counter()
        ours = _our_procedure(predictor, pixels, masks, shown)
        times["authors"].append(middle - started)
        times["ours"].append(time.perf_counter() - middle)
        agreement = min(agreement, float((theirs == ours).mean()))
    assert agreement > 0.9999, f"the two procedures differ on {1 - agreement:.2%} of the pixels"
    ratios = [a / o for a, o in zip(times["authors"], times["ours"], strict=True)]
    return {
        "seconds_per_slice_authors": statistics.median(times["authors"]) / slices,
        "seconds_per_slice_ours": statistics.median(times["ours"]) / slices,
        "times_faster": statistics.median(ratios),
        "times_faster_range": [min(ratios), max(ratios)],
        "equal_pixels": agreement,
    }


def superpixels(slices: int, rounds: int) -> dict[str, Any]:
    """Superpixel slices a second on one core and on all."""
    volume = phantom(11, slices=slices).image.voxels
    settings = SuperpixelSettings()
    found: dict[str, Any] = {}
    ratios = []
    with worker_pool() as workers:
        volume_pseudo_labels(volume, settings, pool=workers)  # starts them, which is paid once a data set
        for _ in range(rounds):
            seconds = {}
            for name, pool in (("one_core", None), ("all_cores", workers)):
                started = time.perf_counter()
                labels = volume_pseudo_labels(volume, settings, pool=pool)
                seconds[name] = time.perf_counter() - started
                count = sum(len(np.unique(z)) - 1 for z in labels)
                found[f"superpixels_per_second_{name}"] = count / seconds[name]
                found[f"slices_per_second_{name}"] = slices / seconds[name]
            ratios.append(seconds["one_core"] / seconds["all_cores"])
    return {**found, "times_faster": statistics.median(ratios), "cores": os.cpu_count()}


def training(precision: str, steps: int) -> dict[str, Any]:
    """Training steps a second of the compact preset (4 slices, 16 episodes a step)."""
    patient = phantom(11, slices=12)
    labels = volume_pseudo_labels(patient.image.voxels, SuperpixelSettings())
    scan = Scan("phantom", Normalisation("MR")(patient.image.voxels), (labels,))
    settings = PRESETS["compact"].model_copy(update={"precision": precision})
    sampler = EpisodeSampler([scan], AUGMENTATIONS["sabs_aug"], structures=settings.episodes.structures)
    task = AlpnetTask(build_network("compact", generator_seed=0), sampler, settings, torch.device("cpu"))
    seconds = []
    for sample in task.samples(range(steps + 1)):
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            result = task.step(sample)
        assert result.loss is not None
        task.optimiser.zero_grad()
        result.loss.backward()
        task.optimiser.step()
        seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds[1:])  # the first one warms up
    return {"steps_per_second": 1 / median, "episodes_per_second": 16 / median}


def _isolated(function: Callable[..., dict[str, Any]], arguments: tuple, queue: Any) -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    result = function(*arguments)
    # ru_maxrss is in KiB on Linux and in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    largest_child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    result["peak_memory_mb"] = own * unit / 1e6
    if largest_child:
        result["peak_memory_mb_of_the_largest_worker"] = largest_child * unit / 1e6
    queue.put(result)


def run(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run a section in a fresh process."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_isolated, args=(function, arguments, queue))
    process.start()
    while process.is_alive() and queue.empty():
        process.join(0.2)
    if queue.empty():
        raise SystemExit(f"bench: {function.__name__}{arguments} failed (exit code {process.exitcode})")
    result: dict[str, Any] = queue.get()
    process.join()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--resnet101", action="store_true", help="also the large encoder (minutes)")
    options = parser.parse_args()
    sections: dict[str, tuple] = {
        "inference, compact, 1 structure": (inference, "compact", 1, options.slices, options.rounds),
        "inference, compact, 4 structures": (inference, "compact", 4, options.slices, options.rounds),
        "superpixels": (superpixels, options.slices, options.rounds),
        "training, compact, float32": (training, "float32", 8),
        "training, compact, bfloat16": (training, "bfloat16", 8),
    }
    if options.resnet101:
        sections["inference, resnet101, 4 structures"] = (inference, "resnet101", 4, 12, 1)
    results = {}
    for name, (function, *arguments) in sections.items():
        results[name] = run(function, *arguments)
        print(name)
        for key, value in results[name].items():
            shown = [round(v, 3) for v in value] if isinstance(value, list) else value
            print(f"    {key:32} {shown:.4g}" if isinstance(shown, float) else f"    {key:32} {shown}")
    machine = {**provenance(), "processor": platform.processor() or platform.machine()}
    path = options.out / f"bench-{time.strftime('%Y%m%d-%H%M%S')}.json"
    write_json(
        path,
        {"machine": machine, "options": {k: str(v) for k, v in vars(options).items()}, "results": results},
    )
    print(f"kept as {path}")


if __name__ == "__main__":
    main()
