"""WSS-CMER: what is drawn, and whole runs on a tiny data set."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cmer_runs import NAMES, SLICES, made_dataset, made_patient, tiny, trained
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.cases import given_tags, object_values, roles_of, slice_count
from SegToolkitLib.methods.cmer.data import Reader, Sampler, Scan
from SegToolkitLib.methods.cmer.plan import InputPlan, ModelPlan
from SegToolkitLib.methods.cmer.prepare import stacked
from SegToolkitLib.methods.cmer.presets import PRESETS
from SegToolkitLib.methods.cmer.settings import CmerSettings, DataSettings
from SegToolkitLib.methods.cmer.train import CmerTask, fresh_networks
from SegToolkitLib.methods.cmer.training import METHOD
from SegToolkitLib.methods.cmer.trial import trial
from SegToolkitLib.methods.cmer.validation import dsc_alone
from SegToolkitLib.models.card import read_card
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.volume import Volume
from small_runs import equal, metrics, weights

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("balls"))


def scans_of(dataset: Dataset, tmp_path: Path, settings: CmerSettings, tags: Any = None) -> list[Scan]:
    reader = Reader(dataset, settings.data, settings.input, tags or {}, tmp_path / "cache", Reporter())
    return reader.read(dataset.ids, "cases")


def test_the_presets_say_what_was_published() -> None:
    assert {"quick", "default", "published", "published-brats"} <= set(PRESETS)
    published, brats = PRESETS["published"].settings, PRESETS["published-brats"].settings
    assert isinstance(published, CmerSettings)
    assert isinstance(brats, CmerSettings)
    for part in ("network", "loss", "transform", "optimiser", "data"):
        assert getattr(published, part) == getattr(CmerSettings(), part), part
    assert (brats.network.width_factor, brats.optimiser.learning_rate, brats.optimiser.epochs) == (
        1,
        5e-5,
        30,
    )


def test_a_training_learns_the_tags_and_makes_a_model(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny(
        "network.width_factor=16", "optimiser.epochs=40", "optimiser.learning_rate=0.01", "validate_every=20"
    )
    model = trained(dataset, tmp_path / "run", settings)
    validations = RunFolder(tmp_path / "run").events("validation")
    assert [event["step"] for event in validations] == [20, 40]
    assert validations[-1]["accuracy"] > 0.8
    assert all((tmp_path / "run" / one).is_file() for event in validations for one in event["pictures"])
    card = read_card(model)
    plan = ModelPlan.model_validate(card.settings)
    assert plan.modalities == NAMES
    assert set(plan.thresholds) == set(NAMES)
    assert [label.name for label in card.labels] == ["ball"]
    assert card.trained_on[0].cases == RunFolder(tmp_path / "run").settings()["data"]["train"]
    # Of each modality the weights of its own best validation.
    for number, name in enumerate(NAMES):
        best = max(validations, key=lambda event: event[f"accuracy_{name}"])
        assert card.metrics["kept"][name] == {"step": best["step"], "seed": settings.seed}
        assert card.metrics["validation"][f"accuracy_{name}"] == best[f"accuracy_{name}"]
        if best["step"] == 40:
            key = f"{number}.classifier.weight"
            kept = load_state(model, card)[key]
            assert torch.equal(kept, weights(tmp_path / "run", 40)[key])


def test_where_nobody_can_be_spared_the_training_cases_choose(dataset: Dataset, tmp_path: Path) -> None:
    choose = ("data.fold=null", "selection.by=dsc", "validate_every=2", "maps.scale=slice")
    card = read_card(trained(dataset, tmp_path / "run", tiny(*choose, "selection.cases=training")))
    validations = RunFolder(tmp_path / "run").events("validation")
    assert [event["step"] for event in validations] == [2, 4]
    assert card.metrics["cases"] == {"train": 4, "held_out": 0}
    assert set(card.metrics["kept"]) == set(NAMES)
    assert "Thresholds were chosen by the DSC of training cases." in card.limits
    # Nobody is held out and nobody chooses: there is nothing to tell good weights and thresholds by.
    card = read_card(trained(dataset, tmp_path / "without", tiny(*choose)))
    assert RunFolder(tmp_path / "without").events("validation") == []
    assert "None of the held-out cases has a mask" in card.limits


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_resumed_run_is_the_run_that_was_not_stopped(seeds: int, dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny(f"seeds={seeds}", f"optimiser.epochs={4 // seeds}", "validate_every=1")
    trained(dataset, tmp_path / "whole", settings)
    # The last checkpoint is lost: the run goes on from the one before it.
    trained(dataset, tmp_path / "cut", settings)
    (tmp_path / "cut" / "checkpoints" / "00000004.pt").unlink()
    trained(dataset, tmp_path / "cut", settings, resume="must")
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert equal(whole, cut)
    losses = [event["loss"] for event in metrics(tmp_path / "whole")]
    assert [event["loss"] for event in metrics(tmp_path / "cut")][-2:] == losses[-2:]


def test_the_second_seed_of_a_run_is_a_run_with_that_seed(dataset: Dataset, tmp_path: Path) -> None:
    both = tiny("seeds=2", "seed=5", "optimiser.epochs=2")
    trained(dataset, tmp_path / "both", both)
    trained(dataset, tmp_path / "second", tiny("seed=6", "optimiser.epochs=2"))
    losses = [event["loss"] for event in metrics(tmp_path / "both")]
    assert losses[2:] == [event["loss"] for event in metrics(tmp_path / "second")]
    one, other = weights(tmp_path / "both"), weights(tmp_path / "second", 2)
    assert equal(one, other)


def test_of_equal_validations_the_first_is_kept_for_each_modality_by_itself() -> None:
    task = trial(tiny("validate_every=1"), None, CPU)
    figures = [
        {"T2": 0.5, "ADC": 0.9},
        {"T2": 0.7, "ADC": 0.9},
        {"T2": 0.6, "ADC": 0.8},
    ]

    class Fake:
        def __init__(self, values: dict[str, float]) -> None:
            self.values = values

        def chosen_by(self, modality: str, by: str) -> float:
            return self.values[modality]

    for step, values in enumerate(figures):
        task.scheduler.last_epoch = step
        for number, name in enumerate(NAMES):
            task._keep(number, name, Fake(values))  # type: ignore[arg-type]
    assert (task.kept["T2"].step, task.kept["ADC"].step) == (1, 0)
    again = trial(tiny("validate_every=1"), None, CPU)
    again.load_extra_state(task.extra_state())
    assert again.kept["T2"].step == 1


def test_released_norms_stay_frozen_until_the_epoch_ends() -> None:
    def modes(norms: str) -> list[bool]:
        task = trial(tiny(f"schedule.norms={norms}", "optimiser.steps_per_epoch=3"), None, CPU)
        task._validated_at = 4  # in the epoch of the steps 3, 4 and 5
        found = []
        for done in (3, 4, 5, 6):
            task.scheduler.last_epoch = done
            found.append(task._frozen)
        return found

    assert modes("train") == [False] * 4
    assert modes("released") == [True, True, True, False]


def test_epochs_end_with_a_validation_where_that_is_wanted(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny(
        "optimiser.steps_per_epoch=2", "optimiser.epochs=3", "schedule.at_epoch_ends=true", "validate_every=5"
    )
    trained(dataset, tmp_path / "run", settings)
    steps = [event["step"] for event in RunFolder(tmp_path / "run").events("validation")]
    assert steps == [2, 4, 5, 6]


def test_batches_follow_from_seed_and_number(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny("optimiser.batch=5", "optimiser.epochs=50", "data.balanced=false")
    scans = scans_of(dataset, tmp_path, settings)
    sampler = Sampler(scans, settings)
    copy = pickle.loads(pickle.dumps(sampler))
    for number in (0, 6, 17):
        one, other = sampler.draw(number), copy.draw(number)
        assert torch.equal(one.slices, other.slices)
        assert torch.equal(one.tags, other.tags)
        assert one.slices.shape[1:] == (2, 16, 16)
    # 32 slices make six batches and one of two.
    assert sampler.batches == 7
    assert sum(len(sampler.draw(number).tags) for number in range(7)) == 4 * SLICES
    least = Sampler(scans, tiny("optimiser.batch=5", "data.smallest_batch=3", "data.balanced=false"))
    assert least.batches == 6
    other = Sampler(scans, tiny("optimiser.batch=5", "optimiser.epochs=50", "data.balanced=false", "seed=1"))
    assert not torch.equal(sampler.draw(0).slices, other.draw(0).slices)


def test_a_balanced_round_has_as_many_slices_with_as_without(dataset: Dataset, tmp_path: Path) -> None:
    # One slice in eight shows the object.
    given = {id: [True] + [False] * (SLICES - 1) for id in dataset.ids}
    for balanced, expected in ((True, 16), (False, 4)):
        settings = tiny(f"data.balanced={str(balanced).lower()}", "optimiser.epochs=50")
        sampler = Sampler(scans_of(dataset, tmp_path, settings, given), settings)
        drawn = torch.cat([sampler.draw(number).tags for number in range(sampler.batches)])
        assert (len(drawn), int(drawn.sum())) == (32, expected)


def test_tags_come_from_a_file_the_data_set_or_masks_in_this_order(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    own = made_dataset(folder)
    assert given_tags(own, "T2", None) == {}
    (folder / "tags.csv").write_text("case,slice,visible\n01,0-3,1\n01,4-7,0\n")
    assert given_tags(own, "T2", None) == {"1": [True] * 4 + [False] * 4}
    (tmp_path / "other.csv").write_text("case,slice,visible\n2,0,1\n2,1-7,0\n")
    given = given_tags(own, "T2", tmp_path / "other.csv")
    assert given == {"2": [True] + [False] * 7}
    scans = scans_of(own, tmp_path, tiny(), given)
    assert scans[1].tags == given["2"]
    assert scans[0].tags == [False] * 2 + [True] * 4 + [False] * 2


def test_a_run_needs_tags_of_both_kinds(tmp_path: Path) -> None:
    bare = made_dataset(tmp_path / "set", masks=False)
    with pytest.raises(SegToolkitError) as caught:
        trained(bare, tmp_path / "a", tiny())
    assert caught.value.code == "no-cases"
    file = tmp_path / "tags.csv"
    file.write_text("case,slice,visible\n" + "".join(f"{id},0-7,1\n" for id in bare.ids))
    with pytest.raises(SegToolkitError) as caught:
        trained(bare, tmp_path / "b", tiny(), tags=file)
    assert caught.value.code == "no-empty-slice"
    file.write_text("case,slice,visible\n" + "".join(f"{id},2-5,1\n{id},0-1,0\n" for id in bare.ids))
    model = trained(bare, tmp_path / "c", tiny("validate_every=2"), tags=file)
    plan = ModelPlan.model_validate(read_card(model).settings)
    assert plan.thresholds == {}
    assert plan.threshold("fused") == 0.5
    with pytest.raises(SegToolkitError) as caught:
        trained(bare, tmp_path / "d", tiny("selection.by=dsc"), tags=file)
    assert caught.value.code == "no-masks"


def test_folds_keep_patients_apart_and_the_object_can_be_chosen(dataset: Dataset) -> None:
    roles = roles_of(dataset, DataSettings(modalities=NAMES, fold=1))
    assert set(roles.train) | set(roles.held_out) == set(dataset.ids)
    assert not set(roles.train) & set(roles.held_out)
    assert len(roles_of(dataset, DataSettings(modalities=NAMES, fold=3, folds=4)).held_out) == 1
    with pytest.raises(SegToolkitError) as caught:
        roles_of(dataset, DataSettings(modalities=NAMES, fold=2))
    assert caught.value.code == "fold"
    assert object_values(dataset, None) == object_values(dataset, ["Ball"]) == (1,)
    with pytest.raises(SegToolkitError) as caught:
        object_values(dataset, ["cube"])
    assert caught.value.code == "unknown-structure"


def test_slices_are_counted_across_the_coarsest_axis_and_maps_come_back(dataset: Dataset) -> None:
    assert slice_count(dataset.case("1"), "ADC") == SLICES
    t2, adc, label = made_patient(1)
    turned = [
        Volume(one.voxels.transpose(2, 0, 1), (1.5, 5.0, 1.5), one.origin, one.direction[:, [1, 2, 0]])
        for one in (t2, adc, label)
    ]
    for images in ((t2, adc, label), turned):
        stack = stacked({"T2": images[0], "ADC": images[1]}, InputPlan(size=32))
        assert stack.pixels.shape == (SLICES, 2, 32, 32)
        assert stack.shown(images[2], [1]).tolist() == [False] * 2 + [True] * 4 + [False] * 2
        back = stack.restore((stack.label(images[2]) == 1).astype(np.float32))
        assert back.same_grid(images[0])
        found, truth = back.voxels > 0.5, images[2].voxels > 0
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


def test_slices_are_clipped_and_those_without_contrast_are_known() -> None:
    t2, adc, _ = made_patient()
    voxels = t2.voxels.copy()
    voxels[0], voxels[1, 0, 0] = 0, 30000
    stack = stacked({"T2": t2.with_voxels(voxels), "ADC": adc}, InputPlan())
    assert stack.pixels.min() == 0
    assert stack.pixels.max() == 1
    assert np.median(stack.pixels[3, 0]) > 0.05
    assert stack.constant.tolist() == [[True, False]] + [[False, False]] * (SLICES - 1)
    raw = stacked({"T2": t2, "ADC": adc}, InputPlan(percentiles=None))
    np.testing.assert_array_equal(raw.pixels[:, 1], adc.voxels)


def test_slices_of_two_sizes_need_a_common_one(dataset: Dataset, tmp_path: Path) -> None:
    scans = scans_of(dataset, tmp_path, tiny("input.size=null"))
    wide = scans_of(dataset, tmp_path, tiny("input.size=24"))
    with pytest.raises(SegToolkitError) as caught:
        Sampler([scans[0], wide[1]], tiny()).draw(0)
    assert caught.value.code == "slice-sizes"


def test_dsc_at_thresholds_is_that_of_the_masks() -> None:
    rng = np.random.default_rng(0)
    maps, mask = rng.random((3, 8, 8), np.float32), rng.random((3, 8, 8)) > 0.6
    found = maps > 0.4
    expected = 2 * (found & mask).sum() / (found.sum() + mask.sum())
    assert dsc_alone(maps, mask).dsc[2] == pytest.approx(expected)
    assert dsc_alone(np.zeros_like(maps), np.zeros_like(mask)).dsc.tolist() == [1.0] * 7


def test_fresh_networks_differ_by_seed_and_the_estimate_has_a_task() -> None:
    one, two = (fresh_networks(tiny(), trial_).state_dict() for trial_ in (0, 1))
    assert not torch.equal(one["0.classifier.weight"], two["0.classifier.weight"])
    task = trial(tiny("validate_every=1", "selection.by=dsc"), None, CPU)
    assert isinstance(task, CmerTask)
    task.network.train()
    result = task.step(next(task.samples([0])))
    assert {"loss", "ce_T2", "er_T2", "kl_ADC", "cmer_ADC", "accuracy_T2"} <= set(result.values)
    with torch.no_grad():
        assert "dsc_fused" in task.validate()


def test_the_engine_knows_the_method() -> None:
    from SegToolkitLib.methods.registry import commands_of, trainable, training_of

    assert "cmer" in trainable()
    assert training_of("cmer") is METHOD
    verbs = {"prepare", "tags", "train", "crossval", "maps", "refine", "evaluate", "export-pseudolabels"}
    assert verbs | {"convert-settings", "import", "export", "estimate"} == set(commands_of("cmer"))
