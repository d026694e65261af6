"""The parts of the training panel in the stand-in application."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]
for folder in (ROOT / "SegToolkit", ROOT, Path(__file__).parents[1] / "scene", Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

import host  # noqa: E402

_application = host.start([])  # the parts import qt, ctk and slicer at their head


@pytest.fixture(scope="session")
def application() -> Any:
    return _application


@pytest.fixture
def panel(application: Any) -> Iterator[Any]:
    """A widget as wide as Slicer's module panel, with a box layout."""
    from PySide6.QtWidgets import QVBoxLayout, QWidget

    panel = QWidget()
    panel.setLayout(QVBoxLayout())
    panel.resize(480, 900)
    panel.show()
    yield panel
    panel.close()
    panel.deleteLater()


@pytest.fixture
def scene(application: Any) -> Iterator[Any]:
    """The application's scene, empty before and after."""
    import slicer

    application.closeScene()
    yield slicer.mrmlScene
    application.closeScene()


@pytest.fixture
def made(scene: Any) -> Any:
    """Makes nodes; see scene_nodes.Maker."""
    from scene_nodes import Maker

    return Maker(scene)


@pytest.fixture
def turn(application: Any) -> Callable[..., bool]:
    """turn(condition, seconds) lets events happen until the condition holds; it returns whether it does."""

    def turnUntil(condition: Callable[[], bool] = lambda: False, seconds: float = 0.1) -> bool:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            application.processEvents(0.005)
        return True

    return turnUntil
