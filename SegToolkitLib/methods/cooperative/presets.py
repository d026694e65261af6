"""Settings that belong together."""

from __future__ import annotations

from typing import Any

from SegToolkitLib.methods.cooperative.data_settings import AugmentSettings
from SegToolkitLib.methods.cooperative.plan import InputPlan, NetworkPlan
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings, OptimiserSettings, StepSettings
from SegToolkitLib.training.method import Preset

SHORT = StepSettings(loss="ce_dice")
SMALL = NetworkPlan(channels=(8, 16, 32, 64, 64))
# Pixels twice as large, half as many of them; the released margin about the crop.
COARSE = InputPlan(spacing_mm=2.73438, crop=96)
COARSE_AUGMENT = AugmentSettings(pad=112)


def _optimiser(epochs: int, **changes: Any) -> OptimiserSettings:
    """A few rounds at a high rate that falls to 0."""
    return OptimiserSettings(epochs=epochs, schedule="cosine", **changes)


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "Quick check",
            "A few minutes on two cores: does it run, and does it learn? Not meant for use.",
            CooperativeSettings(
                network=SMALL,
                input=COARSE,
                augment=COARSE_AUGMENT,
                optimiser=_optimiser(10, steps_per_epoch=20, batch=8, learning_rate=3e-3),
                step=SHORT,
                norm_statistics="measured",
                log_every=5,
                snapshot_every=50,
                validate_every=50,
            ),
        ),
        Preset(
            "default",
            "Default",
            "The authors' networks and pixels, 2850 updates at a falling rate; wants a GPU.",
            CooperativeSettings(
                optimiser=_optimiser(150, learning_rate=1e-3),
                step=SHORT,
                norm_statistics="measured",
                log_every=19,
                snapshot_every=475,
                validate_every=95,
            ),
        ),
        Preset(
            "published",
            "As published",
            "The authors' networks and schedule, 600 rounds through ten patients; wants a GPU.",
            CooperativeSettings(workers=4, log_every=19, snapshot_every=950, validate_every=19),
        ),
    )
}
