"""For all tests of the stand-in application: where it is, and that nothing goes wrong unseen."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def nothing_goes_wrong_unseen() -> Iterator[None]:
    """A test fails for what the application would only print; one that expects it calls problems.take()."""
    from host import problems

    problems.take()
    yield
    left = problems.take()
    assert not left, "\n".join(f"[{problem.kind}] {problem.text}" for problem in left)
