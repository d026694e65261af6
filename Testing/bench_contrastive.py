"""What PDCR and UAFR cost in time and memory, in 2-D and 3-D; part of ``make bench``.

Each variant of a network is a process of its own, so that its peak memory is its own. The processes wait for
their turns: in a round, each makes one whole training step (or one pass of inference), and ratios are taken
within the round. In 2-D these are steps of our own training, in 3-D nnU-Net's own ``train_step`` of the
trainers on the network that it plans for hippocampi, with made-up images. Steps begin with the batch in
memory: drawing and augmenting is the same for all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from SegToolkitLib import heap
from SegToolkitLib.atomic import write_json
from SegToolkitLib.methods.pdcr_uafr.data import Batch
from SegToolkitLib.methods.pdcr_uafr.network import build_network
from SegToolkitLib.methods.pdcr_uafr.presets import PRESETS, variant_of
from SegToolkitLib.methods.pdcr_uafr.train import PdcrUafrTask
from SegToolkitLib.training.memory import peak_memory_mb
from SegToolkitLib.training.run_folder import provenance

VARIANTS = ("baseline", "pdcr", "uafr", "both")
# In use, nothing is left of PDCR: a network that was trained with it is the baseline's.
USED = ("baseline", "uafr")
VARIANTS_2D: Mapping[str, Any] = {"baseline": "baseline", "pdcr": "h-pdcr", "uafr": "uafr", "both": "full"}
TRAINERS = {"baseline": "", "pdcr": "PDCR", "uafr": "UAFR", "both": "PDCR_UAFR"}
CLASSES = 3
PIXELS = (256, 256)
# What the project demands: of a step with PDCR, and of inference with UAFR.
MOST = {("train", "pdcr"): 1.25, ("use", "uafr"): 1.05}
CPU = torch.device("cpu")

Turn = Callable[[], None]


def two_dimensional(preset: str, batch: int) -> Callable[[str, str], Turn]:
    """Our own training and the network of a preset."""

    def turn(variant: str, mode: str) -> Turn:
        settings = variant_of(PRESETS[preset].settings, VARIANTS_2D[variant])
        size = settings.input.model_copy(update={"size": PIXELS})
        settings = settings.model_copy(update={"input": size})
        network = build_network(settings.network, CLASSES, seed=1)
        images, masks = _made(batch, PIXELS, channels=3)
        if mode == "use":
            network.eval()
            return lambda: _pass(network, images)
        task: Any = PdcrUafrTask(network.train(), None, settings, CPU)  # type: ignore[arg-type]

        def step() -> None:
            task.optimiser.zero_grad(set_to_none=True)
            task.step(Batch(0, images, masks)).loss.backward()
            task.optimiser.step()

        return step

    return turn


def three_dimensional(batch: int) -> Callable[[str, str], Turn]:
    """nnU-Net's trainers on the network and the patch that it plans for hippocampi."""

    def turn(variant: str, mode: str) -> Turn:
        patch = (40, 56, 40)
        images, masks = _made(batch, patch, channels=1)
        trainer = _trainer(TRAINERS[variant], patch, batch)
        if mode == "use":
            trainer.set_deep_supervision_enabled(False)
            trainer.network.eval()
            return lambda: _pass(trainer.network, images[:1])
        target = [masks[:, None, ::skip, ::skip, ::skip].to(torch.int16) for skip in (1, 2, 4)]
        return lambda: trainer.train_step({"data": images, "target": target})

    return turn


NETWORKS = {
    "2-D, preset default": (two_dimensional("default", 8), "8 images of 256 x 256"),
    "2-D, preset published": (two_dimensional("published", 2), "2 images of 256 x 256"),
    "3-D, nnU-Net": (three_dimensional(2), "2 patches of 40 x 56 x 40; inference: one"),
}


