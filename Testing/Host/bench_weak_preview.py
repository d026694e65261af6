"""How long the outline above a threshold takes in one slice, in the stand-in application, without a worker.

    python Testing/Host/bench_weak_preview.py [--out bench] [--slices 60]

From the moved threshold to the changed segmentation; what drawing it takes is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_MS = 150
SIZES = {"brain MR": (240, 240, 155), "large CT": (512, 512, 300)}


def main() -> int:
    """Measure; returns 1 if a median is beyond the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "bench")
    parser.add_argument("--slices", type=int, default=60)
    options = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    sys.path[:0] = [str(ROOT / "Testing" / "Host"), str(ROOT / "SegToolkit")]
    import host

    application = host.start([])
    import numpy as np
    import slicer

    from SegToolkitGui.weak.Preview import SlicePreview

    rows = {}
    for name, size in SIZES.items():
        random = np.random.default_rng(0)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        slicer.util.updateVolumeFromArray(node, random.random(size[::-1], np.float32))
        preview, took = SlicePreview(), []
        for number in range(options.slices):
            began = time.perf_counter()
            preview.show(node, 2, number % size[2], 0.3 + 0.005 * number)
            took.append(1000 * (time.perf_counter() - began))
        preview.hide()
        slicer.mrmlScene.RemoveNode(node)
        rows[name] = {"size": size, "median_ms": statistics.median(took), "longest_ms": max(took)}
        print(f"{name} {size}: median {statistics.median(took):.1f} ms, longest {max(took):.1f} ms")
    options.out.mkdir(parents=True, exist_ok=True)
    facts = {"limit_ms": LIMIT_MS, "machine": platform.processor() or platform.machine(), "rows": rows}
    (options.out / "weak_preview.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    application.quit()
    return int(any(row["median_ms"] > LIMIT_MS for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
