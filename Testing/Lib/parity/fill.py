"""Weights of the parity cases: every tensor follows from its checkpoint key."""

from __future__ import annotations

import zlib

import numpy as np
import torch


def filled_tensor(key: str, shape: tuple[int, ...], weight_scale: float = 1.0) -> torch.Tensor:
    """Return the tensor that the rule gives ``key``: noise seeded by the CRC of the key, by kind of leaf."""
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return torch.zeros((), dtype=torch.int64)
    noise = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if leaf == "running_var":
        value = 1.0 + 0.5 * np.tanh(noise)
    elif leaf == "running_mean":
        value = 0.1 * noise
    elif len(shape) >= 2:
        value = noise * np.sqrt(2.0 / np.prod(shape[1:]))
    elif leaf == "weight":
        value = 1.0 + 0.1 * noise
    else:
        value = 0.05 * noise
    scale = weight_scale if len(shape) >= 2 else 1.0
    return torch.from_numpy(np.asarray(value, dtype=np.float32)) * scale


def filled_state(shapes: dict[str, list[int]], weight_scale: float = 1.0) -> dict[str, torch.Tensor]:
    """Return the state dict of a case."""
    return {key: filled_tensor(key, tuple(shape), weight_scale) for key, shape in shapes.items()}
