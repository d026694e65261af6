"""Choices of the weak-supervision module that belong to this computer."""

from __future__ import annotations

from SegToolkitGui.MachineSettings import MachineSettings


class WeakMachine(MachineSettings):
    """The settings of all modules, and those of this one."""

    @property
    def preset(self) -> str:
        """Preset that a training was begun with last."""
        return self._read("weak/preset", "default")

    @preset.setter
    def preset(self, value: str) -> None:
        self._write("weak/preset", str(value))

    @property
    def seeds(self) -> int:
        """How many seeds a training was begun with last."""
        return max(1, self._read("weak/seeds", 3))

    @seeds.setter
    def seeds(self, value: int) -> None:
        self._write("weak/seeds", int(value))

    @property
    def dataset(self) -> str:
        """Folder of the data set that patients were collected into last."""
        return self._read("weak/dataset", "")

    @dataset.setter
    def dataset(self, value: str) -> None:
        self._write("weak/dataset", str(value))
