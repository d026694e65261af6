"""What a model costs: parameters, operations, memory, and the time of one whole case."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from SegToolkitLib.automatic.segmenter import AutomaticOptions
from SegToolkitLib.evaluation.sampler import Sampler
from SegToolkitLib.methods.cssn import automatic
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import ModelPlan, StagePlan
from SegToolkitLib.models.card import ModelCard, parse
from SegToolkitLib.phantom.ct import trunk
from SegToolkitLib.training.memory import peak_memory_mb
from SegToolkitLib.volume import read_volume, write_volume

# mm that a synthetic scan measures in plane and along the body.
FIELD, HEIGHT = 410.0, 500.0


def network_facts(stage: StagePlan, classes: int) -> dict[str, Any]:
    """Parameters, tensors and multiply-additions of a network for one input of its size.

    Only convolutions are counted; with norms, activations and resampling there are a few per cent more.
    """
    with torch.device("meta"):
        network = build_network(stage, classes).eval()
    operations = 0

    def count(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal operations
        operations += next(module.parameters()).numel() * output[0, 0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.empty((1, 1, *stage.size), device="meta"))
    tensors = list(network.parameters())
    return {
        "size": list(stage.size),
        "parameters": sum(tensor.numel() for tensor in tensors),
        "tensors": len(tensors),
        "multiply_adds": operations,
    }


def profile(
    folder: Path,
    card: ModelCard,
    device: torch.device,
    precision: str,
    options: AutomaticOptions,
    image: Path | int,
    out: Path,
    tell: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """Load a model, read a scan, segment it and write the result, and measure all of it.

    Args:
        folder, card: of the model.
        device, precision: as :func:`automatic.load` takes them.
        options: of the segmentation.
        image: file of a scan, or the number of slices of a synthetic one of 512 x 512.
        out: folder for the result (and the synthetic scan).
        tell: hears of progress.

    Returns:
        Facts of both networks; seconds of each part; what FLARE22's sampler says of load, read, segment and
        write together; peak memory of the process and, where it is used, of the GPU, in MB (10^6 bytes).

    Raises:
        SegToolkitError: as reading, loading and segmenting raise.
    """
    plan = parse(ModelPlan, card.settings, f"'settings' of {card.name}")
    stages = {"coarse": plan.coarse, "fine": plan.fine}
    networks = {
        name: network_facts(stage, len(card.labels)) for name, stage in stages.items() if stage is not None
    }
    file = image if isinstance(image, Path) else _synthetic(image, out)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    gpu = (device.index or 0) if device.type == "cuda" else None
    with Sampler(gpu) as sampler:
        clock = [time.perf_counter()]
        segmenter = automatic.load(folder, card, device, precision)
        clock.append(time.perf_counter())
        volume = read_volume(file)
        clock.append(time.perf_counter())
        result = segmenter.segment(volume, options, tell)
        clock.append(time.perf_counter())
        write_volume(result.labels, out / "labels.nii.gz")
        clock.append(time.perf_counter())
    load, read, segment, write = (b - a for a, b in pairwise(clock))
    seconds = {"load": load, "read": read, **result.seconds, "write": write}
    seconds["total"] = load + read + segment + write
    return {
        "networks": networks,
        "image": {"voxels": list(volume.grid.size), "spacing": list(volume.spacing)},
        "seconds": seconds,
        "flare22": asdict(sampler.efficiency()),
        "peak_memory_mb": peak_memory_mb(torch.device("cpu")),
        "peak_gpu_memory_mb": peak_memory_mb(device) if gpu is not None else None,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "notes": list(result.notes),
    }


def _synthetic(slices: int, out: Path) -> Path:
    spacing = (FIELD / 512, FIELD / 512, HEIGHT / slices)
    path = out / f"synthetic-{slices}.nii.gz"
    write_volume(trunk(1, shape=(slices, 512, 512), spacing=spacing).image, path)
    return path


def told(facts: dict[str, Any]) -> Sequence[str]:
    """The facts as lines for a terminal."""
    lines = [
        f"{name}: {network['parameters']:,} parameters, {network['multiply_adds'] / 1e9:.3g} G"
        f" multiply-additions at {' x '.join(map(str, network['size']))}"
        for name, network in facts["networks"].items()
    ]
    lines.append("seconds: " + ", ".join(f"{part} {value:.2f}" for part, value in facts["seconds"].items()))
    for key, what in (("peak_memory_mb", "the process"), ("peak_gpu_memory_mb", "the GPU, context included")):
        if facts[key] is not None:
            lines.append(f"memory of {what}: at most {facts[key]:.0f} MB")
    flare = ", ".join(f"{name} {value:.4g}" for name, value in facts["flare22"].items())
    lines.append(f"by FLARE22's sampler (of the whole machine): {flare}")
    return lines
