"""Parts of the library's work are told in the language of the application."""

from __future__ import annotations

import ast
from pathlib import Path

from SegToolkitGui.Phases import PHASES, phaseText

LIBRARY = Path(__file__).resolve().parents[4] / "SegToolkitLib"
# How the library tells of a phase: reporter.progress("reading", 1, 2), tell("slices", 1, 2), a run's event.
TELLING = ("progress", "tell")


def phases() -> dict[str, str]:
    """Every phase that the library names outright, and a place where it does."""
    found = {}
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            named = getattr(node.func, "attr", getattr(node.func, "id", ""))
            told = [one.value for one in node.keywords if one.arg == "phase"]
            if named in TELLING and len(node.args) >= 3:
                told.append(node.args[0])
            for one in told:
                if isinstance(one, ast.Constant) and isinstance(one.value, str):
                    found[one.value] = f"{path.relative_to(LIBRARY)}:{one.lineno}"
    return found


def test_every_phase_of_the_library_has_its_words():
    found = phases()
    assert {"reading", "maps", "writing DICOM", "superpixels", "estimating", "slices"} <= set(found)
    missing = {phase: place for phase, place in found.items() if phase not in PHASES}
    assert not missing, f"say in SegToolkitGui/Phases.py what these are called: {missing}"


def test_a_phase_that_is_not_known_is_shown_as_it_is():
    assert phaseText("fold 3") == "fold 3"


def test_strip_and_training_tell_the_same(monkeypatch):
    from PySide6.QtWidgets import QVBoxLayout, QWidget

    from SegToolkitGui.JobStrip import JobStrip
    from SegToolkitGui.training.Texts import progressText

    monkeypatch.setitem(PHASES, "writing", "schreibt")
    assert progressText({"phase": "writing", "step": 3, "total": 12}) == "schreibt 3/12"
    widget = QWidget()
    strip = JobStrip(QVBoxLayout(widget))
    strip.setState("running", "Running")
    strip.setProgress("writing", 3, 12)
    assert strip.progressBar.format() == "schreibt 3/12"
    strip.cleanup()
