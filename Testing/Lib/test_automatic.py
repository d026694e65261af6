"""Models that segment by themselves: what is checked, measured and remembered around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from automatic_cases import BANDS, boxes, brightness, card_of, image, make_model, turned
from SegToolkitLib.automatic import timing
from SegToolkitLib.automatic.files import write_cropped
from SegToolkitLib.automatic.run import check_options, segment_volume
from SegToolkitLib.automatic.segmenter import AutomaticOptions, AutomaticResult, AutomaticSegmenter
from SegToolkitLib.automatic.table import tally, volume_table
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import Label, ModelCard, read_card
from SegToolkitLib.volume import Volume, read_volume

CPU = torch.device("cpu")
FULL, QUICK = AutomaticOptions(), AutomaticOptions(mode="quick")


def loaded(folder: Path, **settings: Any) -> tuple[AutomaticSegmenter, ModelCard]:
    made = make_model(folder, **settings)
    card = read_card(made)
    return brightness.load(made, card, CPU, "auto"), card


# The table


def test_the_table_counts_voxels_measures_millilitres_and_means() -> None:
    wanted = [Label(value=v, name=n) for v, n in ((3, "right kidney"), (1, "liver"), (5, "pancreas"))]
    rows = volume_table(tally(image().with_voxels(boxes()), image({1: 160})), image(), wanted)
    assert [(row.value, row.name, row.voxels) for row in rows] == [
        (3, "right kidney", 3 * 4 * 5),
        (1, "liver", 4 * 7 * 16),
        (5, "pancreas", 0),
    ]
    assert rows[0].ml == pytest.approx(60 * 4.5 / 1000)
    assert [row.mean for row in rows] == [350, 160, None]


def test_millilitres_of_a_tilted_gantry_are_those_of_its_leaning_voxels() -> None:
    lean = np.array([[1, 0, 0], [0, 1, np.sin(0.5)], [0, 0, np.cos(0.5)]])
    volume = Volume(np.ones((2, 3, 4), np.uint8), (1, 1, 2), (0, 0, 0), lean)
    (row,) = volume_table(tally(volume, volume), volume, [Label(value=1, name="a")])
    assert row.ml == pytest.approx(24 * 2 * np.cos(0.5) / 1000)


@pytest.mark.parametrize(
    ("shape", "spacing", "known"),
    [((1, 3, 4, 3), (1, 1, 1), False), ((1, 3, 4), (1, 1, 1), False), ((1, 3, 4), (1, 1, 8), True)],
)
def test_pictures_have_no_volume(shape: tuple[int, ...], spacing: Any, known: bool) -> None:
    picture = Volume(np.ones(shape, np.uint8), spacing, (0, 0, 0), np.eye(3))
    labels = Volume(np.ones(shape[:3], np.uint8), spacing, (0, 0, 0), np.eye(3))
    (row,) = volume_table(tally(labels, picture), picture, [Label(value=1, name="a")])
    assert row.voxels == 12
    assert row.ml == (pytest.approx(12 * 8 / 1000) if known else None)


# Checks before and after a method


@pytest.mark.parametrize(
    ("settings", "options", "code"),
    [
        ({}, {"labels": [1, 9]}, "unknown-structure"),
        ({"modes": ["full"]}, {"mode": "quick"}, "no-mode"),
        ({"maps": []}, {"maps": ["uncertainty"]}, "no-map"),
        ({}, {"maps": ["darkness", "glory"]}, "no-map"),
        ({"bands": {}}, {}, "no-labels"),
        ({"bands": {f"s{n}": (n, n) for n in range(256)}}, {}, "no-labels"),
    ],
)
def test_what_a_model_cannot_do_is_refused_before_it_is_loaded(
    tmp_path: Path, settings: dict[str, Any], options: dict[str, Any], code: str
) -> None:
    card = card_of(tmp_path, **settings)
    with pytest.raises(SegToolkitError) as error:
        check_options(AutomaticOptions(**options), card, brightness.describe(card))
    assert error.value.code == code


def test_a_map_that_a_model_has_not_is_answered_with_those_it_has(tmp_path: Path) -> None:
    for maps, hint in (
        (["uncertainty", "darkness"], "It makes: uncertainty, darkness."),
        ([], "without maps"),
    ):
        card = card_of(tmp_path, name=f"of-{len(maps)}", maps=maps)
        with pytest.raises(SegToolkitError, match="makes no map glory") as error:
            check_options(AutomaticOptions(maps=["glory", *maps]), card, brightness.describe(card))
        assert hint in error.value.hint


def test_a_map_that_is_asked_for_twice_is_made_once(tmp_path: Path) -> None:
    card = card_of(tmp_path)
    asked = AutomaticOptions(maps=["darkness", "uncertainty", "darkness"])
    assert check_options(asked, card, brightness.describe(card)).maps == ["darkness", "uncertainty"]


def test_a_model_without_a_small_way_goes_the_usual_one(tmp_path: Path) -> None:
    card = card_of(tmp_path)
    described = brightness.describe(card)
    assert check_options(AutomaticOptions(small=True), card, described).small
    assert not check_options(AutomaticOptions(small=True), card, {**described, "small": False}).small


def test_a_result_is_measured_and_timed(tmp_path: Path) -> None:
    segmenter, card = loaded(tmp_path)
    heard: list[tuple[str, int, int]] = []
    done = segment_volume(segmenter, card, image(), AutomaticOptions(), lambda *step: heard.append(step))
    assert np.array_equal(done.result.labels.voxels, boxes())
    assert [row.voxels for row in done.rows] == [448, 24, 60, 60, 0]
    assert list(done.seconds) == ["fine", "table", "total"]
    assert heard[0] == ("coarse", 0, 4)
    assert heard[-1] == ("fine", 4, 4)


@pytest.mark.parametrize(
    ("volume", "settings", "code"),
    [
        (image().with_voxels(image().voxels + 1000), {}, "modality-range"),
        (image(), {"modality": "MR"}, "modality-range"),
        (Volume(np.zeros((1, 4, 4, 3), np.uint8), (1, 1, 1), (0, 0, 0), np.eye(3)), {}, "colour-picture"),
        (image(), {"fails": "shifted"}, "bad-result"),
    ],
)
def test_a_volume_or_result_that_cannot_be_right_is_refused(
    tmp_path: Path, volume: Volume, settings: dict[str, Any], code: str
) -> None:
    segmenter, card = loaded(tmp_path, **settings)
    with pytest.raises(SegToolkitError) as error:
        segment_volume(segmenter, card, volume, AutomaticOptions())
    assert error.value.code == code


def test_a_method_that_gives_labels_nobody_asked_for_is_found_out(tmp_path: Path) -> None:
    segmenter, card = loaded(tmp_path)

    class Disobedient:
        device = CPU

        def segment(self, volume: Volume, options: AutomaticOptions, progress: Any = None) -> AutomaticResult:
            return segmenter.segment(volume, AutomaticOptions(), progress)

    with pytest.raises(SegToolkitError, match="not asked for"):
        segment_volume(Disobedient(), card, image(), AutomaticOptions(labels=[2]))


@pytest.mark.parametrize(
    "maps",
    [{"darkness": np.zeros((10, 20, 30), np.float32)}, {"uncertainty": np.zeros((10, 20, 30), np.uint8)}],
    ids=["nobody asked for it", "of whole numbers"],
)
def test_a_method_that_gives_a_map_that_is_none_is_found_out(
    tmp_path: Path, maps: dict[str, np.ndarray]
) -> None:
    segmenter, card = loaded(tmp_path)

    class Disobedient:
        device = CPU

        def segment(self, volume: Volume, options: AutomaticOptions, progress: Any = None) -> AutomaticResult:
            found = segmenter.segment(volume, AutomaticOptions(), progress)
            return AutomaticResult(found.labels, {name: volume.with_voxels(v) for name, v in maps.items()})

    with pytest.raises(SegToolkitError, match="gave a map"):
        segment_volume(Disobedient(), card, image(), AutomaticOptions(maps=["uncertainty"]))


# Cropped files


@pytest.mark.parametrize(("code", "tilt"), [("LPS", 0), ("RAS", 20), ("SLA", 0), ("IPR", 35)])
def test_a_cropped_file_lies_where_it_was_cut(tmp_path: Path, code: str, tilt: float) -> None:
    labels = turned(image().with_voxels(boxes()), code, tilt)
    path, offset, size = write_cropped(labels, tmp_path / "a.nrrd")
    assert path is not None
    part = read_volume(path, label=True)
    assert part.grid.size == size
    assert part.voxels.dtype == np.uint8
    np.testing.assert_allclose(part.origin, labels.world([offset])[0], atol=1e-3)
    assert np.count_nonzero(part.voxels) == np.count_nonzero(labels.voxels)
    for axis in range(3):  # no smaller box holds them all
        ends = np.take(part.voxels, [0, -1], axis)
        assert ends.any(axis=tuple(a for a in range(3) if a != axis)).all()


def test_nothing_found_makes_no_file(tmp_path: Path) -> None:
    nothing = image().with_voxels(np.zeros((10, 20, 30), np.uint8))
    assert write_cropped(nothing, tmp_path / "a.nrrd") == (None, (0, 0, 0), (0, 0, 0))
    assert not list(tmp_path.iterdir())


# Times


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGTOOLKIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_times_are_remembered_for_weights_device_mode_and_machine(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, other = card_of(tmp_path), card_of(tmp_path, name="other", bands={"liver": BANDS["spleen"]})
    assert timing.seconds_here(card) == {}
    for seconds in (9.0, 1.0, 2.0):
        timing.remember(card, "cpu", FULL, seconds)
    timing.remember(card, "cuda:0", QUICK, 0.5)
    timing.remember(card, "cpu", AutomaticOptions(small=True), 77.0)
    assert timing.seconds_here(card) == {"cpu": {"full": 2.0}, "cuda:0": {"quick": 0.5}}
    for seconds in [9.0] * 20 + [4.0] * timing.KEPT:
        timing.remember(card, "cpu", FULL, seconds)
    assert timing.seconds_here(card)["cpu"]["full"] == 4.0
    assert timing.seconds_here(other) == {}
    monkeypatch.setattr(timing.platform, "node", lambda: "another machine")
    assert timing.seconds_here(card) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"%s": 3}', '{"%s": {"%s": []}}', '{"%s": {"%s": {"cpu": 1}}}'])
def test_a_damaged_record_of_times_knows_nothing_and_is_written_anew(
    tmp_path: Path, home: Path, text: str
) -> None:
    card = card_of(tmp_path)
    keys = (timing.platform.node(), timing._key(card))
    home.mkdir()
    timing.record_file().write_text(text % keys[: text.count("%s")], encoding="utf-8")
    assert timing.seconds_here(card) == {}
    timing.remember(card, "cpu", FULL, 3.0)
    assert timing.seconds_here(card) == {"cpu": {"full": 3.0}}


def test_a_home_that_cannot_be_written_stops_nothing(tmp_path: Path, home: Path) -> None:
    home.write_text("a file in the way")
    timing.remember(card_of(tmp_path), "cpu", FULL, 3.0)
    assert timing.seconds_here(card_of(tmp_path, name="again")) == {}
