"""WSS-CMER: what masks leave open (nnU-Net's label "ignore") counts neither for nor against a map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmer_runs import NAMES, made_dataset, made_patient, run, tiny, trained
from SegToolkitLib.cli import main
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer import evaluate as scoring
from SegToolkitLib.methods.cmer.cases import slices_with
from SegToolkitLib.methods.cmer.data import Reader, Sampler, Scan
from SegToolkitLib.methods.cmer.evaluate import REFINED, How, evaluate
from SegToolkitLib.methods.cmer.plan import FUSED, ModelPlan
from SegToolkitLib.methods.cmer.refine import refine
from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
from SegToolkitLib.methods.cmer.segment import MapResult
from SegToolkitLib.methods.cmer.tags import Tag
from SegToolkitLib.methods.cmer.validation import dsc_alone
from SegToolkitLib.volume import Volume, write_volume
from small_runs import Heard

pytestmark = pytest.mark.usefixtures("one_thread")

OPEN = 2


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Masks of the ball; beside it a column of all slices but the last is open."""
    made = made_dataset(tmp_path / "open", labels={"background": 0, "ball": 1, "ignore": OPEN})
    for id in range(1, 5):
        label = made_patient(id)[2]
        voxels = label.voxels.copy()
        voxels[:-1, :, :4] = OPEN
        write_volume(label.with_voxels(voxels), made.folder / f"label_{id:02d}.nii.gz")
    return made


class Found:
    """A mapper that finds the ball, and all that is open."""

    plan = ModelPlan(modalities=NAMES)

    def __init__(self, label: Volume) -> None:
        maps = label.with_voxels((label.voxels > 0).astype(np.float32))
        shown = (label.voxels == 1).any((1, 2))
        parts = dict.fromkeys((*NAMES, FUSED), maps)
        self.result = MapResult(
            parts, {}, dict.fromkeys(NAMES, shown), dict.fromkeys(parts, 0.5), (), {}, self, [], []
        )

    def maps(self, *_given: object) -> MapResult:
        return self.result

    @staticmethod
    def shown(label: Volume, values: tuple[int, ...]) -> np.ndarray:
        return np.isin(label.voxels, values).any((1, 2))


def test_a_case_is_scored_as_the_validation_scores_it(dataset: Dataset) -> None:
    case = dataset.case("1")
    _, label = dataset.read(case)
    assert label is not None
    mapper = Found(label)
    maps = mapper.result.maps[FUSED].voxels
    truth = label.voxels == 1
    assert set(dsc_alone(maps * (label.voxels != OPEN), truth).dsc) == {1.0}
    for ignore, expected in ((OPEN, 1.0), (None, 2 * truth.sum() / (truth.sum() + maps.sum()))):
        scores = evaluate(mapper, [case], (1,), How(ignore=ignore), Reporter())
        for name in (*NAMES, FUSED):
            for one in scores.cases["cam"][name].values():
                np.testing.assert_allclose(one["1"].dsc, expected)
                assert (one["1"].assd == 0).all() == (expected == 1.0)


def test_a_refined_mask_is_scored_without_what_is_open(dataset: Dataset) -> None:
    case = dataset.case("1")
    images = dict(zip(NAMES, made_patient(1)[:2], strict=True))
    _, label = dataset.read(case)
    assert label is not None
    mapper, settings = Found(label), RefineSettings(smoothing="none", smallest_ml=0.0)
    found = refine(images, mapper.result.maps, settings, 0.5).mask.voxels > 0
    assert (found & (label.voxels == OPEN)).any()
    scores = evaluate(mapper, [case], (1,), How(refining=settings, ignore=OPEN), Reporter())
    found &= label.voxels != OPEN
    expected = 2 * (found & (label.voxels == 1)).sum() / (found.sum() + (label.voxels == 1).sum())
    np.testing.assert_allclose(scores.cases["cam"][REFINED]["directed"]["1"].dsc, expected)


