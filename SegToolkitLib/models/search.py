"""Where models are looked for, and what is found there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import SegToolkitLib
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.home import home_folder
from SegToolkitLib.models.card import CARD_FILE, ModelCard, read_card
from SegToolkitLib.models.files import check_presence

ENVIRONMENT_VARIABLE = "SEGTOOLKIT_MODELS"

Origin = Literal["environment", "user", "shipped", "path"]


@dataclass(frozen=True)
class Entry:
    """A model's folder, usable or not.

    Attributes:
        name: by which it is found: the card's, or the folder's if the card cannot be read.
        folder: where it is.
        origin: "environment", "user", "shipped", or "path" (was given by its path).
        card: None if it cannot be read.
        problem: why it cannot be used; "" if it can.
    """

    name: str
    folder: Path
    origin: Origin
    card: ModelCard | None = None
    problem: str = ""

    @property
    def usable(self) -> bool:
        """Whether card and weights are there (the SHA-256 is checked when the weights are read)."""
        return not self.problem


def user_folder() -> Path:
    """The person's own models."""
    return home_folder() / "models"


def shipped_folders() -> list[Path]:
    """Models that come with the library: in the source tree, and beside an installed library."""
    beside = Path(SegToolkitLib.__file__).resolve().parent.parent
    return [beside / "Resources" / "Models", beside / "SegToolkitModels"]


def models_found(own: Path) -> Iterator[Entry]:
    """Models of $SEGTOOLKIT_MODELS (folders joined as in PATH), of ``own``, and the shipped ones."""
    named = os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep)
    for root in (Path(text) for text in named if text):
        if root.is_dir():
            yield from _models_in(root, "environment")
        else:
            problem = f"${ENVIRONMENT_VARIABLE} names {root}, which is no folder."
            yield Entry(root.name, root, "environment", problem=problem)
    yield from _models_in(own, "user")
    for root in shipped_folders():
        yield from _models_in(root, "shipped")


def _models_in(root: Path, origin: Origin) -> Iterator[Entry]:
    """The model that ``root`` is, or those in its folders; a folder without model files is passed over."""
    try:
        if not root.is_dir():
            return
        inside = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        yield Entry(root.name, root, origin, problem=f"{root} could not be read: {error.strerror}.")
        return
    for folder in [root, *inside]:
        if (folder / CARD_FILE).is_file() or any(folder.glob("*.safetensors")):
            yield _entry(folder, origin)


def _entry(folder: Path, origin: Origin) -> Entry:
    card = None
    try:
        card = read_card(folder)
        check_presence(folder, card)
    except SegToolkitError as error:
        return Entry(card.name if card else folder.name, folder, origin, card, error.message)
    return Entry(card.name, folder, origin, card)
