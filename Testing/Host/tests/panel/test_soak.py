"""Hundreds of previews in a row leave nothing behind."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
import slicer

PREVIEWS = 200


def observers() -> int:
    """Observers on the scene and on every node."""
    nodes = [slicer.mrmlScene.GetNthNode(n) for n in range(slicer.mrmlScene.GetNumberOfNodes())]
    total = 0
    for thing in [slicer.mrmlScene, *nodes]:
        text = str(thing)
        total += text.count("vtkCommand") + text.count("Tag:")
    return total


def files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


def children() -> int:
    """Processes whose parent is this one."""
    own, count = os.getpid(), 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        count += int(fields[1]) == own
    return count


def openFiles() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def state(panel) -> dict[str, int]:
    panel.settle()
    gc.collect()
    return {
        "nodes": slicer.mrmlScene.GetNumberOfNodes(),
        "observers": observers(),
        "files": files(panel.session.folder),
        "processes": children(),
        "open files": openFiles(),
    }


@pytest.mark.slow
def test_previews_leave_nothing_behind(panel, patient):
    volume, _segmentation, _ids = patient
    depth = volume.GetImageData().GetDimensions()[2]
    for index in range(depth):  # every slice once, so that caches are full
        panel.showSlice(volume, index)
        assert panel.preview().state.value == "done", panel.told()
    before = state(panel)
    pid = panel.session.client.pid
    for number in range(PREVIEWS):
        panel.showSlice(volume, number % depth)
        assert panel.preview().state.value == "done", panel.told()
    after = state(panel)
    assert after == before
    assert panel.session.client.pid == pid
