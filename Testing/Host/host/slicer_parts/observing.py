"""Small helpers around VTK observers and collections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import vtk


def nodesOfClass(scene: Any, className: str) -> list:
    """All nodes of a class (and its subclasses), without leaving a collection behind."""
    collection = scene.GetNodesByClass(className)
    collection.UnRegister(None)
    return [collection.GetItemAsObject(i) for i in range(collection.GetNumberOfItems())]


def observe(subject: Any, event: Any, callback: Callable[[Any, Any], None]) -> int:
    """Observe an event whose call data is an object: `callback(caller, object)`. Returns the observer's
    tag."""

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def received(caller: Any, _event: str, calldata: Any) -> None:
        callback(caller, calldata)

    return subject.AddObserver(event, received)
