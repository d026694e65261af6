"""How long models took on this machine, for the person who is about to start one; needs no torch."""

from __future__ import annotations

import json
import platform
import statistics
from contextlib import suppress
from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json
from SegToolkitLib.automatic.segmenter import AutomaticOptions
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.home import home_folder
from SegToolkitLib.models.card import ModelCard

# Of so many last runs the median is told: one on a busy machine or on a huge volume does not spoil it.
KEPT = 7

# Device -> mode -> seconds.
Seconds = dict[str, dict[str, float]]


def record_file() -> Path:
    """File that remembers the times."""
    return home_folder() / "segmentation-times.json"


def remember(card: ModelCard, device: str, options: AutomaticOptions, seconds: float) -> None:
    """Note how long one volume took; a file that cannot be written is passed over, and so is the small way.

    Args:
        card: of the model; its weights tell it from another one of the same name.
        device: "cpu", "cuda:0".
        options: of that volume.
        seconds: from the file of the image to the file of the result, the model being loaded.
    """
    if options.small:
        return
    path = record_file()
    known = _read(path)
    place: dict[str, Any] = known
    for name in (platform.node(), _key(card), device):
        if not isinstance(place.get(name), dict):
            place[name] = {}
        place = place[name]
    runs = _numbers(place.get(options.mode))
    place[options.mode] = [*runs, round(seconds, 2)][-KEPT:]
    with suppress(SegToolkitError):
        write_json(path, known)


def seconds_here(card: ModelCard) -> Seconds:
    """The usual seconds of a model on this machine; {} where it was never used here."""
    place = _read(record_file()).get(platform.node())
    devices = place.get(_key(card)) if isinstance(place, dict) else None
    if not isinstance(devices, dict):
        return {}
    return {
        device: {mode: statistics.median(runs) for mode, found in modes.items() if (runs := _numbers(found))}
        for device, modes in devices.items()
        if isinstance(modes, dict)
    }


def _key(card: ModelCard) -> str:
    return card.weights.sha256[:16] if card.weights else card.name


def _numbers(found: object) -> list[float]:
    return [n for n in found if isinstance(n, (int, float))] if isinstance(found, list) else []


def _read(path: Path) -> dict[str, Any]:
    """What is known; a missing or damaged file knows nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
