"""The self-tests of Testing/Slicer, the same files that run in the application."""

from __future__ import annotations

import importlib
import unittest
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "Slicer"


def test_the_self_tests_pass(panel, tmp_path):
    # As slicer.testing.runUnitTest does: all tests of the module of that name.
    suite = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module("SegToolkitFewShotTest"))
    assert suite.countTestCases() > 0
    with (tmp_path / "told.txt").open("w+", encoding="utf-8") as stream:
        result = unittest.TextTestRunner(stream, verbosity=2).run(suite)
        stream.seek(0)
        assert result.wasSuccessful(), stream.read()
    # Everything is installed where these tests run, so nothing may be left out.
    assert not result.skipped


def test_every_self_test_runs_in_the_host():
    # The others run in tests/training, tests/autosegment and tests/weak.
    assert {path.stem for path in FOLDER.glob("*Test.py")} == {
        "SegToolkitAutoSegmentTest",
        "SegToolkitFewShotTest",
        "SegToolkitTrainingTest",
        "SegToolkitWeakSupervisionTest",
    }


def test_the_developers_button_runs_them_too(panel, monkeypatch):
    from SegToolkitGui import SelfTests

    module = importlib.import_module("SegToolkitFewShot")
    ran = []
    monkeypatch.setattr(SelfTests, "runSelfTests", ran.append)
    module.SegToolkitFewShotTest().runTest()
    assert ran == ["SegToolkitFewShot"]


def test_self_tests_that_are_missing_or_fail_are_told(panel, tmp_path, monkeypatch):
    from SegToolkitGui import SelfTests
    from SegToolkitGui.Errors import UserError

    monkeypatch.setattr(SelfTests, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="are not here"):
        SelfTests.runSelfTests("SegToolkitFewShot")
    text = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.fail('planted')\n"
    (tmp_path / "PlantedTest.py").write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError, match="planted"):
        SelfTests.runSelfTests("Planted")
