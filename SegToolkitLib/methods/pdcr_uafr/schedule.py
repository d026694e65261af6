"""The learning rate of every iteration, as a table; importing this imports no torch.

Source: released code of PDCR and UAFR.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.methods.pdcr_uafr.settings import ScheduleSettings


def rates(settings: ScheduleSettings, base: float, epochs: int, per_epoch: int) -> NDArray[np.float64]:
    """The rate of each iteration.

    It rises evenly over the warm-up, both ends included, and then falls: as half a cosine, in steps, or by a
    constant part an epoch; the latter two count epochs from the run's beginning.

    Args:
        settings: of the schedule.
        base: rate after the warm-up.
        epochs: of the run.
        per_epoch: iterations of an epoch.

    Returns:
        [epochs * per_epoch]. With the order "released" the first iteration has the base rate, and each
        further one that of the iteration before, as the released code sets the rate after a step.
    """
    total = epochs * per_epoch
    warm = min(settings.warm_up * per_epoch, total)
    rise = np.linspace(settings.warm_up_from, base, warm)
    steps = np.arange(total - warm)
    if settings.kind == "cosine":
        wave = 1 + np.cos(np.pi * steps / max(1, total - warm))
        fall = settings.final + 0.5 * (base - settings.final) * wave
    else:
        epoch = (steps + warm) // per_epoch
        if settings.kind == "step":
            done = np.searchsorted(np.sort(settings.step_epochs), epoch, side="right")
            fall = base * settings.step_factor ** done.astype(np.float64)
        else:
            fall = base * settings.decay ** epoch.astype(np.float64)
        fall = np.maximum(fall, settings.final)
    table = np.concatenate([rise, fall])
    return np.concatenate([[base], table[:-1]]) if settings.order == "released" else table
