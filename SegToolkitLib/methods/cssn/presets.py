"""Settings that belong together, for each stage."""

from __future__ import annotations

from typing import Any

from SegToolkitLib.methods.cssn.plan import InferencePlan, NetworkPlan
from SegToolkitLib.methods.cssn.settings import (
    AugmentSettings,
    CrossSettings,
    CssnSettings,
    LossSettings,
    OptimiserSettings,
)
from SegToolkitLib.training.method import Preset

# For two CPU cores: four stages of few channels.
SMALL = NetworkPlan(kind="efficient", channels=(8, 16, 32, 64), blocks=(1, 1, 1))
SMALL_COARSE = NetworkPlan(kind="unet", channels=(8, 16, 32, 64), blocks=(1, 1, 1))
MEDIUM = NetworkPlan(kind="efficient", channels=(16, 32, 64, 128, 256))
MEDIUM_COARSE = NetworkPlan(kind="unet", channels=(8, 16, 32, 64, 128))
RELEASED_COARSE = NetworkPlan(kind="unet", channels=(16, 32, 64, 128, 256))
NO_CROPS = AugmentSettings(crop_probability=0, organ_shift_probability=0, global_shift=0)


def _optimiser(epochs: int, steps_per_epoch: int, **changes: Any) -> OptimiserSettings:
    return OptimiserSettings(epochs=epochs, steps_per_epoch=steps_per_epoch, **changes)


_FINE_QUICK = CssnSettings(
    network=SMALL,
    size=(48, 64, 64),
    cross=CrossSettings(ramp_steps=60),
    optimiser=_optimiser(10, 20, learning_rate=3e-3, schedule="cosine"),
    log_every=5,
    snapshot_every=50,
    validate_every=50,
)
_FINE_DEFAULT = CssnSettings(
    network=MEDIUM,
    size=(128, 128, 128),
    cross=CrossSettings(ramp_steps=2000),
    optimiser=_optimiser(100, 100, schedule="cosine"),
    snapshot_every=500,
    validate_every=500,
)
_FINE_PUBLISHED = CssnSettings(workers=4, snapshot_every=2000, validate_every=2000)
# With what the specification calls mistakes, to reproduce the release.
_RELEASED: dict[str, Any] = {
    "cross": {"pseudo_labels": "released"},
    "augment": {"crop_rule": "released", "global_shift": 0},
    "loss": {"focal_mode": "released"},
    "data": {"split": "released", "region": "organs"},
    "inference": InferencePlan().model_dump(),
}

# The coarse stage learns with Dice and focal loss, at ten times the rate, from whole volumes.
_COARSE: dict[str, Any] = {"stage": "coarse", "loss": LossSettings(kind="dice_focal"), "augment": NO_CROPS}


def _coarse(
    base: CssnSettings, network: NetworkPlan, size: tuple[int, int, int], **changes: Any
) -> CssnSettings:
    return base.model_copy(update={**_COARSE, "network": network, "size": size, **changes})


def _released(base: CssnSettings) -> CssnSettings:
    parts = {name: getattr(base, name).model_copy(update=changes) for name, changes in _RELEASED.items()}
    return base.model_copy(update=parts)


_COARSE_QUICK = _coarse(_FINE_QUICK, SMALL_COARSE, (32, 48, 48))
_COARSE_DEFAULT = _coarse(_FINE_DEFAULT, MEDIUM_COARSE, (96, 96, 96))
_COARSE_PUBLISHED = _coarse(
    _FINE_PUBLISHED,
    RELEASED_COARSE,
    (160, 160, 160),
    optimiser=_optimiser(500, 40, learning_rate=1e-2),
    validate_every=400,
    snapshot_every=400,
)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "Quick check (fine stage)",
            "A few minutes on two cores: does it run, and does it learn? Not meant for use.",
            _FINE_QUICK,
        ),
        Preset("default", "Default (fine stage)", "A small grid; fit for one GPU with 8 GB.", _FINE_DEFAULT),
        Preset(
            "published",
            "As published (fine stage)",
            "The authors' network, 192 x 192 x 192 voxels and 500 epochs; wants a large GPU.",
            _FINE_PUBLISHED,
        ),
        Preset("quick-coarse", "Quick check (coarse stage)", "A few minutes on two cores.", _COARSE_QUICK),
        Preset(
            "default-coarse",
            "Default (coarse stage)",
            "A small grid; fit for one small GPU.",
            _COARSE_DEFAULT,
        ),
        Preset(
            "published-coarse",
            "As published (coarse stage)",
            "The authors' network, 160 x 160 x 160 voxels and 500 epochs; wants a large GPU.",
            _COARSE_PUBLISHED,
        ),
        Preset(
            "released",
            "As released (fine stage)",
            "As published, with the mistakes of the released code: shifted pseudo-labels, crops into organs.",
            _released(_FINE_PUBLISHED),
        ),
        Preset(
            "released-coarse",
            "As released (coarse stage)",
            "As published, with the mistakes of the released code: shifted pseudo-labels, wrong focal loss.",
            _released(_COARSE_PUBLISHED),
        ),
    )
}