def _made(batch: int, size: tuple[int, ...], channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Blurred noise [B, channels, ...], and its levels for masks [B, ...]."""
    generator = torch.Generator().manual_seed(5)
    rough = torch.randn(batch, 1, *(n // 8 for n in size), generator=generator)
    mode = "bilinear" if len(size) == 2 else "trilinear"
    smooth = torch.nn.functional.interpolate(rough, size, mode=mode)
    masks = (smooth[:, 0].sigmoid() * CLASSES).long().clamp_(0, CLASSES - 1)
    noise = torch.randn(batch, channels, *size, generator=generator)
    return smooth + 0.3 * noise, masks


def _pass(network: torch.nn.Module, images: torch.Tensor) -> None:
    with torch.inference_mode():
        network(images)


def _trainer(part: str, patch: tuple[int, ...], batch: int) -> Any:
    """A trainer on the network that nnU-Net 2.8.1 plans for msd_hippocampus, in a home of its own."""
    place = Path(tempfile.mkdtemp(dir=os.environ["BENCH_HOME"]))
    for folder in ("raw", "preprocessed", "results"):
        (place / folder).mkdir()
        os.environ[f"nnUNet_{folder}"] = str(place / folder)
    prepared = place / "preprocessed" / "Dataset904_made" / "made"
    prepared.mkdir(parents=True)
    # nnU-Net looks how its data are stored, though none are read here.
    (prepared / "made.b2nd").touch()
    plans = {
        "continue_training": False,
        "dataset_name": "Dataset904_made",
        "plans_name": "made",
        "label_manager": "LabelManager",
        "configurations": {
            "3d_fullres": {
                "data_identifier": "made",
                "batch_size": batch,
                "patch_size": list(patch),
                "batch_dice": False,
                "architecture": {
                    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                    "arch_kwargs": {
                        "n_stages": 4,
                        "features_per_stage": [32, 64, 128, 256],
                        "conv_op": "torch.nn.modules.conv.Conv3d",
                        "kernel_sizes": [[3, 3, 3]] * 4,
                        "strides": [[1, 1, 1], *[[2, 2, 2]] * 3],
                        "n_conv_per_stage": [2] * 4,
                        "n_conv_per_stage_decoder": [2] * 3,
                        "conv_bias": True,
                        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                        "dropout_op": None,
                        "dropout_op_kwargs": None,
                        "nonlin": "torch.nn.LeakyReLU",
                        "nonlin_kwargs": {"inplace": True},
                    },
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
                },
            }
        },
    }
    labels = {"background": 0, **{f"part {n}": n for n in range(1, CLASSES)}}
    with contextlib.redirect_stdout(sys.stderr):
        torch.manual_seed(1)
        trainer = _class(part)(plans, "3d_fullres", 0, {"channel_names": {"0": "MRI"}, "labels": labels}, CPU)
        trainer.initialize()
        trainer.network.train()
    return trainer


def _class(part: str) -> Any:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from SegToolkitLib.methods.pdcr_uafr.nnunet import trainer

    return getattr(trainer, f"nnUNetTrainer{part}") if part else nnUNetTrainer


def serve(network: str, mode: str, variant: str, threads: int) -> None:
    """Take turns: a line in, a line of figures out; the peak memory of the process at the end."""
    torch.set_num_threads(threads)
    turn = NETWORKS[network][0](variant, mode)
    # As in trainings and in use; else chance decides which variant gets its memory cleared anew in each turn.
    with heap.kept():
        turn()
        print("ready", flush=True)
        for _ in sys.stdin:
            computed, started = time.process_time(), time.perf_counter()
            turn()
            found = {
                "seconds": time.perf_counter() - started,
                "computing_seconds": time.process_time() - computed,
                "peak_memory_mb": peak_memory_mb(CPU),
            }
            print(json.dumps(found), flush=True)


@contextlib.contextmanager
def _child(network: str, mode: str, variant: str, threads: int) -> Iterator[Callable[[], dict[str, float]]]:
    """A process that takes turns."""
    with (
        tempfile.TemporaryDirectory() as home,
        (Path(home) / "log.txt").open("w+", encoding="utf-8") as log,
        subprocess.Popen(
            [sys.executable, __file__, "--serve", network, mode, variant, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            env={**os.environ, "BENCH_HOME": home, "nnUNet_compile": "0"},
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None

        def answer() -> str:
            line: str = process.stdout.readline()  # type: ignore[union-attr]
            if not line:
                log.seek(0)
                raise SystemExit(f"bench_contrastive: {network}, {variant} failed:\n{log.read()[-3000:]}")
            return line

        def turn() -> dict[str, float]:
            process.stdin.write("\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            found: dict[str, float] = json.loads(answer())
            return found

        answer()
        yield turn
        process.stdin.close()


def measure(
    network: str, mode: str, variants: tuple[str, ...], rounds: int, threads: int
) -> dict[str, list[dict[str, float]]]:
    """Figures of each variant, round by round."""
    found: dict[str, list[dict[str, float]]] = {variant: [] for variant in variants}
    with contextlib.ExitStack() as stack:
        turns = {
            variant: stack.enter_context(_child(network, mode, variant, threads)) for variant in variants
        }
        for number in range(rounds):
            # Another one begins each round.
            for place in range(len(variants)):
                variant = variants[(number + place) % len(variants)]
                found[variant].append(turns[variant]())
    return found


def summary(figures: Mapping[str, list[dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Medians of each variant, and its ratio to the baseline of the same round: median and range.

    "Quickest" compares the quickest turns of both, which other programs on the machine disturbed least.
    """
    found: dict[str, dict[str, Any]] = {}
    for variant, rows in figures.items():
        found[variant] = {"peak_memory_mb": max(row["peak_memory_mb"] for row in rows)}
        for name in ("seconds", "computing_seconds"):
            base = [row[name] for row in figures["baseline"]]
            ratios = [row[name] / other for row, other in zip(rows, base, strict=True)]
            found[variant][name] = statistics.median(row[name] for row in rows)
            if variant != "baseline":
                found[variant][f"times_{name}"] = statistics.median(ratios)
                found[variant][f"times_{name}_range"] = [min(ratios), max(ratios)]
                found[variant][f"times_{name}_quickest"] = min(row[name] for row in rows) / min(base)
    return found


def told(one: Mapping[str, Any]) -> str:
    """A line for one variant."""
    line = f"{one['seconds']:8.3f} s, computing {one['computing_seconds']:8.3f} s"
    if "times_computing_seconds" in one:
        low, high = one["times_computing_seconds_range"]
        quickest = one["times_computing_seconds_quickest"]
        line += (
            f", {one['times_computing_seconds']:.3f} times ({low:.3f} to {high:.3f}; quickest {quickest:.3f})"
        )
    return f"{line}, {one['peak_memory_mb']:.0f} MB"


def misses_of(results: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]) -> list[str]:
    """What costs more than it may; judged by computing time, which neighbours on the machine change least."""
    return [
        f"{network}, {mode}, {variant}: {modes[mode][variant]['times_computing_seconds']:.3f} times the"
        f" baseline, demanded {most}"
        for network, modes in results.items()
        for (mode, variant), most in MOST.items()
        if mode in modes and not modes[mode][variant]["times_computing_seconds"] <= most
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=5, help="of steps; three times as many of inference")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve, options.threads)
        return
    results: dict[str, dict[str, Any]] = {}
    runs: dict[str, dict[str, Any]] = {}
    for network in options.networks:
        print(f"{network}: {NETWORKS[network][1]}", flush=True)
        results[network], runs[network] = {}, {}
        for mode, variants, rounds in (("train", VARIANTS, 1), ("use", USED, 3)):
            figures = measure(network, mode, variants, rounds * options.rounds, options.threads)
            runs[network][mode], results[network][mode] = figures, summary(figures)
            for variant, one in results[network][mode].items():
                print(f"    {mode:6}{variant:9}{told(one)}", flush=True)
    misses = misses_of(results)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"bench-contrastive-{time.strftime('%Y%m%d-%H%M%S')}.json"
    machine = {**provenance(), "cores": os.cpu_count(), "load": os.getloadavg(), "threads": options.threads}
    write_json(path, {"machine": machine, "results": results, "runs": runs, "misses": misses})
    print(f"kept as {path}")
    for miss in misses:
        print(f"NOT MET: {miss}")


if __name__ == "__main__":
    main()
