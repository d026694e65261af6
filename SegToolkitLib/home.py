"""The folder of what belongs to a person: models, accepted terms, downloads, runs."""

from __future__ import annotations

import os
from pathlib import Path


def home_folder() -> Path:
    """``$SEGTOOLKIT_HOME``, or ``~/.SegToolkit``; it may not exist yet."""
    chosen = os.environ.get("SEGTOOLKIT_HOME")
    return Path(chosen).expanduser() if chosen else Path.home() / ".SegToolkit"
