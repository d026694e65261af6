"""A run is bound to the volumes that it began with, wherever they lie when it is resumed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import pdcr_runs
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.training import METHOD
from SegToolkitLib.training.session import run_training
from SegToolkitLib.training.start import Start

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose description lies apart from its pictures."""
    folder = tmp_path_factory.mktemp("place")
    pdcr_runs.made_pictures(folder / "pictures")
    (folder / "pictures" / "dataset.json").rename(folder / "spots.json")
    train(folder, dataset=folder / "spots.json", data=folder / "pictures", resume="no")
    return folder


def train(folder: Path, resume: str = "must", **given: Path) -> Any:
    start = Start(
        dataset=str(given["dataset"]) if "dataset" in given else None,
        data=given.get("data"),
        places={"cache": folder / "cache"},
    )
    settings = pdcr_runs.tiny("optimiser.epochs=1")
    from SegToolkitLib.events import Reporter

    return run_training(METHOD, folder / "run", settings, start, "cpu", Reporter(), resume)  # type: ignore[arg-type]


def test_another_description_is_not_read_with_the_old_folder(place: Path) -> None:
    (place / "other.json").write_text((place / "spots.json").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(SegToolkitError) as caught:
        train(place, dataset=place / "other.json")
    assert caught.value.code == "settings-fixed"
    assert str(place / "pictures") in caught.value.message
    assert "bound to the volumes" in caught.value.hint


def test_the_same_description_or_none_goes_on(place: Path) -> None:
    assert train(place)
    assert train(place, dataset=place / "spots.json")


def test_both_may_have_moved(place: Path) -> None:
    shutil.copytree(place / "pictures", place / "moved")
    shutil.copy(place / "spots.json", place / "moved.json")
    assert train(place, dataset=place / "moved.json", data=place / "moved")
