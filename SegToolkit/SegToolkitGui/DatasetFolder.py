"""What the window looks at in a folder before cases are added to it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from SegToolkitGui.Paths import isFile

DESCRIPTION = "dataset.json"
IMAGE_FOLDERS = ("imagesTr", "imagesUn", "imagesTs")


def isDataset(folder: str) -> bool:
    """Whether the folder holds a data set, to which cases are added."""
    return bool(folder) and isFile(f"{folder}/{DESCRIPTION}")


def namesIn(folder: str) -> set[str]:
    """Names of cases and patients that a data set has already."""
    names: set[str] = set()
    if not isDataset(folder):
        return names
    for one in IMAGE_FOLDERS:
        with contextlib.suppress(OSError):
            for path in Path(folder, one).iterdir():
                names.add(path.name.partition(".")[0].rpartition("_")[0])
    with contextlib.suppress(OSError, ValueError):
        described = json.loads(Path(folder, DESCRIPTION).read_text(encoding="utf-8"))
        patients = (described.get("segtoolkit") or {}).get("patients") or {}
        names |= {str(one) for pair in patients.items() for one in pair}
    return names


def channelsIn(folder: str) -> list[str]:
    """Names of the images of each case, in their order; none where it has one image, or cannot be read."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        described = json.loads(Path(folder, DESCRIPTION).read_text(encoding="utf-8"))
        names = dict(described.get("channel_names") or {})
        return [str(names[key]) for key in sorted(names, key=int)] if len(names) > 1 else []
    return []
