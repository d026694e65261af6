"""One worker process for all automatic models, and what it told of them."""

from __future__ import annotations

from SegToolkitGui.autosegment.Machine import AutoSegmentMachine
from SegToolkitGui.ModelSession import ModelSession


class AutoSegmentSession(ModelSession):
    """Models that need nothing but a volume."""

    machineClass = AutoSegmentMachine

    def listedModels(self) -> list[dict]:
        """Models to show: the automatic ones, and folders that nobody can read, with the reason."""
        return [one for one in self.models if one.get("automatic") or not one["method"]]

    def find(self, model: str) -> dict | None:
        """What is known of a usable model, by its name or by the path of its folder."""
        return next((one for one in self.usableModels() if model in (one["name"], one["folder"])), None)