def test_both_commands_know_the_label(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []

    def heard(mapper: object, cases: object, values: object, how: How, *others: object) -> object:
        asked.append(how.ignore)
        return evaluate(mapper, cases, values, how, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(scoring, "evaluate", heard)
    model = trained(dataset, tmp_path / "run", tiny("optimiser.epochs=1"))
    words = ("--model", model, "--dataset", dataset.folder, "--device", "cpu", "--accept-licence")
    run("evaluate", *words, "--out", tmp_path / "scores")
    assert asked == [OPEN]
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(tiny("optimiser.epochs=1").model_dump(mode="json")), encoding="utf-8")
    words = ("--dataset", dataset.folder, "--device", "cpu", "--config", config, "--thresholds", 0.5)
    run("crossval", *words, "--run", tmp_path / "cv", "--folds", 2, "--place", f"cache={tmp_path / 'cache'}")
    assert asked == [OPEN] * 3


SEEN = [False] * 2 + [True] * 4 + [False] * 2


def unsure_dataset(folder: Path) -> Dataset:
    """Case 1 has a pixel that is left open in slice 0, in 2 nobody looked for the ball, in 3 it was not found
    either, and 4 is as ever."""
    labels = {"background": 0, "ball": 1, "cube": 3, "ignore": OPEN}
    made = made_dataset(folder, labels=labels, not_annotated={"2": ["Ball"], "3": ["ball"], "4": ["cube"]})
    for id in (1, 3):
        label = made_patient(id)[2]
        if id == 1:
            label.voxels[0, 23, 19] = OPEN
        else:
            label.voxels[:] = 0
        write_volume(label, folder / f"label_{id:02d}.nii.gz")
    return made


def read(dataset: Dataset, folder: Path, heard: Reporter, *changes: str, **more: Any) -> dict[str, Scan]:
    settings = tiny("input.size=8", 'data.structures=["ball"]', *changes)
    reader = Reader(
        dataset, settings.data, settings.input, more.get("tags", {}), folder, heard, settings.supervision
    )
    found = reader.read(dataset.ids, "training cases")
    if found:
        assert len(Sampler(found, settings).index) == sum(
            tag is not None for scan in found for tag in scan.tags
        )
    return {scan.id: scan for scan in found}


def test_an_empty_slice_that_nobody_looked_at_is_not_tagged(tmp_path: Path) -> None:
    dataset, heard = unsure_dataset(tmp_path / "data"), Heard()
    found = read(dataset, tmp_path / "cache", heard)
    # A single pixel counts, which is lost when slices are scaled down.
    assert found["1"].ignored is not None
    assert not found["1"].ignored.any()
    unsure: list[Tag] = [tag or None for tag in SEEN]
    assert found["1"].tags == [None, *SEEN[1:]]
    assert found["2"].tags == unsure
    assert found["4"].tags == SEEN
    # Nothing is known of it, and it does not measure maps either.
    assert "3" not in found
    assert (found["1"].mask is None, found["2"].mask is None) == (False, True)
    assert heard.warnings == [
        "Case 3 is left out: Nothing says which slices of case 3 show the object.",
        "5 slices of 2 training cases are left out: their masks do not show the object, and nobody looked for"
        " all of it there.",
    ]


def test_tags_that_a_person_gave_go_before_the_mask(tmp_path: Path) -> None:
    dataset, heard = unsure_dataset(tmp_path / "data"), Heard()
    tags = {id: [*SEEN[:7], None] for id in dataset.ids}
    found = read(dataset, tmp_path / "cache", heard, tags=tags)
    assert {id: scan.tags for id, scan in found.items()} == tags
    assert heard.warnings == []


def test_masks_in_which_nobody_looked_for_the_object_do_not_teach(tmp_path: Path) -> None:
    dataset, heard = unsure_dataset(tmp_path / "data"), Heard()
    found = read(dataset, tmp_path / "cache", heard, "supervision=masks")
    # Of an open pixel alone nothing is learnt; the rest of its slice is background.
    assert {id: scan.tags for id, scan in found.items()} == {"1": SEEN, "4": SEEN}
    assert [text[: len("Case 2 is left out")] for text in heard.warnings] == [
        "Case 2 is left out",
        "Case 3 is left out",
    ]


def test_the_command_tags_leaves_such_slices_out_and_says_how_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = unsure_dataset(tmp_path / "data")
    words = ("--dataset", dataset.folder, "--structure", "ball", "--out", tmp_path / "tags.csv")
    done = run("tags", *words, "--from-masks")
    rows = ["1,1,0", "1,2-5,1", "1,6-7,0", "2,2-5,1", "4,0-1,0", "4,2-5,1", "4,6-7,0"]
    assert (tmp_path / "tags.csv").read_text(encoding="utf-8").splitlines()[1:] == rows
    assert (done["visible"], done["not_visible"], done["not_tagged"]) == (12, 7, 13)
    main(["tags", "cmer", *map(str, words), "--from-masks"])
    assert "13 slices of 3 cases are not tagged" in capsys.readouterr().err


def test_tags_are_scored_where_they_are_known(dataset: Dataset) -> None:
    case = dataset.case("1")
    _, label = dataset.read(case)
    assert label is not None
    # Of the slices without the ball, the last alone is known to be so.
    for ignore, expected in ((OPEN, [5, 5]), (None, [8, 8])):
        scores = evaluate(Found(label), [case], (1,), How(ignore=ignore), Reporter())
        assert scores.right == dict.fromkeys(NAMES, expected)
    assert slices_with(label, [OPEN]).tolist() == [True] * 7 + [False]


def test_crossval_does_not_score_cases_in_which_nobody_looked(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "data", not_annotated={"2": ["ball"]})
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(tiny("optimiser.epochs=1").model_dump(mode="json")), encoding="utf-8")
    words = ("--dataset", dataset.folder, "--device", "cpu", "--config", config, "--thresholds", 0.5)
    run("crossval", *words, "--run", tmp_path / "cv", "--folds", 2, "--place", f"cache={tmp_path / 'cache'}")
    scores = json.loads((tmp_path / "cv" / "scores" / "scores.json").read_text(encoding="utf-8"))
    assert set(scores["fold_of_case"]) == {"1", "3", "4"}
