from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def application():
    from PySide6.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])


@pytest.fixture
def scene(application):
    """A scene of its own, in which segmentations work."""
    import slicer

    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    yield scene
    scene.Clear(1)
    logic.SetMRMLScene(None)


@pytest.fixture
def make(application) -> Callable[..., Any]:
    """Make a stand-in by its class name, with properties and a scene."""
    from host.widgets import CLASSES

    made = []

    def build(name: str, scene: Any = None, **properties: Any) -> Any:
        widget = CLASSES[name]()
        for key, value in properties.items():
            setattr(widget, key, value)
        if scene is not None:
            widget.setMRMLScene(scene)
        made.append(widget)
        return widget

    return build


@pytest.fixture
def volume(scene):
    """A volume of 4 x 5 x 6 (k, j, i) voxels."""
    import slicer.util

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    slicer.util.updateVolumeFromArray(node, np.zeros((4, 5, 6), np.int16))
    return node


@pytest.fixture
def segmentation(scene, volume):
    """A segmentation with two empty segments, "a" (liver) and "b" (spleen)."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("a", "liver")
    node.GetSegmentation().AddEmptySegment("b", "spleen")
    return node


@pytest.fixture
def heard() -> Callable[..., list]:
    """Write down what a signal sends; nodes by their names."""

    def listen(signal: Any) -> list:
        log: list = []
        signal.connect(
            lambda *values: log.append(tuple(v.GetName() if hasattr(v, "GetName") else v for v in values))
        )
        return log

    return listen
