"""From relative intensities to something that looks like a scanner's T2-weighted series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from SegToolkitLib.phantom.fields import FloatArray, smooth_field

BLUR = (0.35, 0.55, 0.55)  # voxels, [k, j, i]: the point spread in and across slices
CLIP_PERCENTILE = 99.5  # the CHAOS volumes in their usual preparation are clipped here


def acquire(intensity: FloatArray, rng: np.random.Generator) -> NDArray[np.int16]:
    """Blur, shade, add noise, clip and scale, as a scanner and the usual preparation do.

    Args:
        intensity: [k, j, i], 1 being the brightest tissue, 0 air.
        rng: decides shading, noise level and scale.

    Returns:
        [k, j, i] int16, 0 to the patient's maximum, which lies between 720 and 1000.
    """
    signal = gaussian_filter(intensity, BLUR, output=np.float32)
    lengths = np.maximum(np.asarray(signal.shape) / 2.5, 1)
    shading = smooth_field(rng, signal.shape, (lengths[0], lengths[1], lengths[2]))
    signal *= np.exp(np.float32(rng.uniform(0.08, 0.2)) * np.clip(shading, -2, 2))
    sigma = np.float32(rng.uniform(0.006, 0.016))
    noise = rng.standard_normal((2, *signal.shape), dtype=np.float32) * sigma
    # Rician: the magnitude of a complex signal with equal Gaussian noise in both channels.
    magnitude = np.hypot(signal + noise[0], noise[1])
    ceiling = float(np.percentile(magnitude, CLIP_PERCENTILE))
    top = float(rng.uniform(720, 1000))
    return np.rint(np.minimum(magnitude / ceiling, 1) * top).astype(np.int16)
