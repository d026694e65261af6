"""The terms of a model: shown before it is used, and accepted by the person."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _


def needed(model: dict) -> bool:
    """Whether the terms have to be accepted before the model is used."""
    licence = model["licence"]
    return not licence["permissive"] and not licence["accepted"]


def accepted(model: dict) -> bool:
    """Show a model's terms and ask; whether they were accepted."""
    licence = model["licence"]
    question = _("The model {title} may be used under these terms ({name}):\n\n{summary}\n\nAccept them?")
    text = question.format(title=model["title"], name=licence["name"], summary=licence["summary"])
    return bool(slicer.util.confirmOkCancelDisplay(text, _("Terms of the model")))
