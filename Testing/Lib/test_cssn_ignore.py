"""Evaluating where a data set marks voxels that nobody decided on: nnU-Net's label "ignore"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from SegToolkitLib.cli import main
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.protocol_options import protocol_of
from SegToolkitLib.evaluation.scoring import generic, score_case
from SegToolkitLib.volume import Volume, write_volume

LABELS = {"background": 0, "liver": 1, "spleen": 2, "ignore": 3}


def truth() -> NDArray[np.uint8]:
    """Liver and spleen, and a corner of the volume that nobody looked at."""
    voxels = np.zeros((12, 16, 16), np.uint8)
    voxels[2:8, 2:8, 2:8] = 1
    voxels[2:8, 2:8, 10:14] = 2
    voxels[6:, 6:, 6:] = 3
    return voxels


def result(inside: int = 0) -> NDArray[np.uint8]:
    """What a perfect network finds, which knows no ignore; ``inside`` is what it says of that corner."""
    voxels = truth()
    voxels[voxels == 3] = inside
    return voxels


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Truth and results, and a data set of nnU-Net's form that describes them."""
    for folder, voxels in (("true", truth()), ("bare", result()), ("bold", result(1))):
        volume = Volume(voxels, (1, 1, 2), (0, 0, 0), np.eye(3))
        for case in ("a", "b"):
            write_volume(volume, tmp_path / folder / f"{case}.nii.gz")
    description = {"channel_names": {"0": "CT"}, "labels": LABELS, "numTraining": 2, "file_ending": ".nii.gz"}
    (tmp_path / "data" / "imagesTr").mkdir(parents=True)
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(description))
    return tmp_path


def scored(place: Path, found: str, *options: str) -> dict[str, Any]:
    words = ["--reference", str(place / "true"), "--results", str(place / found)]
    words += ["--dataset", str(place / "data"), "--out", str(place / "out"), *options]
    assert main(["evaluate", "cssn", *words]) == 0
    return dict(json.loads((place / "out" / "results.json").read_text()))


@pytest.mark.parametrize("found", ["bare", "bold"])
def test_a_perfect_result_scores_all_whatever_it_says_of_ignored_voxels(place: Path, found: str) -> None:
    results = scored(place, found)
    assert results["dice_percent"] == {"liver": 100.0, "spleen": 100.0, "mean": 100.0}
    assert results["nsd_percent"]["mean"] == 100.0
    assert results["ignored_label"] == 3


def test_the_rules_of_a_challenge_leave_ignored_voxels_out_as_well(place: Path) -> None:
    # Its label 3 is the spleen, which the data set's 2 counts as; the data set's 3 is no organ.
    results = scored(place, "bold", "--protocol", "flare21", "--merge", "2=3")
    assert (results["dice_percent"]["liver"], results["dice_percent"]["spleen"]) == (100.0, 100.0)
    assert results["ignored_label"] == 3


def test_a_person_may_make_a_structure_of_what_is_ignored(place: Path) -> None:
    results = scored(place, "bold", "--merge", "3=1")
    assert results["dice_percent"]["liver"] == 100.0
    assert "ignored_label" not in results
    assert scored(place, "bare", "--merge", "3=1")["dice_percent"]["liver"] < 60


def test_ignored_voxels_have_no_volume_and_no_surface() -> None:
    rows = score_case("a", truth(), result(1), (2.0, 1.0, 1.0), generic(LABELS))
    assert [row.organ for row in rows] == ["liver", "spleen"]
    decided = (truth() == 1).sum() * 2 / 1000
    assert (rows[0].reference_ml, rows[0].result_ml) == pytest.approx((decided, decided))
    assert (rows[0].hd95_mm, rows[0].nsd) == (0, 1)


def test_an_organ_that_is_wrong_outside_of_them_still_is() -> None:
    wrong = result()
    wrong[2:8, 2:8, 2:5] = 0
    liver, spleen = score_case("a", truth(), wrong, (2.0, 1.0, 1.0), generic(LABELS))
    assert liver.dsc < 0.7
    assert spleen.dsc == 1


def test_the_options_make_no_structure_of_it() -> None:
    protocol = protocol_of("generic", {**LABELS, "Ignore": 3}, ["3", "liver=1"], [])
    assert [(organ.name, organ.tolerance_mm) for organ in protocol.organs] == [("liver", 1), ("spleen", 3)]
    assert protocol.ignored == 3
    assert generic({"background": 0, "liver": 1}).ignored is None
    with pytest.raises(SegToolkitError) as caught:
        generic({"background": 0, "ignore": 1})
    assert caught.value.code == "no-labels"
