"""Tensors of nnU-Net's checkpoints as a model keeps them: each once, fold by fold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.foreign import compare_keys

_NUMBERS = (np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.bool_)
_scalar = np.float64(0).__reduce__()[0]
# Numbers of numpy in nnU-Net's log and settings: data, no code.
ALLOWED: list[Any] = [
    *((_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    np.dtype,
    *_NUMBERS,
    *{type(np.dtype(kind)) for kind in _NUMBERS},
]


def read_nnunet(file: Path) -> dict[str, Any]:
    """A checkpoint of nnU-Net, with weights-only unpickling: no code in it is run.

    Raises:
        SegToolkitError: "file-missing", "unsafe-checkpoint", "bad-checkpoint".
    """
    if not file.is_file():
        raise SegToolkitError("file-missing", f"The checkpoint {file} does not exist.", "Check the path.")
    try:
        with torch.serialization.safe_globals(ALLOWED):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged files
        if "GLOBAL" in str(error):
            raise SegToolkitError(
                "unsafe-checkpoint",
                f"{file} holds Python objects besides tensors, which could run code: it was not loaded.",
                "Where you trust it, load and save it again with plain settings, in Python.",
            ) from error
        raise SegToolkitError(
            "bad-checkpoint",
            f"{file} cannot be read as a PyTorch checkpoint ({type(error).__name__}).",
            "It may be damaged: copy it again.",
        ) from error
    if not isinstance(content, dict) or not {"network_weights", "trainer_name", "init_args"} <= set(content):
        raise SegToolkitError(
            "bad-checkpoint",
            f"{file} is no checkpoint of nnU-Net v2.",
            "Give the folder of a trained model: it holds plans.json, dataset.json and fold_0.",
        )
    return content


def once(state: Mapping[str, Tensor], fold: str) -> dict[str, Tensor]:
    """Tensors under names of a fold, each once: nnU-Net lists most of them two to four times."""
    found: dict[tuple[int, tuple[int, ...]], str] = {}
    kept: dict[str, Tensor] = {}
    for key, value in state.items():
        place = (value.data_ptr(), tuple(value.shape))
        if value.numel() and place in found:
            continue
        found[place] = key
        kept[f"{fold}/{key}"] = value
    return kept


def all_names(network: nn.Module, state: Mapping[str, Tensor], fold: str) -> dict[str, Tensor]:
    """The whole state dict of a network from tensors that :func:`once` kept.

    Raises:
        SegToolkitError: "model-mismatch".
    """
    given = {
        key.removeprefix(f"{fold}/"): value for key, value in state.items() if key.startswith(f"{fold}/")
    }
    groups: dict[int, list[str]] = {}
    own = network.state_dict(keep_vars=True)
    for key, value in own.items():
        groups.setdefault(id(value), []).append(key)
    full = dict(given)
    for names in groups.values():
        value = next((given[name] for name in names if name in given), None)
        if value is not None:
            full |= dict.fromkeys(names, value)
    report = compare_keys(full, {key: tuple(value.shape) for key, value in own.items()})
    if not report.fits:
        raise SegToolkitError(
            "model-mismatch",
            f"The weights of fold {fold} do not fit the network of the plans: {report.text()}.",
            "The trainer that is found under the name may be another than the one that trained it.",
        )
    return full
