"""How long it takes to find all runs again: 200 runs of 10,000 events each.

Run it with ``python Testing/bench_jobs.py [--out FOLDER]``; it prints a figure and keeps it as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS, EVENTS, LIMIT_SECONDS = 200, 10_000, 1.0
FIRST = """
import json, sys, time
from pathlib import Path
from SegToolkitLib.jobs.status import list_jobs
root, times = Path(sys.argv[1]), []
for _ in range(6):
    began = time.perf_counter()
    found = list_jobs(root)
    times.append(time.perf_counter() - began)
print(json.dumps({"runs": len(found), "best": sum(one.best is not None for one in found), "seconds": times}))
"""


def event(step: int, validate: bool) -> dict[str, object]:
    """One of the events of a long training."""
    if validate and step % 100 == 0:
        best = step == 1000  # long ago: the search goes far back
        return {
            "t": "validation",
            "time": 1e9 + step,
            "step": step,
            "dice": 0.8,
            "best": best,
            "pictures": [],
        }
    values = {"loss": 1 / (step + 1), "learning_rate": 1e-3, "seconds_per_step": 0.1234567}
    return {"t": "metric", "time": 1e9 + step, "step": step, **values, "skipped": 3, "samples": step}


def make(root: Path, runs: int, events: int) -> None:
    """Runs, every other of which validates."""
    from SegToolkitLib.jobs.job_file import create

    start = json.dumps({"t": "start", "time": 1e9, "step": 0, "total": events, "device": "cpu", "world": 1})
    texts = [
        "\n".join([start, *(json.dumps(event(step, validate)) for step in range(1, events))]) + "\n"
        for validate in (False, True)
    ]
    for number in range(runs):
        folder = create(root, f"run-{number:03d}", "alpnet", None, {"steps": events})
        (folder / "events.jsonl").write_text(texts[number % 2], encoding="utf-8")
        settings = {"method": "alpnet", "steps": events, "settings": {}, "data": {}, "start": {}}
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")


def measure(runs: int = RUNS, events: int = EVENTS) -> dict[str, object]:
    """Seconds of the first listing in a new process, and of those that follow."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        make(root, runs, events)
        call = [sys.executable, "-c", FIRST, str(root)]
        found = json.loads(subprocess.run(call, check=True, capture_output=True, encoding="utf-8").stdout)
        megabytes = sum(file.stat().st_size for file in root.rglob("events.jsonl")) / 1e6
    return {
        "runs": found["runs"],
        "with_best": found["best"],
        "events_each": events,
        "megabytes": round(megabytes),
        "first_seconds": round(found["seconds"][0], 3),
        "later_seconds": round(statistics.median(found["seconds"][1:]), 3),
        "limit_seconds": LIMIT_SECONDS,
    }


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench"))
    options = parser.parse_args()
    figures = measure()
    figures["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    print(
        f"{figures['runs']} runs of {figures['events_each']} events ({figures['megabytes']} MB):"
        f" {figures['first_seconds']} s at first, {figures['later_seconds']} s later"
        f" (limit {LIMIT_SECONDS} s)"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "jobs.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
