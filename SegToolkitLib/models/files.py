"""The two files of a model: written so that a folder with a card is whole, read only if untouched."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

from SegToolkitLib.atomic import replacing
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import ModelCard, Weights, card_text, read_card, write_card

WEIGHTS_FILE = "weights.safetensors"
REMAKE = "Copy or download the model again."

Dtype = Literal["float16", "float32"]


def install(folder: str | os.PathLike[str], card: ModelCard, weights: bytes, dtype: Dtype) -> ModelCard:
    """Write weights first and the card that names them last.

    Where a model already is, its weights stay beside the new ones until the new card has replaced the
    old one: at any moment the folder holds one whole model. So that this works, the weights' file is
    then called ``weights-<first digits of its SHA-256>.safetensors``.

    Returns:
        The card with its ``weights``.

    Raises:
        SegToolkitError: "bad-model-card", "write-failed"; "model-exists": of another method, or under another
            name.
    """
    folder, digest = Path(folder), hashlib.sha256(weights).hexdigest()
    old = _present(folder, card)
    file = WEIGHTS_FILE
    if old is not None and old.sha256 == digest:
        file = old.file
    elif old is not None and old.file == WEIGHTS_FILE:
        file = f"weights-{digest[:8]}.safetensors"
    described = Weights(file=file, sha256=digest, dtype=dtype, bytes=len(weights))
    complete = card.model_copy(update={"weights": described})
    card_text(complete)  # complains before anything is written
    with replacing(folder / file) as temporary:
        temporary.write_bytes(weights)
    try:
        write_card(folder, complete)
    except BaseException:
        if old is None or old.file != file:
            (folder / file).unlink(missing_ok=True)
        raise
    if old is not None and old.file != file:
        (folder / old.file).unlink(missing_ok=True)
    return complete


def _present(folder: Path, new: ModelCard) -> Weights | None:
    """The weights of the model that is there, which the new one replaces; None if none can be read."""
    try:
        there = read_card(folder)
    except SegToolkitError:
        return None
    if (there.method, there.name) != (new.method, new.name):
        raise SegToolkitError(
            "model-exists",
            f"{folder} holds the model {there.name} ({there.method}), which {new.name} ({new.method}) would"
            " replace.",
            "Choose another folder, or delete that model first.",
        )
    return there.weights


def check_presence(folder: str | os.PathLike[str], card: ModelCard) -> None:
    """Check at no cost that the weights are there and as long as the card says.

    Raises:
        SegToolkitError: "bad-weights".
    """
    path, described = weights_path(folder, card)
    if not path.is_file():
        raise SegToolkitError("bad-weights", f"{path}, the weights of {card.name}, is missing.", REMAKE)
    if (size := path.stat().st_size) != described.bytes:
        raise SegToolkitError(
            "bad-weights", f"{path} has {size} bytes; its card says {described.bytes}.", REMAKE
        )


def read_weights(folder: str | os.PathLike[str], card: ModelCard) -> bytes:
    """Read the weights' file; what is returned is what was checked.

    Raises:
        SegToolkitError: "bad-weights": missing, unreadable, truncated, or another SHA-256 than the card's.
    """
    check_presence(folder, card)
    path, described = weights_path(folder, card)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SegToolkitError(
            "bad-weights", f"{path} could not be read: {error.strerror or error}.", "Check its permissions."
        ) from error
    if hashlib.sha256(content).hexdigest() != described.sha256:
        raise SegToolkitError(
            "bad-weights",
            f"{path} is not the file that its card describes (another SHA-256): damaged or exchanged.",
            REMAKE,
        )
    return content


def weights_path(folder: str | os.PathLike[str], card: ModelCard) -> tuple[Path, Weights]:
    """Path of the weights and what the card says about them.

    Raises:
        SegToolkitError: "bad-model-card": the card has no weights (it was never saved).
    """
    if card.weights is None:
        raise SegToolkitError(
            "bad-model-card", f"The card of {card.name} names no weights.", "Read it with read_card."
        )
    return Path(folder) / card.weights.file, card.weights
