"""Ejection fraction from a curve of volumes: known beats, missing frames, which structures count."""

from __future__ import annotations

from typing import Any

import pytest

from SegToolkitLib.anatomy import terminology_of
from SegToolkitLib.automatic.ejection import NEEDS_SPACING, ONE_SLICE, ejection, is_ventricle, pumping
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.worker.answers import Answers

BEAT = [140.0, 120.0, 80.0, 56.0, 70.0, 139.0]


def test_a_beat_has_the_figures_of_its_largest_and_its_smallest_frame() -> None:
    found = ejection("left ventricle", BEAT)
    assert found is not None
    assert (found.end_diastole, found.end_systole, found.missing) == (0, 3, ())
    assert (found.edv_ml, found.esv_ml, found.stroke_ml) == (140, 56, 84)
    assert found.ejection_fraction == pytest.approx(0.6)


def test_the_fraction_does_not_depend_on_the_spacing() -> None:
    one, other = ejection("a", BEAT), ejection("a", [value * 3.7 for value in BEAT])
    assert one is not None
    assert other is not None
    assert other.ejection_fraction == pytest.approx(one.ejection_fraction)
    assert other.stroke_ml == pytest.approx(one.stroke_ml * 3.7)


@pytest.mark.parametrize(
    ("ml", "frames", "missing"),
    [
        ([None, 100.0, 0.0, 40.0], (1, 3), (0, 2)),
        ([50.0, 50.0], (0, 0), ()),
        ([30.0, 60.0, 60.0, 30.0], (1, 0), ()),
    ],
)
def test_frames_without_the_ventricle_do_not_count(
    ml: list[float | None], frames: tuple[int, int], missing: tuple[int, ...]
) -> None:
    found = ejection("a", ml)
    assert found is not None
    assert (found.end_diastole, found.end_systole) == frames
    assert found.missing == missing
    assert 0 <= found.ejection_fraction < 1


@pytest.mark.parametrize("ml", [[], [80.0], [0.0, 80.0, None], [None, None]])
def test_one_frame_is_no_beat(ml: list[float | None]) -> None:
    assert ejection("a", ml) is None


# What Slicer says of segments of which nobody has said anything.
TISSUE = "SCT^85756007^Tissue"


@pytest.mark.parametrize(
    ("name", "terminology", "counts"),
    [
        ("left ventricle", "", True),
        ("RV", "", True),
        ("Left Ventricle Myocardium", "", False),
        ("myocardium", "", False),
        ("liver", "", False),
        ("Herzkammer", terminology_of("right ventricle"), True),
        ("left ventricle", terminology_of("liver"), False),
        ("left ventricle", "no~codes", True),
        ("left ventricle", f"C~SCT^85756007^Tissue~{TISSUE}~^^~A~^^~^^", True),
        ("myocardium", f"C~SCT^85756007^Tissue~{TISSUE}~^^~A~^^~^^", False),
    ],
)
def test_a_ventricle_is_told_by_its_code_or_else_by_its_name(
    name: str, terminology: str, counts: bool
) -> None:
    assert is_ventricle(name, terminology) is counts


def test_ventricles_are_told_with_what_limits_them() -> None:
    curves: dict[str, list[float | None]] = {
        "myocardium": [100.0, 100.0, 99.0],
        "right ventricle": [150.0, 0.0, 60.0],
        "left ventricle": [140.0, 56.0, 100.0],
    }
    found, notes = pumping(curves, {}, 10)
    assert [one.name for one in found] == ["right ventricle", "left ventricle"]
    assert notes == ["right ventricle was not found in frame 2, which does not count.", NEEDS_SPACING]
    assert pumping({"left ventricle": [80.0, 40.0]}, {}, 1)[1] == [NEEDS_SPACING, ONE_SLICE]
    assert pumping({"liver": [80.0, 40.0]}, {}, 9) == ([], [])
    found, notes = pumping({"left ventricle": [80.0, 0.0]}, {}, 9)
    assert (found, len(notes)) == ([], 1)
    assert "fewer than two frames" in notes[0]


class _Ear(Reporter):
    """Keeps the answer."""

    def done(self, **outputs: Any) -> None:
        self.outputs = outputs

    def error(self, error: SegToolkitError) -> None:
        self.code = error.code


def _answer(**request: Any) -> _Ear:
    ear = _Ear()
    Answers().answer({"id": "1", "do": "ejection", **request}, ear)
    return ear


def test_a_window_asks_the_worker() -> None:
    codes = {"Kammer": terminology_of("left ventricle")}
    outputs = _answer(
        curves={"Kammer": [100, None, 40], "liver": [1, 1, 1]}, terminology=codes, slices=9
    ).outputs
    (one,) = outputs["ventricles"]
    assert (one["name"], one["end_diastole"], one["end_systole"]) == ("Kammer", 0, 2)
    assert one["ejection_fraction"] == pytest.approx(0.6)
    assert len(outputs["notes"]) == 2


@pytest.mark.parametrize("wrong", [{"curves": {"a": [-1]}}, {"curves": {"a": [1]}, "slices": 0}, {}])
def test_a_wrong_request_is_refused(wrong: dict[str, Any]) -> None:
    assert _answer(**{"slices": 3, **wrong}).code == "bad-request"
