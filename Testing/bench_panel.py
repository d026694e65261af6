"""How long the window stands still during a run, in the stand-in application of Testing/Host.

Run it by ``make bench``. A heartbeat of 1 ms runs in the event loop from the click on Apply until the
panel shows the result; the figure is the longest stretch between two beats. The worker is a real process
beside it. What the stand-in's own widgets and the machine's other work cost is in the figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT_MS = 100
# A patient's abdominal MR, and a large CT.
SIZES = {"MR 256 x 256 x 36": (256, 256, 36), "CT 512 x 512 x 200": (512, 512, 200)}


def phantom(size: tuple[int, int, int]):
    """A volume node with a bright ellipsoid, and a segmentation node that outlines it on the middle slice."""
    import numpy as np
    import slicer

    i, j, k = (np.arange(n, dtype=np.float32) for n in size)
    far = (((i - size[0] * 0.4) / (size[0] * 0.16)) ** 2)[None, None, :]
    far = far + (((j - size[1] * 0.45) / (size[1] * 0.2)) ** 2)[None, :, None]
    far = far + (((k - size[2] * 0.5) / (size[2] * 0.35)) ** 2)[:, None, None]
    inside = far <= 1
    voxels = np.random.default_rng(0).normal(200, 20, inside.shape).astype(np.int16)
    voxels[inside] += 300
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "phantom")
    volume.SetSpacing(330 / size[0], 330 / size[1], 250 / size[2])
    slicer.util.updateVolumeFromArray(volume, voxels)
    volume.CreateDefaultDisplayNodes()
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "outlines")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment = segmentation.GetSegmentation().AddEmptySegment("", "organ")
    mask = np.zeros(inside.shape, np.uint8)
    mask[size[2] // 2] = inside[size[2] // 2]
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, volume)
    return volume, segmentation, segment


def measure(application, size: tuple[int, int, int], slices: int) -> dict[str, float]:
    """Longest standstill (ms) and duration (s) of one run over the middle ``slices`` slices."""
    import slicer
    from PySide6.QtCore import Qt, QTimer

    application.closeScene()
    widget = slicer.util.getModuleWidget("SegToolkitFewShot")
    panel, logic, ui = widget.panel, widget.logic, widget.ui
    while not (logic.session.models and logic.session.devices):
        application.processEvents(0.01)
    volume, segmentation, segment = phantom(size)
    middle = size[2] // 2
    panel.supports.add(volume, segmentation, [segment], 2, middle)
    panel.parameters.queryVolume = volume
    if slices < size[2]:
        panel.parameters.sliceRange = True
        panel.parameters.firstSlice = middle - slices // 2
        panel.parameters.lastSlice = middle - slices // 2 + slices - 1
    for model in logic.session.models:
        model["licence"]["accepted"] = True
    panel.refresh()
    application.processEvents(0.5)
    gaps: list[float] = []
    last = [0.0]

    def beat() -> None:
        now = time.perf_counter()
        gaps.append(now - last[0])
        last[0] = now

    heart = QTimer()
    heart.setTimerType(Qt.TimerType.PreciseTimer)
    heart.timeout.connect(beat)
    last[0] = time.perf_counter()
    heart.start(1)
    if not ui.applyButton.isEnabled():
        raise SystemExit(f"The panel cannot run: {ui.reasonLabel.text()}")
    ui.applyButton.click()
    run = logic.runner.run
    run.settings.acceptLicence = True
    while not run.over:
        application.processEvents(0.01)
    application.processEvents(0.3)
    heart.stop()
    if run.error is not None:
        raise SystemExit(f"The run failed: {run.error}")
    return {"longest_ms": 1000 * max(gaps), "seconds": run.seconds, "slices": slices}


def main() -> int:
    """Measure, print a table, keep panel.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, default=1000, help="at most so many slices in a run")
    options = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["HOME"] = os.environ["USERPROFILE"] = tempfile.mkdtemp(prefix="segtoolkit-bench-")
    sys.path[:0] = [str(ROOT / "Testing" / "Host")]
    import host

    application = host.start([ROOT / "SegToolkit" / "SegToolkitFewShot.py"])
    application.showModule("SegToolkitFewShot")
    rows = {}
    for name, size in SIZES.items():
        runs = [measure(application, size, min(size[2], options.slices)) for _ in range(options.rounds)]
        rows[name] = {
            "slices": runs[0]["slices"],
            "longest_ms": [round(run["longest_ms"], 1) for run in runs],
            "seconds": [round(run["seconds"], 2) for run in runs],
        }
    application.quit()
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"Longest standstill of the window during a run ({machine}; limit {LIMIT_MS} ms)")
    print(f"{'volume':22} {'slices':>6} {'longest standstill of each round, ms':>40} {'run, s':>20}")
    for name, row in rows.items():
        gaps = ", ".join(f"{gap:.0f}" for gap in row["longest_ms"])
        seconds = ", ".join(f"{one:.1f}" for one in row["seconds"])
        print(f"{name:22} {row['slices']:6} {gaps:>40} {seconds:>20}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "panel.json").write_text(json.dumps(rows, indent=1))
    return int(max(gap for row in rows.values() for gap in row["longest_ms"]) > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
