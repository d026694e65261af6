from __future__ import annotations

import json
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.methods.pretend.training import Options

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.training.alive import holding
from SegToolkitLib.training.run_folder import RunFolder


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--dataset")
    parser.add_argument("--fold")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--name", default="")
    parser.add_argument("--place", action="append", default=[])
    parser.add_argument("--start-or-resume", action="store_true")


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    run = RunFolder(options.run)
    with holding(options.run):
        values = json.loads(options.config.read_text("utf-8")) if options.config else {}
        if run.settings_file.exists():
            values = run.settings()["settings"]
        settings = Options(**values)
        if not run.settings_file.exists():
            RunFolder.create(run.path, "pretend", settings.model_dump(), {}, {}, settings.steps)
        try:
            _train(run, settings, options.device)
        except SegToolkitError as error:
            run.event("error", code=error.code, text=error.message, hint=error.hint)
            raise
        time.sleep(settings.settle)
    assert "torch" not in sys.modules
    return {}


def _train(run: RunFolder, settings: Options, device: str) -> None:
    for _child in range(settings.children):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
        (run.path / f"child-{child.pid}").touch()
    saved = run.checkpoints / "step.txt"
    first = int(saved.read_text()) if saved.exists() else 0
    run.event("start", step=first, total=settings.steps, device=device, world=1)
    for step in range(first + 1, settings.steps + 1):
        time.sleep(settings.seconds)
        if step == settings.fail_at:
            raise SegToolkitError("broken", "The pretended training broke.", "Mend it.")
        run.event("metric", step=step, loss=1 / step, learning_rate=0.1, seconds_per_step=settings.seconds)
        order = run.asked_to_stop()
        written = saved.with_suffix(".new")
        written.write_text(str(step))
        written.replace(saved)
        if order:
            run.stop_file.unlink()
            if order == "stop":
                run.event("stopped", step=step)
                return
            break
    (run.result / "model").mkdir(parents=True)
    run.event("finished", step=step, early=step < settings.steps, model="result/model")


COMMANDS = {"train": Command("pretend to train", _add_arguments, _run)}
