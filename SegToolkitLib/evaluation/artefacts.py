"""What goes wrong in an MR scanner, as functions of an array: bias field, k-space spike, ghosts, motion.

Arrays are [slice, row, column]; the spectrum has its zero frequency at index ``size // 2`` of every axis.
What concerns one axis of the spectrum is done along that axis alone, which gives the same numbers sooner.
Source of the formulas: TorchIO 0.18 (Pérez-García et al., Computer Methods and Programs in Biomedicine 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float32]


def terms(order: int) -> list[tuple[int, int, int]]:
    """Powers (p, q, r) of the polynomial's terms, in the order of their coefficients."""
    powers = range(order + 1)
    return [(p, q, r) for p in powers for q in powers for r in powers if p + q + r <= order]


def biased(array: Array, coefficients: Sequence[float], order: int = 3) -> Array:
    """Multiply by exp(sum of c a^p b^q d^r); a, b, d run from about -1 to 1 along the axes 0, 1, 2.

    Args:
        array: [slice, row, column].
        coefficients: one for each of :func:`terms`.
        order: largest p + q + r.
    """
    table = np.zeros((order + 1,) * 3)
    for place, value in zip(terms(order), coefficients, strict=True):
        table[place] = value
    a, b, d = (np.vander(_centred(n), order + 1, increasing=True) for n in array.shape)
    field = np.einsum("pqr,xp,yq,zr->xyz", table, a, b, d, optimize=True)
    return (array * np.exp(field)).astype(np.float32)


def _centred(n: int) -> NDArray[np.float64]:
    places = np.arange(n) - n / 2 + 0.5
    return places / places[-1] if n > 1 else np.zeros(1)


def spiked(array: Array, position: Sequence[float], intensity: float) -> Array:
    """Add ``intensity`` times the largest number of the spectrum (by real part) at one of its points.

    Args:
        array: [slice, row, column].
        position: of the point, in parts (0 to below 1) of the shifted spectrum's axes.
        intensity: negative values are possible.
    """
    waves = [_wave(n, int(part * n)) for n, part in zip(array.shape, position, strict=True)]
    wave = np.einsum("x,y,z->xyz", *waves)
    return (array + (wave * (_largest(array) * intensity / array.size)).real).astype(np.float32)


def _wave(n: int, index: int) -> NDArray[np.complex64]:
    """What a point of the shifted spectrum is along one axis of the array."""
    return np.exp(2j * np.pi * (index - n // 2) * np.arange(n) / n).astype(np.complex64)


def _largest(array: Array) -> complex:
    if array.min() >= 0:
        # No frequency has more than the sum of all voxels.
        return complex(array.sum(dtype=np.float64))
    half = fft.rfftn(array)
    top = half[half.real == half.real.max()]
    # The other half of the spectrum is the conjugate of this one; among equal real parts the larger imaginary
    # one counts.
    return complex(float(top.real[0]), float(np.abs(top.imag).max()))


def ghosted(array: Array, ghosts: int, axis: int, intensity: float) -> Array:
    """Weaken every ``ghosts``-th plane of the spectrum along an axis by the factor 1 - ``intensity``.

    The plane of the zero frequency keeps its values.

    Args:
        array: [slice, row, column].
        ghosts: 1 or more.
        axis: 0, 1 or 2.
        intensity: 0 changes nothing, 1 takes the planes away.
    """
    size = array.shape[axis]
    weights = np.ones(size)
    weights[::ghosts] = 1 - intensity
    weights[size // 2] = 1
    return _weighted([array], [weights], axis)


def mixed(arrays: Sequence[Array], times: Sequence[float]) -> Array:
    """One image of a patient who moved: each part of the last axis of k-space is taken from another pose.

    Args:
        arrays: [slice, row, column] each; the first in the pose that the image keeps.
        times: of the movements, rising within 0 and 1; one fewer than arrays.
    """
    size, poses = arrays[0].shape[2], list(arrays)
    # The pose at the zero frequency is what the image looks like, so the first one is taken there.
    centre = next((n for n, time in enumerate(times) if time > 0.5), len(poses) - 1)
    poses[0], poses[centre] = poses[centre], poses[0]
    ends = [0, *(int(size * time) for time in times), size]
    weights = np.zeros((len(poses), size))
    for n, (low, high) in enumerate(pairwise(ends)):
        weights[n, low:high] = 1
    return _weighted(poses, list(weights), 2)


def _weighted(arrays: Sequence[Array], weights: Sequence[NDArray[np.float64]], axis: int) -> Array:
    """Real part of the sum of spectra, each times its weights [size] along one axis (shifted)."""
    size = arrays[0].shape[axis]
    count, along = size // 2 + 1, tuple(-1 if a == axis else 1 for a in range(3))
    total: NDArray[np.complex64] | None = None
    for array, shifted in zip(arrays, weights, strict=True):
        plain = np.fft.ifftshift(shifted)
        # The real part of the inverse is that of weights which are even in the frequency.
        even = (plain + np.roll(plain[::-1], 1)) / 2
        part = fft.rfft(array, axis=axis) * even[:count].astype(np.float32).reshape(along)
        total = part if total is None else total + part
    result: Array = fft.irfft(total, size, axis=axis).astype(np.float32)
    return result
