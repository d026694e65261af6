"""Settings that belong together: the rows of the authors' comparison, and sizes of a training."""

from __future__ import annotations

from typing import Literal, get_args

from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrSettings, Weights
from SegToolkitLib.methods.pdcr_uafr.plan import SMALL, SMALL_HEADS, InputPlan, NetworkPlan, UafrPlan
from SegToolkitLib.methods.pdcr_uafr.settings import (
    DataSettings,
    OptimiserSettings,
    PdcrUafrSettings,
    ScheduleSettings,
)
from SegToolkitLib.training.method import Preset

Variant = Literal["baseline", "uafr", "rf-pdcr", "h-pdcr", "full"]
VARIANT_NAMES: tuple[Variant, ...] = get_args(Variant)

_NO_TERMS = Weights(encoder=0, decoder=0, cross=0)
# With what the specification calls mistakes, to come near the published numbers.
_RELEASED_PDCR = PdcrSettings(
    form="released", reduction="sum", damped=True, positions="released", cross_sampler="raster"
)


def variant_of(settings: PdcrUafrSettings, variant: Variant) -> PdcrUafrSettings:
    """The same training with those parts of the method that a variant has.

    Args:
        settings: with both parts.
        variant: "baseline": cross-entropy alone; "uafr": features weighed; "rf-pdcr" and "h-pdcr": the
            regulariser, by receptive fields or small squares; "full": UAFR and PDCR by small squares.
    """
    network, pdcr = settings.network, settings.pdcr
    if variant not in ("uafr", "full"):
        network = network.model_copy(update={"uafr": UafrPlan(positions=())})
    if variant in ("baseline", "uafr"):
        pdcr = pdcr.model_copy(update={"weights_of_terms": _NO_TERMS})
    else:
        labels = "receptive_field" if variant == "rf-pdcr" else "hierarchical"
        pdcr = pdcr.model_copy(update={"labels": labels})
    return settings.model_copy(update={"network": network, "pdcr": pdcr})


_TITLES: dict[Variant, str] = {
    "baseline": "Cross-entropy alone",
    "uafr": "Features weighed by confidence",
    "rf-pdcr": "PDCR with receptive fields as patches",
    "h-pdcr": "PDCR with small squares as patches",
    "full": "PDCR with small squares, and UAFR",
}
_RELEASED = PdcrUafrSettings(
    input=InputPlan(intensity_scale=1),
    pdcr=_RELEASED_PDCR,
    schedule=ScheduleSettings(order="released"),
    data=DataSettings(mask_rule="released"),
)
VARIANTS: dict[str, tuple[str, PdcrUafrSettings]] = {
    **{name: (title, variant_of(PdcrUafrSettings(), name)) for name, title in _TITLES.items()},
    "released": ("As the released code computes it, mistakes included", _RELEASED),
}

_QUICK = PdcrUafrSettings(
    network=NetworkPlan(widths=SMALL, uafr=SMALL_HEADS),
    input=InputPlan(size=(128, 128)),
    optimiser=OptimiserSettings(epochs=15, steps_per_epoch=10, batch=4, learning_rate=2e-3),
    schedule=ScheduleSettings(warm_up=1),
    log_every=5,
    snapshot_every=50,
    validate_every=50,
)
_DEFAULT = PdcrUafrSettings(
    network=NetworkPlan(widths=SMALL, uafr=SMALL_HEADS),
    input=InputPlan(size=(256, 256)),
    optimiser=OptimiserSettings(epochs=60, steps_per_epoch=50, batch=8, learning_rate=2e-3),
    log_every=10,
    snapshot_every=250,
    validate_every=250,
)
# Of the default: how its preset is called, the variant, and what that is.
_COMPARED: tuple[tuple[str, Variant, str], ...] = (
    ("baseline", "baseline", _TITLES["baseline"]),
    ("uafr", "uafr", _TITLES["uafr"]),
    ("pdcr", "h-pdcr", _TITLES["h-pdcr"]),
)
_PUBLISHED = {"workers": 4, "log_every": 25, "snapshot_every": 4500, "validate_every": 1125}

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "Quick check",
            "A few minutes on two cores: does it run, and does it learn? Not meant for use.",
            _QUICK,
        ),
        Preset("default", "Default", "UAFR and PDCR, a small network, 256 x 256 pixels.", _DEFAULT),
        *(
            Preset(
                f"default-{short}",
                f"Default, {title[0].lower()}{title[1:]}",
                "The same training without the rest of the method, to compare with.",
                variant_of(_DEFAULT, name),
            )
            for short, name, title in _COMPARED
        ),
        Preset(
            "published",
            "As published",
            "The authors' network at 512 x 512 pixels, 300 epochs; one GPU of 24 GB or more.",
            PdcrUafrSettings().model_copy(update=_PUBLISHED),
        ),
        Preset(
            "released",
            "As released",
            "The same with the mistakes of the released code, to come near the published numbers.",
            _RELEASED.model_copy(update=_PUBLISHED),
        ),
    )
}
