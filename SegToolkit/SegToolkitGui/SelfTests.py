"""The self-tests behind the application's "Reload and Test" button and its SelfTests module."""

from __future__ import annotations

import importlib.util
import unittest
from pathlib import Path

from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError

FOLDER = Path(__file__).resolve().parents[2] / "Testing" / "Slicer"


def runSelfTests(moduleName: str) -> int:
    """Run the tests of a module's file in Testing/Slicer and return how many there were.

    Raises:
        UserError: the tests are not here, as in an installed extension.
        AssertionError: one of them failed; the text names it.
    """
    path = FOLDER / f"{moduleName}Test.py"
    if not path.is_file():
        raise UserError(
            "no-self-tests",
            _("The self-tests of {module} are not here ({path}).").format(module=moduleName, path=path),
            _("They come with the sources; load the module from there."),
        )
    # Under a name of its own: the module file holds a class of the file's name.
    specification = importlib.util.spec_from_file_location(f"_{path.stem}_file", path)
    tests = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tests)
    suite = unittest.defaultTestLoader.loadTestsFromModule(tests)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if not result.wasSuccessful():
        texts = [f"{test.id()}\n{trace}" for test, trace in [*result.errors, *result.failures]]
        raise AssertionError("\n".join(texts))
    return result.testsRun
