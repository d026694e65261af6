"""slicer.i18n: translation of texts. The host runs in English, so each text is its own translation."""

from __future__ import annotations

import inspect
from pathlib import Path

translated: list[tuple[str, str]] = []
"""(context, text) of what was translated, for tests."""


def translate(context: str, text: str) -> str:
    """`text` in the language of the application."""
    if not isinstance(text, str):
        raise TypeError(f"only a text can be translated, not {type(text).__name__}")
    translated.append((context, text))
    return text


def getContext(sourceFile: str | None) -> str:
    """Context of the texts of a file: its module's name, or folder and name inside a package."""
    if not sourceFile:
        return ""
    path = Path(sourceFile)
    if path.name == "__init__.py":
        return path.parent.name
    packaged = (path.parent / "__init__.py").is_file()
    return f"{path.parent.name}.{path.stem}" if packaged else path.stem


def tr(text: str) -> str:
    """`text` translated in the context of the calling file."""
    frame = inspect.currentframe()
    caller = frame.f_back if frame is not None else None
    return translate(getContext(caller.f_code.co_filename if caller is not None else None), text)
