"""Checkpoints: everything a run needs to go on as if it had not been interrupted."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from SegToolkitLib.atomic import replacing
from SegToolkitLib.errors import SegToolkitError

BEST = "best.pt"
# What a process that was killed while writing leaves behind (see SegToolkitLib.atomic).
HALF_WRITTEN = re.compile(r"\.[0-9a-f]{8}\.((keep-)?\d{8}|best)\.pt")


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """Write ``<step>.pt`` atomically and drop all but the newest ``keep``.

    Args:
        folder: the run's checkpoints folder.
        step: number of finished steps.
        state: state dicts and plain values only, so that loading needs no pickled code.
        keep: checkpoints to keep.

    Raises:
        SegToolkitError: "write-failed", on a full disk for instance; the earlier ones are unchanged.
    """
    path = folder / f"{step:08d}.pt"
    _write(path, {"random": random_state(), **state, "step": step})
    for old in checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def save_best(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write ``best.pt``, like :func:`save_checkpoint`."""
    _write(folder / BEST, {"random": random_state(), **state, "step": step})
    return folder / BEST


def save_milestone(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write ``keep-<step>.pt``, which stays for good: the network as it was, not enough to resume from it."""
    path = folder / f"keep-{step:08d}.pt"
    _write(path, {"network": state["network"], "extra": state["extra"], "step": step})
    return path


def milestones(folder: Path) -> list[Path]:
    """What :func:`save_milestone` wrote into a folder, oldest first."""
    return sorted(path for path in folder.glob("keep-*.pt") if re.fullmatch(r"keep-\d{8}", path.stem))


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written; the caller is the only one who writes there."""
    for path in folder.glob(".*.pt"):
        if HALF_WRITTEN.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _write(path: Path, state: dict[str, Any]) -> None:
    with replacing(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # torch's writer does not say what the system complained of
            if shutil.disk_usage(path.parent).free < 2**20:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise OSError(
                errno.EIO, "the system refused to write the whole file (a full disk, or a limit of its size)"
            ) from error


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints in a folder, oldest first."""
    return sorted(path for path in folder.glob("*.pt") if re.fullmatch(r"\d{8}", path.stem))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to CPU memory without unpickling code.

    Raises:
        SegToolkitError: the file is damaged or is no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for damaged files
        raise SegToolkitError(
            "bad-checkpoint",
            f"The checkpoint {path} cannot be read ({type(error).__name__}).",
            "Delete it to resume from the one before it.",
        ) from error
    if not isinstance(state, dict) or "step" not in state:
        raise SegToolkitError(
            "bad-checkpoint", f"{path} is not a SegToolkit checkpoint.", "Choose another file."
        )
    return state


def latest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint, or None before the first."""
    found = checkpoints(folder)
    return load_checkpoint(found[-1]) if found else None


def random_state() -> dict[str, Any]:
    """States of torch's, numpy's and Python's global generators, as plain values."""
    numpy_state = np.random.get_state(legacy=True)  # noqa: NPY002 (it is the global state that is saved)
    assert isinstance(numpy_state, tuple)
    version, words, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [
            numpy_state[0],
            torch.from_numpy(numpy_state[1].astype(np.int64)),
            *map(float, numpy_state[2:]),
        ],
        "python": [version, list(words), gauss],
    }


def best_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The checkpoint of the best validation, or None where there was none."""
    path = folder / BEST
    return load_checkpoint(path) if path.is_file() else None


def restore_random_state(state: dict[str, Any]) -> None:
    """Undo :func:`random_state`."""
    torch.set_rng_state(state["torch"])
    # The machine may have fewer GPUs than the one before, or none.
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])
    name, words, position, has_gauss, cached = state["numpy"]
    state_words = words.numpy().astype(np.uint32)
    np.random.set_state((name, state_words, int(position), int(has_gauss), cached))  # noqa: NPY002
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
