"""The settings that a person chooses from."""

from __future__ import annotations

from SegToolkitLib.methods.nnunet.settings import (
    NnunetSettings,
    OptimiserSettings,
    PlanSettings,
    ValidationSettings,
)
from SegToolkitLib.training.method import Preset

_QUICK = NnunetSettings(
    plan=PlanSettings(memory_gb=1, batch=2, features=8),
    optimiser=OptimiserSettings(epochs=10, steps_per_epoch=30),
    log_every=5,
    snapshot_every=50,
    validate_every=50,
)
_SMALL = NnunetSettings(
    plan=PlanSettings(memory_gb=4, batch=2, features=16),
    optimiser=OptimiserSettings(epochs=100, steps_per_epoch=30),
    log_every=10,
    snapshot_every=150,
    validate_every=300,
)
_DEFAULT = NnunetSettings(
    optimiser=OptimiserSettings(epochs=100, steps_per_epoch=250),
    log_every=50,
    snapshot_every=250,
    validate_every=1250,
    workers=2,
)
_PUBLISHED = NnunetSettings(
    log_every=50,
    snapshot_every=2500,
    validate_every=250,
    validation=ValidationSettings(by="patches"),
    use_best=False,
    workers=4,
)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "Quick check",
            "A small network, 300 steps: does it run, and does the loss fall? Not meant for use.",
            _QUICK,
        ),
        Preset(
            "small",
            "Small",
            "Half the channels, two patches a step, 3000 steps: for computers without a GPU.",
            _SMALL,
        ),
        Preset(
            "default",
            "Default",
            "nnU-Net's own plan, a tenth of its epochs, whole cases validated; one GPU of 10 GB or more.",
            _DEFAULT,
        ),
        Preset(
            "default-pdcr-uafr",
            "Default, with PDCR and UAFR",
            "The same with both parts of the plug-in.",
            _DEFAULT.model_copy(update={"trainer": "pdcr_uafr"}),
        ),
        Preset(
            "published",
            "As published",
            "nnU-Net's own 1000 epochs of 250 steps; the result takes the last weights, as nnU-Net does.",
            _PUBLISHED,
        ),
    )
}
