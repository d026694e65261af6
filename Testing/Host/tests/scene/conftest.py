"""The scene package over real MRML, without Qt and without the stand-in of the application."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
for folder in (ROOT / "SegToolkit", ROOT, Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import slicer  # noqa: E402

try:
    import slicer.i18n  # the stand-in's, if it was started before
except ImportError:
    stub = types.ModuleType("slicer.i18n")
    stub.tr = lambda text, *_others: text
    sys.modules["slicer.i18n"] = slicer.i18n = stub


@pytest.fixture
def scene(monkeypatch):
    """An empty scene with the logics that register node classes; it is slicer.mrmlScene meanwhile."""
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkMRMLApplicationLogic()
    application.SetMRMLScene(scene)
    logics = [application]
    modules = types.SimpleNamespace()
    for name in ("SegmentationsModule", "SubjectHierarchyModule", "Sequences", "Transform", "Volumes"):
        logic = getattr(slicer, f"vtkSlicer{name}Logic")()
        logic.SetMRMLScene(scene)
        logics.append(logic)
        if name == "SegmentationsModule":
            # For slicer.util.arrayFromSegmentBinaryLabelmap.
            modules.segmentations = types.SimpleNamespace(logic=lambda logic=logic: logic)
    colours = slicer.vtkMRMLColorLogic()
    colours.SetMRMLScene(scene)
    logics.append(colours)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    yield scene
    scene.Clear(1)
    del logics


@pytest.fixture
def made(scene):
    """Makes nodes; see scene_nodes.Maker."""
    from scene_nodes import Maker

    return Maker(scene)
