"""Settings that belong together: the rows of the authors' comparison."""

from __future__ import annotations

from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrSettings, Weights
from SegToolkitLib.methods.pdcr_uafr.plan import NetworkPlan, UafrPlan
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings, ScheduleSettings

_PLAIN = NetworkPlan(uafr=UafrPlan(positions=()))
_NONE = PdcrSettings(weights_of_terms=Weights(encoder=0, decoder=0, cross=0))
# With what the specification calls mistakes, to come near the published numbers.
_RELEASED_PDCR = PdcrSettings(
    form="released", reduction="sum", damped=True, positions="released", cross_sampler="raster"
)

VARIANTS: dict[str, tuple[str, PdcrUafrSettings]] = {
    "baseline": ("Cross-entropy alone", PdcrUafrSettings(network=_PLAIN, pdcr=_NONE)),
    "uafr": ("Features weighed by confidence", PdcrUafrSettings(pdcr=_NONE)),
    "rf-pdcr": (
        "PDCR with receptive fields as patches",
        PdcrUafrSettings(network=_PLAIN, pdcr=PdcrSettings(labels="receptive_field")),
    ),
    "h-pdcr": ("PDCR with small squares as patches", PdcrUafrSettings(network=_PLAIN)),
    "full": ("PDCR with small squares, and UAFR", PdcrUafrSettings()),
    "released": (
        "As the released code computes it, mistakes included",
        PdcrUafrSettings(pdcr=_RELEASED_PDCR, schedule=ScheduleSettings(order="released")),
    ),
}
