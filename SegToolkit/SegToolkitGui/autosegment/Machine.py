"""Choices of the automatic-segmentation module that belong to this computer."""

from __future__ import annotations

from SegToolkitGui.MachineSettings import MachineSettings


class AutoSegmentMachine(MachineSettings):
    """The settings of all modules, and those of this one."""

    @property
    def small(self) -> bool:
        """Whether memory is scarce here, so that less of it is taken, and more time."""
        return self._read("autosegment/small", False)

    @small.setter
    def small(self, value: bool) -> None:
        self._write("autosegment/small", bool(value))
