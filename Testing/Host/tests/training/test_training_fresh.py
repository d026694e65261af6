"""A computer on which something has to be installed first: no process is started that cannot live."""

from __future__ import annotations

import pytest


@pytest.fixture
def bare(panel, monkeypatch):
    """The panel, shown anew, where a package is missing."""
    from SegToolkitGui.InstallLogic import InstallStatus

    missing = InstallStatus(False, "Missing: pydantic.", "Press Install...", "", "10 MB")
    setup = panel.panel.setup
    monkeypatch.setattr(setup.install, "status", lambda: missing)
    panel.application.leaveModule()
    setup.status = None
    panel.session.stopWorkers()
    panel.application.showModule("SegToolkitTraining")
    panel.settle()
    yield panel
    monkeypatch.undo()
    setup.check()


def asks(panel, world, seconds=1.6):
    """Whether anything is asked within so many seconds."""
    path = world.folder / "asked.jsonl"
    before = path.stat().st_size if path.exists() else 0
    panel.settle(seconds)
    return (path.stat().st_size if path.exists() else 0) != before


def test_nothing_is_asked_before_everything_is_installed(bare, world):
    assert not asks(bare, world)
    assert bare.session._clients == {}
    assert "has to be installed" in bare.reasonLabel.text()


def test_the_list_comes_once_everything_is_installed(bare, world, monkeypatch):
    world.run("one", state="finished")
    monkeypatch.undo()
    bare.checkAgainButton.click()
    bare.wait(lambda: bare.runsTable.rowCount() == 1, what="the list")


def test_nothing_is_asked_while_packages_are_exchanged(panel, world, monkeypatch):
    setup, asked, reasons = panel.panel.setup, [], []

    def install():  # Slicer's own progress dialog lets events happen
        asked.append(asks(panel, world))
        reasons.append(panel.reasonLabel.text())

    monkeypatch.setattr(setup.install, "install", install)
    setup.onInstall()
    assert asked == [False]
    assert reasons == ["Packages are being installed..."]
    world.run("one", state="finished")
    panel.wait(lambda: panel.runsTable.rowCount() == 1, what="the list")
