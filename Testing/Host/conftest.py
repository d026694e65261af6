"""For all tests of the stand-in application: where it is, and that nothing goes wrong unseen."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parent))


# Contract tests look at classes that the running application lets go of, process tests count what is left,
# and tests of pieces own the scene alone. So all come before those that open panels, which reload modules
# and keep nodes of their own, whatever order was asked for.
ORDER = (
    "contract",
    "gui",
    "training_parts",
    "scene",
    "slicer_parts",
    "widgets",
    "panel",
    "training",
    "autosegment",
    "weak",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the folders into their order; within a folder nothing changes."""
    items.sort(key=lambda item: ORDER.index(item.path.parent.name))


@pytest.fixture(autouse=True)
def nothing_goes_wrong_unseen() -> Iterator[None]:
    """A test fails for what the application would only print; one that expects it calls problems.take()."""
    from host import problems

    problems.take()
    yield
    left = problems.take()
    assert not left, "\n".join(f"[{problem.kind}] {problem.text}" for problem in left)
