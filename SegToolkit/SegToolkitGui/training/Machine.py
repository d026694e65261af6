"""Choices of the training module that belong to this computer: data sets, last method, runs folder."""

from __future__ import annotations

from SegToolkitGui.MachineSettings import MachineSettings

RECENT_DATASETS = 8


class TrainingMachine(MachineSettings):
    """The settings of all modules, and those of training."""

    @property
    def recentDatasets(self) -> list[str]:
        """Folders of the data sets used lately, the last one first."""
        return [one for one in self._read("training/datasets", []) if isinstance(one, str)]

    def rememberDataset(self, folder: str) -> None:
        """Put a data set's folder first among those used lately."""
        others = [one for one in self.recentDatasets if one != folder]
        self._write("training/datasets", [folder, *others][:RECENT_DATASETS])

    @property
    def method(self) -> str:
        """Name of the method used last, "" if none was."""
        return self._read("training/method", "")

    @method.setter
    def method(self, value: str) -> None:
        self._write("training/method", value)

    @property
    def runsFolder(self) -> str:
        """Folder in which runs lie; "" is the library's own choice."""
        return self._read("training/runsFolder", "")

    @runsFolder.setter
    def runsFolder(self, value: str) -> None:
        self._write("training/runsFolder", str(value))

    def preset(self, method: str) -> str:
        """Name of the preset of a method that was chosen last, "" if none was."""
        return str(self._read("training/presets", {}).get(method, ""))

    def rememberPreset(self, method: str, preset: str) -> None:
        """Remember the preset chosen for a method."""
        self._write("training/presets", {**self._read("training/presets", {}), method: preset})

    def place(self, method: str, name: str) -> str:
        """Path chosen last for a further place of a method, "" if none was."""
        return str(self._read("training/places", {}).get(f"{method}/{name}", ""))

    def rememberPlace(self, method: str, name: str, path: str) -> None:
        """Remember the path of a further place."""
        self._write("training/places", {**self._read("training/places", {}), f"{method}/{name}": path})
