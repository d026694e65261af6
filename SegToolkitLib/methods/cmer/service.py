"""What this method does for the worker process; imports torch when a request needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from SegToolkitLib.events import Reporter
from SegToolkitLib.models.card import ModelCard, parse
from SegToolkitLib.models.request import ensure_torch, read
from SegToolkitLib.volume.cache import VolumeCache

if TYPE_CHECKING:
    from SegToolkitLib.methods.cmer.live import LiveMapper

# Images and maps of a patient or two.
KEPT_BYTES = 2 << 30


class Service:
    """Serves the requests of one worker; keeps the model and the volumes."""

    def __init__(self) -> None:
        self.verbs = {"maps": self._maps, "refine": self._refine}
        self._volumes = VolumeCache(KEPT_BYTES)
        self._live: LiveMapper | None = None

    def relieve(self) -> None:
        """Forget the model and the volumes."""
        self._live = None
        self._volumes.clear()

    def describe(self, card: ModelCard) -> dict[str, object]:
        """What ``models`` answers of a model besides what all have.

        Raises:
            SegToolkitError: "bad-model-card".
        """
        from SegToolkitLib.methods.cmer.plan import ModelPlan

        plan = parse(ModelPlan, card.settings, f"'settings' of {card.name}")
        return {
            "modalities": list(plan.modalities),
            "thresholds": {name: plan.threshold(name) for name in plan.map_names},
            "seeds": plan.seeds,
        }

    def _maps(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        from SegToolkitLib.methods.cmer.requests import MapsRequest

        request = read(MapsRequest, values)
        if self._live is None:
            ensure_torch()
            from SegToolkitLib.methods.cmer.live import LiveMapper

            self._live = LiveMapper(self._volumes)
        return self._live.maps(request, reporter)

    def _refine(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        from SegToolkitLib.methods.cmer.refine_files import refine_files
        from SegToolkitLib.methods.cmer.requests import RefineRequest

        return refine_files(read(RefineRequest, values), self._volumes, reporter)
