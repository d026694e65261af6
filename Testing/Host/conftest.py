"""For all tests of the stand-in application: where it is, and that nothing goes wrong unseen."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parent))


# Contract tests look at classes that the running application lets go of; process tests count what is left.
# So both come before the tests that start the application, whatever order was asked for.
FIRST = ("contract", "gui")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the folders into their order; within a folder nothing changes."""
    items.sort(key=lambda item: FIRST.index(item.path.parent.name) if item.path.parent.name in FIRST else 9)


@pytest.fixture(autouse=True)
def nothing_goes_wrong_unseen() -> Iterator[None]:
    """A test fails for what the application would only print; one that expects it calls problems.take()."""
    from host import problems

    problems.take()
    yield
    left = problems.take()
    assert not left, "\n".join(f"[{problem.kind}] {problem.text}" for problem in left)
