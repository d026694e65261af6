"""Choices that belong to this computer and person, not to a scene, kept in Slicer's user settings."""

from __future__ import annotations

import json
from typing import Any

import slicer

PREFIX = "SegToolkit/"
RECENT_MODELS = 12


class MachineSettings:
    """Reads and writes the settings; an entry that is missing or cannot be understood has its default.

    Args:
        settings: A QSettings; None takes slicer.app.userSettings().
    """

    def __init__(self, settings: Any = None) -> None:
        self._settings = slicer.app.userSettings() if settings is None else settings

    @property
    def device(self) -> str:
        """Id of the device to compute on: "auto", "cpu", "cuda:0", ..."""
        return self._read("device", "auto")

    @device.setter
    def device(self, value: str) -> None:
        self._write("device", value)

    @property
    def recentModels(self) -> list[str]:
        """Names of the models used lately, the last one first; each panel takes the first that it can use."""
        return [name for name in self._read("model", []) if isinstance(name, str)]

    @property
    def model(self) -> str:
        """Name of the model used last, "" if none was."""
        return next(iter(self.recentModels), "")

    @model.setter
    def model(self, value: str) -> None:
        others = [name for name in self.recentModels if name != value]
        self._write("model", [value, *others][:RECENT_MODELS])

    @property
    def keepWorker(self) -> bool:
        """Whether the worker process keeps running while another module is shown."""
        return self._read("keepWorker", True)

    @keepWorker.setter
    def keepWorker(self, value: bool) -> None:
        self._write("keepWorker", bool(value))

    @property
    def lastFolder(self) -> str:
        """The folder that a file dialog was last used in, "" if none was."""
        return self._read("lastFolder", "")

    @lastFolder.setter
    def lastFolder(self, value: str) -> None:
        self._write("lastFolder", str(value))

    @property
    def acceptedLicences(self) -> list[str]:
        """Names of the models whose licence the person has accepted here."""
        return [name for name in self._read("acceptedLicences", []) if isinstance(name, str)]

    def acceptLicence(self, model: str) -> None:
        """Remember that the licence of a model was accepted."""
        if model not in self.acceptedLicences:
            self._write("acceptedLicences", [*self.acceptedLicences, model])

    def _read(self, key: str, default: Any) -> Any:
        # Kept as JSON text: on disk QSettings makes "true" of True and a single text of a list of one.
        try:
            value = json.loads(self._settings.value(PREFIX + key, ""))
        except (TypeError, ValueError):
            return default
        return value if type(value) is type(default) else default

    def _write(self, key: str, value: Any) -> None:
        self._settings.setValue(PREFIX + key, json.dumps(value))
