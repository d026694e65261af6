"""What the training engine costs: ``make bench``.

Steps beside a bare loop of the same network, optimiser and samples; time from Start to the first event; a
checkpoint; two processes against one. Comparisons are made in turns, because a machine's speed drifts.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from SegToolkitLib import methods
from SegToolkitLib.atomic import write_json
from SegToolkitLib.events import JsonReporter
from SegToolkitLib.methods.alpnet.settings import PRESETS, AlpnetSettings
from SegToolkitLib.methods.alpnet.training import METHOD
from SegToolkitLib.settings import load
from SegToolkitLib.training.checkpoint import save_checkpoint
from SegToolkitLib.training.loop import Loop, LoopOptions
from SegToolkitLib.training.reporting import LoggedReporter
from SegToolkitLib.training.run_folder import RunFolder, provenance
from SegToolkitLib.training.session import seed_everything

ROOT = Path(__file__).parents[1]
LIMIT_PERCENT = 3.0
CPU = torch.device("cpu")
ENVIRONMENT = {
    **os.environ,
    "SEGTOOLKIT_METHOD_PATH": str(ROOT / "Testing" / "Data" / "methods"),
    "PYTHONPATH": str(ROOT),
}


class InTurns:
    """A task that makes the same step with a twin, without the engine, before each of its own.

    Attributes:
        engine, bare: (wall, processor) seconds of each step; what the samples cost is in neither.
    """

    def __init__(self, method: Any, settings: Any) -> None:
        self._own, self._twin = method.trial(settings, None, CPU), method.trial(settings, None, CPU)
        self.engine: list[tuple[float, float]] = []
        self.bare: list[tuple[float, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def samples(self, numbers: Sequence[int]) -> Iterator[Any]:
        self._twin.network.train()
        for sample in self._own.samples(numbers):
            started = _clocks()
            self._bare_step(sample)
            middle = _clocks()
            yield sample
            ended = _clocks()
            self.bare.append((middle[0] - started[0], middle[1] - started[1]))
            self.engine.append((ended[0] - middle[0], ended[1] - middle[1]))

    def _bare_step(self, sample: Any) -> None:
        result = self._twin.step(sample)
        self._twin.optimiser.zero_grad(set_to_none=True)
        result.loss.backward()
        self._twin.optimiser.step()
        self._twin.scheduler.step()


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def overhead(steps: int) -> dict[str, Any]:
    """Steps a second of ALPNet's small encoder, with and without the engine.

    One pair of 256 x 256 pixels a step, which is the least that anybody trains with: the smaller the step,
    the larger the engine's share.
    """
    changes = [f"optimiser.steps={steps}", "optimiser.pairs_per_step=1", "log_every=10"]
    settings = load(AlpnetSettings, PRESETS["compact"], None, changes)
    task = _in_turns(METHOD, settings)
    wall, processor = ([step[clock] for step in task.engine[1:]] for clock in (0, 1))  # the first warms up
    bare_wall, bare_processor = ([step[clock] for step in task.bare[1:]] for clock in (0, 1))
    ratios = sorted(e / b for e, b in zip(processor, bare_processor, strict=True))
    quarter = len(ratios) // 4
    return {
        "steps": len(ratios),
        "steps_per_second_engine": 1 / statistics.median(wall),
        "steps_per_second_bare": 1 / statistics.median(bare_wall),
        # Of the processor's time, because other programs on the machine change the wall's by far more.
        "overhead_percent": 100 * (statistics.median(ratios) - 1),
        "overhead_percent_quartiles": [100 * (ratios[quarter] - 1), 100 * (ratios[-1 - quarter] - 1)],
        "engine_ms_per_step_of_a_tiny_network": _engine_ms(),
        "limit_percent": LIMIT_PERCENT,
    }


def _in_turns(method: Any, settings: Any) -> InTurns:
    """Train with the engine and beside it."""
    task = InTurns(method, settings)
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run", method.name, {}, {})
        options = LoopOptions(settings.total_steps, settings.total_steps + 1, settings.log_every)
        seed_everything(settings.seed)
        Loop(task, run, options, CPU, LoggedReporter(run, JsonReporter(io.StringIO()))).train()
    return task


def _engine_ms() -> float:
    """What the engine adds to a step, in ms of the processor: seen on steps that take next to nothing."""
    methods.__path__.append(ENVIRONMENT["SEGTOOLKIT_METHOD_PATH"])
    toy = importlib.import_module("SegToolkitLib.methods.toy.training").METHOD
    task = _in_turns(toy, toy.settings(steps=600, log_every=20))
    differences = [e[1] - b[1] for e, b in zip(task.engine[1:], task.bare[1:], strict=True)]
    return 1000 * statistics.median(differences)


def checkpoint(rounds: int) -> dict[str, Any]:
    """Writing and syncing a checkpoint of the small encoder, with the states of AdamW."""
    task = METHOD.trial(PRESETS["compact"], None, CPU)
    task.step(next(iter(task.samples(range(1))))).loss.backward()
    task.optimiser.step()
    state = {"network": task.network.state_dict(), "optimiser": task.optimiser.state_dict()}
    seconds = []
    with tempfile.TemporaryDirectory(dir=ROOT / "build" if (ROOT / "build").is_dir() else None) as folder:
        for step in range(rounds):
            started = time.perf_counter()
            path = save_checkpoint(Path(folder), step, state)
            seconds.append(time.perf_counter() - started)
        size = path.stat().st_size / 1e6
    return {"seconds": statistics.median(seconds), "seconds_range": [min(seconds), max(seconds)], "mb": size}


def first_event(rounds: int) -> dict[str, Any]:
    """From starting the process to its first event, and to the first step."""
    found: dict[str, list[float]] = {"seconds_to_first_event": [], "seconds_to_first_step": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            events = Path(folder) / "run" / "events.jsonl"
            call = [*train(Path(folder) / "run"), "--set", "steps=1", "--set", "log_every=1"]
            started = time.perf_counter()
            with subprocess.Popen(call, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as child:
                for name, mark in zip(found, (b"\n", b'"metric"'), strict=True):
                    while not (events.exists() and mark in events.read_bytes()):
                        assert child.poll() in (None, 0), "the run failed"
                        time.sleep(0.005)
                    found[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in found.items()} | {
        f"{name}_range": [min(seconds), max(seconds)] for name, seconds in found.items()
    }


def train(run: Path) -> list[str]:
    """The command that trains the toy."""
    return [sys.executable, "-m", "SegToolkitLib", "train", "toy", "--run", str(run), "--device", "cpu"]


def scaling(rounds: int) -> dict[str, Any]:
    """Two processes of one thread against one of one thread that takes twice the samples a step."""
    sets = [
        *("--set", "steps=40", "--set", "log_every=20", "--set", "size=64", "--set", "channels=64"),
        *("--set", "batch=8", "--set", "snapshot_every=1000"),
    ]
    seconds: dict[str, list[float]] = {"one": [], "two": []}
    for _ in range(rounds):
        for name in seconds:
            with tempfile.TemporaryDirectory() as folder:
                run = Path(folder) / "run"
                call = [*train(run), *sets]
                if name == "one":
                    call += ["--set", "accumulate=2"]
                else:
                    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
                    call = [sys.executable, *torchrun, "-m", "--", *call[2:]]
                environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1"}
                subprocess.run(call, env=environment, check=True, capture_output=True)
                first, *_, last = RunFolder(run).events("metric")
                seconds[name].append((last["time"] - first["time"]) / (last["step"] - first["step"]))
    ratios = [one / two for one, two in zip(seconds["one"], seconds["two"], strict=True)]
    return {
        "steps_per_second_one_process": 1 / statistics.median(seconds["one"]),
        "steps_per_second_two_processes": 1 / statistics.median(seconds["two"]),
        "times_faster": statistics.median(ratios),
        "times_faster_range": [min(ratios), max(ratios)],
        "cores": os.cpu_count(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    # Several threads wait for each other by spinning, which would count as work.
    torch.set_num_threads(1)
    sections: dict[str, Callable[[], dict[str, Any]]] = {
        "engine against a bare loop": lambda: overhead(options.steps + 1),
        "checkpoint": lambda: checkpoint(5 * options.rounds),
        "start of a run": lambda: first_event(options.rounds),
        "two processes against one": lambda: scaling(options.rounds),
    }
    results = {}
    for name, section in sections.items():
        results[name] = section()
        print(name)
        for key, value in results[name].items():
            shown = [round(v, 3) for v in value] if isinstance(value, list) else round(value, 4)
            print(f"    {key:34} {shown}", flush=True)
    path = options.out / "training.json"
    write_json(path, {"machine": provenance(), "results": results})
    print(f"kept as {path}")
    if results["engine against a bare loop"]["overhead_percent"] > LIMIT_PERCENT:
        sys.exit(f"The engine costs more than {LIMIT_PERCENT} %: {json.dumps(results)}")


if __name__ == "__main__":
    main()
