"""Settings that belong together."""

from __future__ import annotations

from SegToolkitLib.methods.cmer.plan import InputPlan, MapPlan, NetworkPlan
from SegToolkitLib.methods.cmer.settings import (
    CmerSettings,
    DataSettings,
    LossSettings,
    OptimiserSettings,
    ScheduleSettings,
    TransformSettings,
)
from SegToolkitLib.training.method import Preset

BRATS = ("T1", "T2")

# Ours: the cross-modality term is summed, so that it is heard, at a tenth. With more of it, or with the term
# that makes modalities say alike whether a slice shows the object, one that sees it follows one that doesn't.
GENTLE = LossSettings(cmer_reduction="sum", cmer_weight=0.1, kl_weight=0.0)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "Quick check",
            "A few minutes on two cores: does it run, and does it learn? Slices of 64 x 64, not for use.",
            CmerSettings(
                network=NetworkPlan(width_factor=8, pooling="top"),
                input=InputPlan(size=64, standardise="volume"),
                maps=MapPlan(scale="volume"),
                loss=GENTLE,
                data=DataSettings(balanced=True),
                optimiser=OptimiserSettings(learning_rate=1e-3, epochs=6, steps_per_epoch=50),
                schedule=ScheduleSettings(at_epoch_ends=False),
                log_every=10,
                snapshot_every=100,
                validate_every=50,
            ),
        ),
        Preset(
            "default",
            "Default",
            "The authors' networks for the prostate; the highest pixels of the foreground decide on a slice,"
            " slices are balanced, modalities teach each other gently where the object is and not what"
            " a slice shows, and the best of three seeds is kept. Wants a GPU.",
            CmerSettings(
                seeds=3,
                network=NetworkPlan(pooling="top"),
                input=InputPlan(size=256, standardise="volume"),
                maps=MapPlan(scale="volume"),
                loss=GENTLE,
                data=DataSettings(balanced=True),
                log_every=26,
                snapshot_every=520,
            ),
        ),
        Preset(
            "second-stage",
            "Second stage",
            "A supervised network of the same widths, on masks: those that were made of maps and refined, or"
            " drawn ones. A few hundred slices; minutes on a GPU, an hour or two on two cores.",
            CmerSettings(
                supervision="masks",
                network=NetworkPlan(bias=True),
                input=InputPlan(size=256),
                transform=TransformSettings(shift=0.1),
                data=DataSettings(balanced=True),
                optimiser=OptimiserSettings(
                    learning_rate=1e-3, weight_decay=0.01, epochs=40, steps_per_epoch=50
                ),
                schedule=ScheduleSettings(at_epoch_ends=False),
                log_every=25,
                snapshot_every=500,
                validate_every=250,
            ),
        ),
        Preset(
            "published",
            "As published (prostate)",
            "The authors' networks and schedule for T2 and ADC of the prostate; wants a GPU.",
            CmerSettings(input=InputPlan(size=256), log_every=26, snapshot_every=520),
        ),
        Preset(
            "published-brats",
            "As published (BraTS)",
            "The authors' networks and schedule for T1 and T2 of brain tumours; wants a GPU of 12 GB.",
            CmerSettings(
                network=NetworkPlan(width_factor=1),
                data=DataSettings(modalities=BRATS),
                # The authors go once through all slices in an epoch; how many there were is not known.
                optimiser=OptimiserSettings(learning_rate=5e-5, epochs=30, steps_per_epoch=500),
                snapshot_every=1000,
            ),
        ),
    )
}
