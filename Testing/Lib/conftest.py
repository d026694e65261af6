"""Shared test set-up: where the parity cases and the real images are, two threads, no hidden skips."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]

torch.set_num_threads(2)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cases",
        action="append",
        metavar="DIR",
        help="run the parity cases found below DIR (may be given several times; default Testing/Data/parity)",
    )


def data_folder() -> Path | None:
    """Folder of real labelled volumes: $SEGTOOLKIT_DATA, or shared/data beside the checkout."""
    for candidate in (os.environ.get("SEGTOOLKIT_DATA"), ROOT.parent / "shared" / "data"):
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    return None


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = data_folder()
    if folder is None:
        pytest.skip("no real volumes: neither $SEGTOOLKIT_DATA nor ../shared/data exists")
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For networks so small that a second thread costs more than it brings, most of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
