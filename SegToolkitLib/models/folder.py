"""Tensors to and from a model's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import CARD_FILE, ModelCard, read_card
from SegToolkitLib.models.files import REMAKE, install, read_weights

# Unit roundoff of IEEE half precision: what rounding costs at most, relative to the value.
HALF_ROUNDOFF = 2.0**-11


def save_model(
    folder: str | os.PathLike[str], card: ModelCard, state: Mapping[str, Tensor], half: bool = True
) -> ModelCard:
    """Write a model: weights first, the card last, each atomically.

    Args:
        folder: made if missing; a model that is already there is replaced as a whole or not at all.
        card: its ``weights`` are filled in here.
        state: the network's tensors, passengers included; integers keep their type.
        half: store floating tensors in half precision. A tensor which that would change by more than
            2^-11 of its largest magnitude (it overflows, or is tiny throughout) stays in float32.

    Returns:
        The card as written.

    Raises:
        SegToolkitError: "weights-not-finite" (training diverged), "bad-model-card", "write-failed".
    """
    tensors = {key: _stored(key, value.detach().cpu(), half) for key, value in state.items()}
    return install(folder, card, save(tensors), "float16" if half else "float32")


def _stored(key: str, value: Tensor, half: bool) -> Tensor:
    # clone: safetensors refuses tensors that share memory or are strided.
    if not value.is_floating_point():
        return value.clone(memory_format=torch.contiguous_format)
    if not torch.isfinite(value).all():
        raise SegToolkitError(
            "weights-not-finite",
            f"The tensor {key} holds NaN or infinity.",
            "The training diverged: save an earlier checkpoint, or train with a lower learning rate.",
        )
    full = value.to(torch.float32, copy=True).contiguous()
    if not half or full.numel() == 0:
        return full
    rounded = full.half()
    largest_change = (rounded.float() - full).abs().max()
    return rounded if largest_change <= HALF_ROUNDOFF * full.abs().max() else full


def load_state(folder: str | os.PathLike[str], card: ModelCard | None = None) -> dict[str, Tensor]:
    """Read a model's tensors to CPU memory; floating ones as float32.

    Args:
        folder: the model's folder, or the path of its model.json.
        card: of that folder, if it has been read already.

    Raises:
        SegToolkitError: no model there, a damaged card, or "bad-weights": the file is missing,
            truncated or not the one whose SHA-256 the card states (which is checked first).
    """
    folder = Path(folder)
    folder = folder.parent if folder.name == CARD_FILE else folder
    card = card or read_card(folder)
    content = read_weights(folder, card)
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise SegToolkitError(
            "bad-weights", f"The weights in {folder} are not a safetensors file ({error}).", REMAKE
        ) from error
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
