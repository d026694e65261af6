"""Smooth random fields: the raw material of deformation, texture and bias."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int, int], lengths: tuple[float, float, float]
) -> FloatArray:
    """Gaussian random field of mean 0 and variance 1, drawn on a coarse grid and interpolated.

    Args:
        rng: source of randomness.
        shape: size of the field, [k, j, i].
        lengths: correlation length along each axis in voxels, [k, j, i]; one below 1 counts as 1.

    Returns:
        [k, j, i] float32.
    """
    weights = [_weights(size, max(length, 1.0)) for size, length in zip(shape, lengths, strict=True)]
    field = rng.standard_normal([w.shape[1] for w in weights]).astype(np.float32)
    for axis, w in enumerate(weights):
        field = np.moveaxis(np.tensordot(w, field, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(field)


def _weights(size: int, length: float) -> FloatArray:
    """Weights [size, knots] of Gaussian bumps around the knots; every row has norm 1, hence variance 1."""
    knots = np.arange(-length, size + length, length, dtype=np.float32)
    distance = (np.arange(size, dtype=np.float32)[:, None] - knots[None, :]) / length
    w = np.exp(-0.5 * (distance / 0.6) ** 2)
    return np.asarray(w / np.linalg.norm(w, axis=1, keepdims=True), dtype=np.float32)
