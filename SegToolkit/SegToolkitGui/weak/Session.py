"""One worker process for maps, refinement and data sets, and the models that make maps."""

from __future__ import annotations

from typing import ClassVar

from SegToolkitGui.MachineSettings import MachineSettings
from SegToolkitGui.ModelSession import ModelSession
from SegToolkitGui.weak.Machine import WeakMachine

METHOD = "cmer"


class WeakSession(ModelSession):
    """Models that need several images of a patient."""

    machineClass: ClassVar[type[MachineSettings]] = WeakMachine
    modelsBody: ClassVar[dict] = {"method": METHOD}

    def listedModels(self) -> list[dict]:
        """Models to show: those with modalities, and folders that nobody can read, with the reason."""
        return [one for one in self.models if one.get("modalities") or not one["method"]]
