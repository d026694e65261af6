"""A panel's choices, read from the scene's parameter node."""

from __future__ import annotations

import logging
from typing import Any

import slicer


def readChoices(node: Any, wrapper: type, keep: tuple[str, ...] = ()) -> Any:
    """The choices in a parameter node.

    A scene made by hand or by another version may hold texts that are no numbers. All choices go back to
    their defaults then, because without them there would be no panel.

    Args:
        node: MRML node of the module's parameters.
        wrapper: class made by ``parameterNodeWrapper``.
        keep: names of parameters beside the wrapper's that stay.
    """
    try:
        choices = wrapper(node)
        for name in wrapper.__annotations__:
            getattr(choices, name)
        return choices
    except Exception:  # which one is up to Slicer's serializers
        logging.warning("SegToolkit: the scene's choices cannot be read; they are reset", exc_info=True)
    with slicer.util.NodeModify(node):
        for name in node.GetParameterNames():
            if name not in keep:
                node.UnsetParameter(name)
    return wrapper(node)
