"""What a change of a node selector means: somebody chose, or the node that was chosen is being deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer


def settled(before: Any, node: Any, take: Callable[[Any], Any]) -> None:
    """Call ``take`` with the node that was chosen; with None where the one before was deleted.

    A selector whose node is deleted goes on to its neighbour, which nobody chose, while the node is still in
    the scene: what happened is known a moment later. Where nothing was chosen, nothing can be deleted, and
    the node is taken at once.

    Args:
        before, node: what was chosen before, and what the selector shows now; None for nothing.
        take: finds out by itself whether the panel is still there.
    """
    if before is None:
        take(node)
        return
    was, now = (one.GetID() if one is not None else "" for one in (before, node))

    def look() -> None:
        scene = slicer.mrmlScene
        deleted = bool(was) and scene.GetNodeByID(was) is None
        take(scene.GetNodeByID(now) if now and not deleted else None)

    qt.QTimer.singleShot(0, look)
