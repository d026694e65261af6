"""The self-test of Testing/Slicer, the same file that runs in the application, with the real worker."""

from __future__ import annotations

import importlib
import unittest


def test_self_test_passes(real, tmp_path):
    # As slicer.testing.runUnitTest does: all tests of the module of that name.
    found = importlib.import_module("SegToolkitTrainingTest")
    suite = unittest.defaultTestLoader.loadTestsFromModule(found)
    assert suite.countTestCases() > 0
    with (tmp_path / "told.txt").open("w+", encoding="utf-8") as stream:
        result = unittest.TextTestRunner(stream, verbosity=2).run(suite)
        stream.seek(0)
        assert result.wasSuccessful(), stream.read()
    # Everything is installed where these tests run, so nothing may be left out.
    assert not result.skipped
