"""The text behind "Copy report"."""

from __future__ import annotations

from pathlib import Path

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Report import reportText, withoutHome

ENVIRONMENT = {
    "python": "3.12.10",
    "version": "0.3",
    "packages": {"torch": "2.13.0+cpu", "skimage": None},
    "devices": [{"id": "cpu", "name": "CPU, 2 cores"}],
    "problem": "",
}


def test_the_report_names_versions_devices_error_and_the_end_of_the_log(application) -> None:
    log = [f"line {number}" for number in range(80)]
    error = UserError("worker-died", "It ended.", "Run it again.")
    text = reportText(error, ENVIRONMENT, {"Model": "starter", "State": "failed"}, log)
    for part in (
        "5.13.0-2026-08-20 abc1234",
        "torch 2.13.0+cpu",
        "skimage missing",
        "cpu (CPU, 2 cores)",
        "Model: starter",
        "Error: worker-died",
        "It ended. Run it again.",
        "line 79",
        "line 30",
    ):
        assert part in text
    assert "line 29\n" not in text
    assert "Problem" not in text


def test_the_report_works_with_nothing_known(application) -> None:
    text = reportText()
    assert "has not answered" in text
    assert text.endswith("\n")


def test_the_problem_of_the_environment_is_told(application) -> None:
    assert "Problem: torch is broken" in reportText(environment={"problem": "torch is broken"})


def test_the_home_folder_and_so_the_persons_name_is_left_out(monkeypatch, application) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/Jürgen Groß"))
    text = reportText(log=["/home/Jürgen Groß/data/a.nrrd"], facts={"Folder": "/home/Jürgen Groß"})
    assert "Jürgen" not in text
    assert "~/data/a.nrrd" in text


def test_a_home_at_the_root_changes_no_path(monkeypatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/"))
    assert withoutHome("/data/x") == "/data/x"
