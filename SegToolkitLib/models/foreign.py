"""Checkpoints of other programs: read without running what is in them, and compared key by key."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError

Shape = tuple[int, ...]

# How many keys of a kind a person is shown.
SHOWN = 5


@dataclass(frozen=True)
class KeyReport:
    """How the tensors of a checkpoint fit those that a network wants.

    Attributes:
        missing: keys that the network wants and the checkpoint lacks.
        unexpected: keys that the network does not know.
        shapes: (key, shape in the checkpoint, shape wanted), where they differ.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: tuple[tuple[str, Shape, Shape], ...]

    @property
    def fits(self) -> bool:
        """Whether there is nothing to report."""
        return not (self.missing or self.unexpected or self.shapes)

    def text(self) -> str:
        """What a person reads; at most five keys of a kind are named."""
        unlike = [
            f"{key} is {_times(found)} instead of {_times(wanted)}" for key, found, wanted in self.shapes
        ]
        parts = [
            _part("missing", self.missing),
            _part("unexpected", self.unexpected),
            _part("of another shape", unlike),
        ]
        return "; ".join(part for part in parts if part) or "all keys fit"


def _part(kind: str, items: Iterable[str]) -> str:
    items = list(items)
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return f"{len(items)} {kind} ({', '.join(items[:SHOWN])}{more})" if items else ""


def _times(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def compare_keys(state: Mapping[str, Tensor], wanted: Mapping[str, Shape]) -> KeyReport:
    """Compare a checkpoint with the keys and shapes that a network wants."""
    return KeyReport(
        missing=tuple(sorted(wanted.keys() - state.keys())),
        unexpected=tuple(sorted(state.keys() - wanted.keys())),
        shapes=tuple(
            (key, tuple(state[key].shape), shape)
            for key, shape in wanted.items()
            if key in state and tuple(state[key].shape) != shape
        ),
    )


# Training scripts keep a rate or a score as a numpy number beside the weights: data, no code. The second
# name of the function is the one that numpy 1 wrote.
_number = np.float64(0).__reduce__()[0]
_NUMPY_NUMBERS: list[Any] = [
    _number,
    *((_number, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    np.dtype,
    *{type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32)},
]


def read_checkpoint(file: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a PyTorch checkpoint to CPU memory, with weights-only unpickling: no code in it is run.

    A plain state dict or one under the key "state_dict"; the prefix ``module.`` of DataParallel is
    dropped.

    Raises:
        SegToolkitError: "file-missing"; "unsafe-checkpoint": it holds more than tensors;
            "bad-checkpoint": it is damaged, or no state dict.
    """
    path = Path(file)
    if not path.is_file():
        raise SegToolkitError("file-missing", f"The checkpoint {path} does not exist.", "Check the path.")
    try:
        with torch.serialization.safe_globals(_NUMPY_NUMBERS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged files
        raise _unreadable(path, error) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    plain = isinstance(content, dict) and content and all(map(_is_plain, content.items()))
    if not plain:
        raise SegToolkitError(
            "bad-checkpoint",
            f"{path} is not a state dict: names with one tensor each are needed.",
            "Choose the file that was written with torch.save(model.state_dict(), ...).",
        )
    state = {key.removeprefix("module."): value for key, value in content.items()}
    if len(state) < len(content):
        raise SegToolkitError(
            "bad-checkpoint",
            f"{path} holds tensors of one name with and without the prefix 'module.'.",
            "Ask which of them are meant, and save those alone.",
        )
    return state


def _is_plain(item: tuple[object, object]) -> bool:
    key, value = item
    return isinstance(key, str) and isinstance(value, Tensor) and value.layout is torch.strided


def _unreadable(path: Path, error: Exception) -> SegToolkitError:
    # torch's only sign of a refused class or function, besides the kind of error, is this word.
    if "GLOBAL" in str(error):
        return SegToolkitError(
            "unsafe-checkpoint",
            f"{path} holds Python objects besides tensors, which could run code: it was not loaded.",
            "Ask for the file as a plain state dict, or convert it where you trust it.",
        )
    return SegToolkitError(
        "bad-checkpoint",
        f"{path} cannot be read as a PyTorch checkpoint ({type(error).__name__}).",
        "It may be damaged or of another kind: copy or download it again.",
    )
