"""WSS-CMER: what masks leave open (nnU-Net's label "ignore") counts neither for nor against a map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cmer_runs import NAMES, made_dataset, made_patient, run, tiny, trained
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer import evaluate as scoring
from SegToolkitLib.methods.cmer.evaluate import REFINED, How, evaluate
from SegToolkitLib.methods.cmer.plan import FUSED, ModelPlan
from SegToolkitLib.methods.cmer.refine import refine
from SegToolkitLib.methods.cmer.refine_settings import RefineSettings
from SegToolkitLib.methods.cmer.segment import MapResult
from SegToolkitLib.methods.cmer.validation import dsc_alone
from SegToolkitLib.volume import Volume, write_volume

pytestmark = pytest.mark.usefixtures("one_thread")

OPEN = 2


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Masks of the ball; beside it a column of all slices is open."""
    made = made_dataset(tmp_path / "open", labels={"background": 0, "ball": 1, "ignore": OPEN})
    for id in range(1, 5):
        label = made_patient(id)[2]
        voxels = label.voxels.copy()
        voxels[:, :, :4] = OPEN
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
