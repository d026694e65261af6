"""How long the window stands still around trainings, in the stand-in application, with the real worker.

    python Testing/Host/bench_training_panel.py [--out bench] [--runs 200]

A heartbeat of 1 ms runs in the event loop while the panel does what people do with it; the figure is the
longest stretch between two beats. What the stand-in's own widgets and the machine's other work cost is in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT_MS = 100
EVENTS = 10_000
POLLED_SECONDS = 15
# Mostly the application's own work, in one piece by nature: shown, but not held against the limit.
CLOSING = "close the scene"
VOLUMES, SIZE = 3, (256, 256, 60)


class Heart:
    """The longest stretch between two beats of the event loop, from ``begin`` to ``end``.

    ``busiest`` is the most that the window itself computed between two beats: what is beyond it was the
    machine's other work.
    """

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._last = self._cpu = self.longest = self.busiest = 0.0

    def begin(self) -> None:
        self.longest = self.busiest = 0.0
        self._last, self._cpu = time.perf_counter(), time.thread_time()
        self._timer.start(1)

    def end(self) -> None:
        self._timer.stop()

    def _beat(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self.busiest = max(self.busiest, cpu - self._cpu)
        self._last, self._cpu = now, cpu


def make_runs(root: Path, count: int) -> None:
    """Runs that were finished long ago, each with many events."""
    lines = [
        json.dumps({"t": "start", "time": 1.7e9, "step": 0, "total": EVENTS, "device": "cpu", "world": 1})
    ]
    for step in range(1, EVENTS + 1):
        values = {"loss": 1 / step, "learning_rate": 1e-3, "seconds_per_step": 0.7}
        lines.append(json.dumps({"t": "metric", "time": 1.7e9 + step, "step": step, **values}))
    lines.append(json.dumps({"t": "finished", "time": 1.71e9, "step": EVENTS, "model": "result/model"}))
    text = "\n".join(lines) + "\n"
    for number in range(count):
        folder = root / f"run-{number:03d}"
        folder.mkdir(parents=True)
        job = {"format": 1, "name": folder.name, "method": "toy", "device": "cpu", "created": 1.7e9 + number}
        (folder / "job.json").write_text(json.dumps(job))
        (folder / "config.json").write_text("{}")
        (folder / "events.jsonl").write_text(text)


def phantoms(count: int) -> list[tuple[Any, Any]]:
    """Volume nodes of the scene, and a segmentation node of each."""
    import numpy as np
    import slicer

    made = []
    random = np.random.default_rng(0)
    for number in range(count):
        voxels = random.normal(200, 20, tuple(reversed(SIZE))).astype(np.int16)
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"phantom {number}")
        volume.SetSpacing(1.3, 1.3, 4.0)
        slicer.util.updateVolumeFromArray(volume, voxels)
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"outlines {number}")
        segmentation.CreateDefaultDisplayNodes()
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        segment = segmentation.GetSegmentation().AddEmptySegment("", "organ")
        mask = np.zeros(voxels.shape, np.uint8)
        mask[10:50, 80:160, 80:160] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, volume)
        made.append((volume, segmentation))
    return made


class Bench:
    """The application, its panel, and what is measured."""

    def __init__(self, home: Path) -> None:
        from training_panel import MODULES, Panel

        import host

        self.home = home
        self.application = host.start(MODULES)
        self.application.panel("SegToolkitTraining")
        self.application.panel("SegToolkitFewShot")
        self.panel = Panel(self.application)
        self.heart = Heart()
        self.rows: dict[str, dict[str, float]] = {}

    def measure(self, name: str, act: Callable[[], Any], until: Callable[[], Any], seconds: float) -> None:
        """Do something, wait for its end, keep the longest standstill and the time it took."""
        self.application.processEvents(0.5)
        self.heart.begin()
        began = time.perf_counter()
        act()
        self.panel.wait(until, seconds, name)
        took = time.perf_counter() - began
        self.application.processEvents(0.3)
        self.heart.end()
        longest, busiest = (round(1000 * one, 1) for one in (self.heart.longest, self.heart.busiest))
        self.rows[name] = {"longest_ms": longest, "computed_ms": busiest, "seconds": round(took, 2)}

    def run(self, count: int) -> None:
        """The whole list."""
        panel, jobs = self.panel, self.panel.jobs
        panel.application.showModule("SegToolkitTraining")  # the widgets are made, the worker started
        panel.wait(lambda: panel.session.methods and jobs.known, 60, "the worker")
        panel.application.leaveModule()
        panel.settle()
        make_runs(self.home / "runs", count)
        self.measure(
            f"open the panel: {count} runs, curve of {EVENTS} events",
            lambda: panel.application.showModule("SegToolkitTraining"),
            lambda: jobs._handed == EVENTS + 2 and panel.runsTable.rowCount() == count,
            120,
        )
        self.measure(
            f"watch {count} runs for {POLLED_SECONDS} s",
            lambda: None,
            _after(POLLED_SECONDS),
            POLLED_SECONDS + 5,
        )
        shutil.rmtree(self.home / "runs")
        panel.wait(lambda: not jobs.jobs, 20, "an empty list")
        self._collect()
        self._train()

    def _collect(self) -> None:
        from PySide6.QtCore import Qt

        panel = self.panel
        for volume, segmentation in phantoms(VOLUMES):
            panel.collectVolumesSelector.setCheckState(volume, Qt.CheckState.Checked)
            panel.collectSegmentationsSelector.setCheckState(segmentation, Qt.CheckState.Checked)
        for edit, text in (
            (panel.collectFolderEdit, str(self.home / "data")),
            (panel.collectNameEdit, "Phantoms"),
        ):
            edit.setText(text)
            edit.textEdited.emit(text)
        panel.settle(0.5)
        self.measure(
            f"collect and check {VOLUMES} volumes of {' x '.join(map(str, SIZE))}",
            panel.collectButton.click,
            lambda: panel.panel.data.facts is not None,
            180,
        )

    def _train(self) -> None:
        panel, jobs = self.panel, self.panel.jobs
        titles = [panel.methodCombo.itemText(row) for row in range(panel.methodCombo.count())]
        panel.methodCombo.setCurrentIndex(titles.index("Toy"))
        panel.settle()
        values = {"steps": 600, "delay": 0.02, "log_every": 1, "validate_every": 20, "snapshot_every": 50}
        panel.panel.plan.form.setValues(values)
        panel.panel.plan.form.changed.emit()
        panel.settle(0.6)
        self.measure(
            "estimate",
            panel.estimateButton.click,
            lambda: panel.panel.estimate.result is not None,
            120,
        )
        panel.wait(panel.startButton.isEnabled, 30, "Start")
        self.measure("Start, to the first event", panel.startButton.click, lambda: jobs.events, 60)
        self.measure(
            "train 600 steps, with curve and pictures",
            lambda: None,
            lambda: jobs.jobs and jobs.jobs[0]["state"] == "finished",
            180,
        )
        self.measure(CLOSING, self.application.closeScene, lambda: True, 10)


def _after(seconds: float) -> Callable[[], bool]:
    begins = []

    def over() -> bool:
        begins.append(time.perf_counter())
        return begins[-1] - begins[0] > seconds

    return over


def main() -> int:
    """Measure, print a table, keep training_panel.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="segtoolkit-bench-"))
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(place)
    os.environ["SEGTOOLKIT_HOME"] = str(place / "home")
    os.environ["SEGTOOLKIT_METHOD_PATH"] = str(ROOT / "Testing" / "Data" / "methods")
    sys.path[:0] = [str(ROOT / "Testing" / "Host"), str(ROOT / "Testing" / "Host" / "tests" / "training")]
    bench = Bench(place / "home")
    try:
        bench.run(options.runs)
    finally:
        bench.application.quit()
        shutil.rmtree(place, ignore_errors=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"Longest standstill of the window ({machine}; limit {LIMIT_MS} ms)")
    print(f"{'what':62} {'longest, ms':>12} {'computed':>9} {'took, s':>9}")
    for name, row in bench.rows.items():
        print(f"{name:62} {row['longest_ms']:12.0f} {row['computed_ms']:9.0f} {row['seconds']:9.1f}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "training_panel.json").write_text(json.dumps(bench.rows, indent=1))
    return int(max(row["longest_ms"] for name, row in bench.rows.items() if name != CLOSING) > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
