"""One application for all tests of this folder; the scene is closed after each."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def session_application() -> Any:
    import host

    return host.start([])


@pytest.fixture
def application(session_application: Any) -> Iterator[Any]:
    yield session_application
    session_application.leaveModule()
    session_application.closeScene()


@pytest.fixture
def scene(application: Any) -> Any:
    return application.scene
