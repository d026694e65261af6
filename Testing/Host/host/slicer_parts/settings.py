"""slicer.app.userSettings(): a QSettings on a file of this session, so that tests never touch a person's
settings."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication


class ctkSettings(QSettings):
    """QSettings under the name of the class that the application uses."""


def redirectDefaultSettings(qtApplication: QApplication, folder: Path) -> None:
    """Make `qt.QSettings()` without arguments use the same file as slicer.app.userSettings()."""
    qtApplication.setOrganizationName("slicer.org")
    qtApplication.setApplicationName("Slicer")
    QSettings.setDefaultFormat(QSettings.Format.IniFormat)
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))


def defaultSettingsFile(folder: Path) -> Path:
    """The file behind `qt.QSettings()` after redirectDefaultSettings."""
    return folder / "slicer.org" / "Slicer.ini"
