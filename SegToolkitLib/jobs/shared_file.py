"""Small files that one process replaces while others read them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json
from SegToolkitLib.errors import SegToolkitError

TRIES, PAUSE_SECONDS = 40, 0.025


def replace_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically. Windows refuses while somebody reads the old file, so it is tried again.

    Raises:
        SegToolkitError: "write-failed".
    """
    for left in range(TRIES if os.name == "nt" else 1, 0, -1):
        try:
            write_json(path, value)
            return
        except SegToolkitError:
            if left == 1:
                raise
            time.sleep(PAUSE_SECONDS)
