"""Trainings that mirror images say so where labels have sides."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from SegToolkitLib.anatomy import tell_of_mirroring
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import training_of
from SegToolkitLib.settings import load


class Heard(Reporter):
    def __init__(self) -> None:
        self.warnings: list[tuple[str, str]] = []

    def warning(self, text: str, hint: str = "") -> None:
        self.warnings.append((text, hint))


def test_only_labels_with_sides_are_spoken_of() -> None:
    heard = Heard()
    tell_of_mirroring(["liver", "left ventricle", "right ventricle"], "Do not.", heard)
    assert heard.warnings == []
    tell_of_mirroring(["right kidney", "left kidney", "liver"], "Do not.", heard)
    [(text, hint)] = heard.warnings
    assert "left kidney and right kidney" in text
    assert hint == "Do not."


@pytest.mark.parametrize(
    ("method", "off"),
    [
        ("pdcr_uafr", ["augment.flip_columns=0", "augment.flip_rows=0"]),
        ("nnunet", ["augment.mirror=false"]),
    ],
)
def test_methods_that_mirror_say_it_before_they_read(method: str, off: list[str], tmp_path: Path) -> None:
    """The scans cannot be read, so both trainings end at once; what was said before counts."""
    if method == "nnunet":
        pytest.importorskip("nnunetv2")
    for number in range(4):
        for kind in ("image", "label"):
            (tmp_path / f"{kind}_{number}.nii.gz").write_bytes(b"nothing")
    (tmp_path / "dataset.json").write_text(
        '{"name": "x", "modality": "MR", "labels": {"background": 0, "left lung": 1, "right lung": 2}}',
        encoding="utf-8",
    )
    kind = training_of(method)
    for changes in ([], off):
        heard = Heard()
        settings = load(kind.settings, kind.presets["quick"].settings, None, changes)
        run: Any = SimpleNamespace(
            path=tmp_path / "run", checkpoints=tmp_path / "run", writes=True, begun=False
        )
        context: Any = SimpleNamespace(
            settings=settings, dataset=Dataset.open(tmp_path), reporter=heard, places={}, run=run
        )
        with pytest.raises(SegToolkitError):
            kind.prepare(context)
        mirrored = [hint for text, hint in heard.warnings if "mirrored" in text]
        assert len(mirrored) == (not changes)
        if mirrored:
            assert all(name.split("=")[0] in mirrored[0] for name in off)
