"""slicer.testing: ends of self-tests, and running a unittest file."""

from __future__ import annotations

import importlib
import logging
import sys
import unittest
from pathlib import Path

import slicer


def exitSuccess() -> None:
    """End the application with success."""
    slicer.util.exit(slicer.util.EXIT_SUCCESS)


def exitFailure(message: str = "") -> None:
    """End the application with failure."""
    if message:
        logging.error(message)
    slicer.util.exit(slicer.util.EXIT_FAILURE)


def runUnitTest(path: str | list[str], testname: str) -> None:
    """Run the tests of the module `testname` found in the folder(s) `path`, then end with their outcome."""
    for folder in [path] if isinstance(path, str) else path:
        if folder not in sys.path:
            sys.path.append(str(Path(folder)))
    suite = unittest.TestLoader().loadTestsFromModule(importlib.import_module(testname))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if result.wasSuccessful():
        exitSuccess()
    else:
        exitFailure()
