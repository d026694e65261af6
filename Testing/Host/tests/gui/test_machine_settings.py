"""Choices of this computer, through a real settings file."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSettings

from SegToolkitGui.MachineSettings import MachineSettings

CASES = [
    ("device", "auto", "cuda:0"),
    ("model", "", "Nierenmodell é"),
    ("keepWorker", True, False),
    ("lastFolder", "", "C:\\Users\\Jürgen\\data, more"),
]


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "Slicer é.ini")


def reopened(path: str) -> MachineSettings:
    return MachineSettings(QSettings(path, QSettings.Format.IniFormat))


@pytest.mark.parametrize(("name", "default", "value"), CASES)
def test_a_choice_survives_a_restart(path, name, default, value) -> None:
    settings = QSettings(path, QSettings.Format.IniFormat)
    machine = MachineSettings(settings)
    assert getattr(machine, name) == default
    setattr(machine, name, value)
    settings.sync()
    assert getattr(reopened(path), name) == value
    assert settings.allKeys() == [f"SegToolkit/{name}"]


@pytest.mark.parametrize(("name", "default", "value"), CASES)
@pytest.mark.parametrize("damage", ["{broken", "17", "null", "[1", ["a", "b"], 3.5])
def test_a_damaged_entry_gives_the_default(path, name, default, value, damage) -> None:
    settings = QSettings(path, QSettings.Format.IniFormat)
    settings.setValue(f"SegToolkit/{name}", damage)
    settings.sync()
    assert getattr(reopened(path), name) == default


def test_each_panel_finds_the_last_model_that_it_can_use(path) -> None:
    machine = MachineSettings(QSettings(path, QSettings.Format.IniFormat))
    for name in ("a", "b", "c", "b"):
        machine.model = name
    assert machine.recentModels == ["b", "c", "a"]


def test_one_and_several_licences_survive_a_restart(path) -> None:
    for names in (["one"], ["one", "two, é"]):
        settings = QSettings(path, QSettings.Format.IniFormat)
        machine = MachineSettings(settings)
        for name in names:
            machine.acceptLicence(name)
        settings.sync()
        assert reopened(path).acceptedLicences == names


def test_without_an_argument_slicers_user_settings_are_taken(path, application) -> None:
    settings = QSettings(path, QSettings.Format.IniFormat)
    application.userSettings = lambda: settings
    MachineSettings().device = "cpu"
    assert settings.value("SegToolkit/device") == '"cpu"'
