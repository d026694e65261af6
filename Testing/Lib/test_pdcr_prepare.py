"""Preparation of pictures: a data set that is there already keeps every file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from SegToolkitLib.cli import main


def made(folder: Path, size: int) -> list[str]:
    """A picture and its mask, whose foreground has so many rows."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    mask = np.zeros((40, 50), np.uint8)
    mask[:size] = 255
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(folder / "images" / "a.png")
    Image.fromarray(mask).save(folder / "masks" / "a.png")
    return ["--images", str(folder / "images"), "--masks", str(folder / "masks")]


def test_masks_of_a_data_set_that_is_there_are_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = made(tmp_path / "first", 10), made(tmp_path / "second", 20)
    out = tmp_path / "out"
    assert main(["prepare", "pdcr_uafr", *first, "--out", str(out)]) == 0
    before = (out / "masks" / "a.png").read_bytes()
    assert main(["prepare", "pdcr_uafr", *second, "--out", str(out)]) == 1
    assert "holds a data set already" in capsys.readouterr().err
    assert (out / "masks" / "a.png").read_bytes() == before
