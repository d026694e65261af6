"""Speaks the worker's protocol for training, from a file that the test writes.

    python fake_worker.py WORLD --folder FOLDER --parent PID

WORLD is a folder: world.json holds {"jobs": [...], "events": {folder: [...]}, "answers": {verb: outputs},
"errors": {verb: {"code", "text", "hint"}}, "seconds": {verb: how long it takes}, "runs": folder}. What
was asked is appended to asked.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

METHODS = [
    {
        "name": "alpnet",
        "title": "ALPNet",
        "summary": "Few-shot, trained without labels.",
        "metric": ["dice", "max"],
        "places": [{"name": "coco", "kind": "file", "help": "Weights of the encoder."}],
        "presets": [
            {"name": "quick", "title": "Quick check", "help": "A few minutes.", "values": {}},
            {"name": "default", "title": "Default", "help": "As good as it gets.", "values": {}},
        ],
        "schema": {
            "type": "object",
            "properties": {
                "optimiser": {"$ref": "#/$defs/Optimiser"},
                "data": {"$ref": "#/$defs/Data"},
                "seed": {"type": "integer", "default": 1234, "minimum": 0},
            },
            "$defs": {
                "Optimiser": {
                    "type": "object",
                    "properties": {
                        "steps": {"type": "integer", "default": 100, "minimum": 1},
                        "learning_rate": {"type": "number", "default": 0.001, "exclusiveMinimum": 0},
                    },
                },
                "Data": {
                    "type": "object",
                    "properties": {
                        "fold": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "default": 0}
                    },
                },
            },
        },
    },
    {
        "name": "other",
        "title": "Another method",
        "summary": "Has no folds.",
        "metric": None,
        "places": [],
        "presets": [{"name": "only", "title": "Only", "help": "", "values": {"width": 3}}],
        "schema": {"type": "object", "properties": {"width": {"type": "integer", "default": 2}}},
    },
]
for _values, _steps in zip((p["values"] for p in METHODS[0]["presets"]), (20, 1000), strict=True):
    _values.update(optimiser={"steps": _steps, "learning_rate": 0.001}, data={"fold": 0}, seed=1234)
DEVICES = [
    {"id": "auto", "name": "Automatic", "memory_gb": None},
    {"id": "cpu", "name": "Processor", "memory_gb": 16},
    {"id": "cuda:0", "name": "A graphics card", "memory_gb": 8},
]


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class World:
    """The file, read anew for each request."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict = {}

    def answer(self, request: dict) -> None:
        self.facts = json.loads((self.folder / "world.json").read_text(encoding="utf-8"))
        verb, name = request["do"], request["id"]
        with (self.folder / "asked.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({**request, "pid": os.getpid()}) + "\n")
        seconds = self.facts.get("seconds", {}).get(verb, 0)
        for step in range(round(seconds / 0.05)):
            say(t="progress", id=name, phase=verb, step=step, total=round(seconds / 0.05))
            time.sleep(0.05)
        if verb in self.facts.get("errors", {}):
            say(t="error", id=name, **self.facts["errors"][verb])
            return
        outputs = self.facts.get("answers", {}).get(verb)
        if outputs is None:
            try:
                outputs = getattr(self, verb)(request)
            except StopIteration:
                say(t="error", id=name, code="no-run", text="There is no such run.", hint="")
                return
        say(t="done", id=name, outputs=outputs)

    def keep(self) -> None:
        part = self.folder / f"world.{os.getpid()}"
        part.write_text(json.dumps(self.facts), encoding="utf-8")
        part.replace(self.folder / "world.json")

    def methods(self, _request: dict) -> dict:
        return {"methods": METHODS}

    def environment(self, _request: dict) -> dict:
        return {"devices": DEVICES, "packages": {"torch": "2.8"}, "version": "0.0", "problem": "", "hint": ""}

    def check_settings(self, request: dict) -> dict:
        steps = (request["values"].get("optimiser") or {}).get("steps")
        problems = [] if steps != 13 else [{"field": "optimiser.steps", "text": "13 steps are unlucky."}]
        return {"problems": problems, "values": request["values"]}

    def estimate(self, request: dict) -> dict:
        steps = (request["settings"].get("optimiser") or {}).get("steps", 1)
        return {
            "seconds_per_step": 0.7,
            "total_seconds": 0.7 * steps,
            "memory_mb": 2100,
            "device_memory_mb": 8000 if request["device"] != "cpu" else 2000,
        }

    def dataset_check(self, request: dict) -> dict:
        return {
            "name": Path(request["path"]).name,
            "modality": "MR",
            "images": 40,
            "labelled": 8,
            "unlabelled": 32,
            "labels": {"background": 0, "liver": 1, "spleen": 2},
            "folds": 5,
            "problems": [],
        }

    def dataset_add(self, request: dict) -> dict:
        folder = Path(request["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dataset.json").write_text("{}")
        return {"folder": str(folder), "cases": [item["case"] for item in request["items"]]}

    def add_model(self, request: dict) -> dict:
        return {"name": Path(request["path"]).parents[1].name, "folder": request["path"]}

    def jobs(self, request: dict) -> dict:
        return {"jobs": self.facts.get("jobs", []), "root": request.get("root") or self.facts["runs"]}

    def job_events(self, request: dict) -> dict:
        events = self.facts.get("events", {}).get(request["folder"], [])
        return {"events": events[request["offset"] :], "offset": len(events)}

    def job_start(self, request: dict) -> dict:
        folder = Path(request.get("root") or self.facts["runs"]) / request["name"]
        folder.mkdir(parents=True)
        job = status(str(folder), request["name"], state="starting", method=request["method"], device="cpu")
        self.facts.setdefault("jobs", []).insert(0, job)
        self.keep()
        return job

    def _changed(self, request: dict, **values: object) -> dict:
        job = next(one for one in self.facts["jobs"] if one["folder"] == request["folder"])
        job.update(values)
        self.keep()
        return job

    def job_show(self, request: dict) -> dict:
        return self._changed(request)

    def job_stop(self, request: dict) -> dict:
        return self._changed(request, state="stopping")

    def job_kill(self, request: dict) -> dict:
        return self._changed(request, state="interrupted")

    def job_resume(self, request: dict) -> dict:
        return self._changed(request, state="starting")

    def job_move(self, request: dict) -> dict:
        return self._changed(request, position=request["position"])

    def job_delete(self, request: dict) -> dict:
        self.facts["jobs"] = [one for one in self.facts["jobs"] if one["folder"] != request["folder"]]
        self.keep()
        return {}


def status(folder: str, name: str, **values: object) -> dict:
    """A run's status with all its fields."""
    empty: dict = dict.fromkeys(
        ("step", "total", "seconds_left", "error", "best", "model", "pid", "position")
    )
    times = {"started": 1_790_000_000.0, "updated": 1_790_000_100.0}
    known = {"folder": folder, "name": name, "method": "alpnet", "state": "new", "device": "", "reason": ""}
    return {**empty, **times, **known, "values": {}, "host": "here", **values}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--parent", type=int)
    options = parser.parse_args()
    if hasattr(os, "setsid"):
        os.setsid()
    say(t="hello", pid=os.getpid(), protocol=1, version="0.0")
    world = World(options.world)
    while options.folder.exists():
        for path in sorted((options.folder / "requests").glob("*.json")):
            request = json.loads(path.read_text(encoding="utf-8"))
            path.unlink()
            if request["do"] == "quit":
                return
            world.answer(request)
        time.sleep(0.005)


if __name__ == "__main__":
    main()
