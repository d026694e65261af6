"""WSS-CMER: networks of every seed, beginning with other weights, and the second stage on masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cmer_runs import NAMES, SLICES, made_dataset, made_patient, tiny, trained
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.augment import augmented
from SegToolkitLib.methods.cmer.beginning import begin
from SegToolkitLib.methods.cmer.cases import roles_of
from SegToolkitLib.methods.cmer.checkpoints import export_authors
from SegToolkitLib.methods.cmer.data import OPEN, Reader, Sampler, seeded
from SegToolkitLib.methods.cmer.network import build_networks
from SegToolkitLib.methods.cmer.normalise import standardised
from SegToolkitLib.methods.cmer.plan import InputPlan, ModelPlan, NetworkPlan
from SegToolkitLib.methods.cmer.presets import PRESETS
from SegToolkitLib.methods.cmer.seeing import slice_agreement
from SegToolkitLib.methods.cmer.segment import load
from SegToolkitLib.methods.cmer.settings import AugmentSettings, CmerSettings, DataSettings
from SegToolkitLib.methods.cmer.supervised import pixel_terms
from SegToolkitLib.methods.cmer.trial import trial
from SegToolkitLib.methods.cmer.weights import split, with_seeds
from SegToolkitLib.models.card import read_card
from SegToolkitLib.models.folder import load_state
from SegToolkitLib.volume import Volume, write_volume

pytestmark = pytest.mark.usefixtures("one_thread")

SECOND = ("supervision=masks", "optimiser.learning_rate=0.01", "optimiser.weight_decay=0.01")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_dataset(tmp_path_factory.mktemp("balls"))


@pytest.fixture(scope="module")
def of_two_seeds(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run."""
    run = tmp_path_factory.mktemp("runs") / "two"
    trained(dataset, run, tiny("seeds=2", "optimiser.epochs=2", "validate_every=1"))
    return run


def images(seed: int = 1) -> dict[str, Volume]:
    return dict(zip(NAMES, made_patient(seed)[:2], strict=True))


def test_a_model_holds_the_networks_of_every_seed(of_two_seeds: Path) -> None:
    model = of_two_seeds / "result" / "model"
    card = read_card(model)
    assert ModelPlan.model_validate(card.settings).seeds == 2
    own, seeds = split(load_state(model, card))
    assert len(seeds) == 2
    assert set(own) == set(seeds[0]) == set(seeds[1])
    # Each modality's best is that of one of the seeds, and the card says which.
    first = card.training.seed
    for number, name in enumerate(NAMES):
        (chosen,) = [int(card.metrics["kept"][name]["seed"]) - first]
        key = f"{number}.classifier.weight"
        assert torch.equal(own[key], seeds[chosen][key])
        assert not torch.equal(seeds[0][key], seeds[1][key])
    mapper = load(model)
    assert mapper.seeds == 2
    result = mapper.maps(images())
    assert len(result.seed_agreement) == SLICES
    agreed = [one for one in result.seed_agreement if one is not None]
    assert all(0 <= one <= 1 for one in agreed)


def test_a_model_of_one_seed_and_one_of_before_have_none(dataset: Dataset, tmp_path: Path) -> None:
    model = trained(dataset, tmp_path / "run", tiny("optimiser.epochs=1"))
    card = read_card(model)
    assert not any(key.startswith("seed") for key in load_state(model, card))
    assert ModelPlan.model_validate({k: v for k, v in card.settings.items() if k != "seeds"}).seeds == 1
    assert load(model).maps(images()).seed_agreement == [None] * SLICES


def test_networks_of_seeds_are_not_computed_twice(of_two_seeds: Path) -> None:
    counts: list[tuple[int, int]] = []
    load(of_two_seeds / "result" / "model").maps(images(), progress=lambda *step: counts.append(step))
    # Two networks are used; of the four of both seeds two are the same.
    assert counts[-1] == (4 * SLICES, 4 * SLICES)


def test_last_weights_are_kept_where_no_validation_decides(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny("seeds=2", "optimiser.epochs=1", "use_best=false", "validate_every=1")
    model = trained(dataset, tmp_path / "run", settings)
    own, seeds = split(load_state(model, read_card(model)))
    assert all(torch.equal(own[key], seeds[1][key]) for key in own)


def test_agreement_is_told_of_slices_in_which_somebody_sees_the_object() -> None:
    maps = torch.zeros(2, 4, 3, 3)
    maps[:, 0, 0, 0] = 1
    maps[0, 1, 0, 0] = maps[1, 1, 2, 2] = 1
    maps[0, 2, 0, 0] = 1
    present = maps.flatten(2).amax(-1) > 0
    assert slice_agreement(maps, present) == [1.0, 0.0, 0.0, None]
    assert slice_agreement(maps[:1], present[:1]) == [None] * 4


def test_seeds_in_weights_are_told_from_networks() -> None:
    state = {"0.a": torch.zeros(1), "1.a": torch.ones(1)}
    joined = with_seeds(state, [state, {"0.a": torch.ones(1), "1.a": torch.ones(1)}])
    own, seeds = split(joined)
    assert own == state
    assert [set(one) for one in seeds] == [set(state)] * 2
    assert seeds[1]["0.a"].item() == 1


@pytest.mark.parametrize("which", ["run", "model", "unfinished", "authors"])
def test_a_training_begins_with_the_weights_of_another(
    which: str, dataset: Dataset, of_two_seeds: Path, tmp_path: Path
) -> None:
    model = of_two_seeds / "result" / "model"
    folder = {"run": of_two_seeds, "model": model}.get(which, tmp_path / which)
    if which == "authors":
        export_authors(model, folder)
    if which == "unfinished":
        folder.mkdir()
        for name in ("settings.json", "checkpoints"):
            (folder / name).symlink_to(of_two_seeds / name)
    state, begun = begin(tiny(), folder)
    own, _ = split(load_state(model, read_card(model)))
    assert set(state) == set(own)
    for key, value in own.items():
        torch.testing.assert_close(state[key], value.to(state[key].dtype), atol=1e-3, rtol=1e-2)
    seen = {id for one in begun.trained_on for id in one.cases}
    assert seen == (set() if which == "authors" else {"1", "2", "3", "4"} - set(_held_out(dataset)))


def _held_out(dataset: Dataset) -> tuple[str, ...]:
    return roles_of(dataset, tiny().data).held_out


def test_what_a_model_began_with_counts_as_seen_and_is_resumed(
    dataset: Dataset, of_two_seeds: Path, tmp_path: Path
) -> None:
    settings = tiny("data.fold=1", "optimiser.epochs=2", "seeds=2", "optimiser.learning_rate=1e-9")
    model = trained(dataset, tmp_path / "run", settings, start=of_two_seeds)
    card = read_card(model)
    seen = {id for one in card.trained_on for id in one.cases}
    assert seen == set(dataset.ids)
    # Nearly nothing was learnt: the second seed, too, has what it began with.
    begun, _ = begin(tiny(), of_two_seeds)
    _, seeds = split(load_state(model, card))
    for one in seeds:
        torch.testing.assert_close(
            one["0.classifier.weight"].float(), begun["0.classifier.weight"], atol=1e-3, rtol=1e-2
        )
    # The run goes on without the folder that it began with.
    (tmp_path / "run" / "checkpoints" / "00000004.pt").unlink()
    again = trained(dataset, tmp_path / "run", settings, resume="must", start=of_two_seeds)
    assert again is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("network.width_factor=16",), "width"),
        (('data.modalities=["T2","T1"]',), "modalities"),
        (SECOND, "masks"),
    ],
)
def test_weights_of_another_kind_are_refused(
    changes: tuple[str, ...], words: str, of_two_seeds: Path
) -> None:
    with pytest.raises(SegToolkitError) as caught:
        begin(tiny(*changes), of_two_seeds)
    assert caught.value.code == "start-differs"
    assert words in caught.value.message


def test_networks_of_modalities_can_change_places(of_two_seeds: Path) -> None:
    state, _ = begin(tiny(), of_two_seeds)
    turned, _ = begin(tiny('data.modalities=["adc","t2"]'), of_two_seeds)
    assert torch.equal(turned["0.classifier.weight"], state["1.classifier.weight"])


def test_the_second_stage_learns_masks_and_makes_a_model(dataset: Dataset, tmp_path: Path) -> None:
    settings = tiny(
        *SECOND, "network.width_factor=8", "network.bias=true", "optimiser.epochs=30", "validate_every=15"
    )
    model = trained(dataset, tmp_path / "run", settings)
    assert "0.classifier.bias" in load_state(model)
    card = read_card(model)
    plan = ModelPlan.model_validate(card.settings)
    assert (plan.supervision, plan.parts, plan.modalities) == ("masks", ("fused",), NAMES)
    assert card.metrics["validation"]["dsc_fused"] > 0.6
    assert list((tmp_path / "run" / "pictures").glob("*.png"))
    mapper = load(model)
    result = mapper.maps(images())
    assert set(result.maps) == set(result.present) == {"fused"}
    truth = made_patient(1)[2].voxels > 0
    found = result.mask().voxels > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.5
    assert result.present["fused"].any()
    with pytest.raises(SegToolkitError) as caught:
        export_authors(model, tmp_path / "authors")
    assert caught.value.code == "other-method"


def test_pixels_that_a_mask_leaves_open_have_no_say(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    open_ = made_dataset(folder, 1, labels={"background": 0, "ball": 1, "ignore": 2})
    label = made_patient(1)[2]
    voxels = label.voxels.copy()
    voxels[3, :12] = 2
    write_volume(label.with_voxels(voxels), folder / "label_01.nii.gz")
    settings = tiny(*SECOND, "data.augment.shift=0", "input.size=24", "data.balanced=false")
    reader = Reader(open_, settings.data, settings.input, {}, tmp_path / "cache", Reporter(), "masks")
    (scan,) = reader.read(open_.ids, "cases")
    assert scan.ignored is not None
    assert scan.mask is not None
    assert scan.ignored[3].any()
    assert not (scan.ignored & scan.mask).any()
    sampler = Sampler([scan], settings)
    masks = sampler.draw(0).masks
    assert masks is not None
    assert set(masks.unique().tolist()) == {0, 1, OPEN}
    logits = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    target, left_open = torch.zeros(1, 4, 4, dtype=torch.long), torch.zeros(1, 4, 4, dtype=torch.bool)
    target[0, :2] = 1
    left_open[0, 0] = True
    first = pixel_terms(logits, target, left_open)
    logits[0, :, 0] = 99 * logits[0, :, 0]
    target[0, 0] = 0
    for a, b in zip(first, pixel_terms(logits, target, left_open), strict=True):
        torch.testing.assert_close(a, b)
    assert float(pixel_terms(100 * torch.stack([1 - target, target], 1).float(), target, left_open)[1]) > 0.99


def test_cases_without_a_mask_are_left_out_of_the_second_stage(dataset: Dataset, tmp_path: Path) -> None:
    bare = made_dataset(tmp_path / "set", masks=False)
    with pytest.raises(SegToolkitError) as caught:
        trained(bare, tmp_path / "run", tiny(*SECOND))
    assert caught.value.code == "no-cases"


@pytest.mark.parametrize("supervision", ["tags", "masks"])
def test_the_estimate_knows_both_kinds(supervision: str) -> None:
    task = trial(tiny(f"supervision={supervision}", "validate_every=1"), None, torch.device("cpu"))
    task.network.train()
    result = task.step(next(task.samples([0])))
    assert "loss" in result.values
    task.network.eval()
    assert "accuracy" in task.validate()


def test_the_preset_is_of_the_second_stage() -> None:
    settings = PRESETS["second-stage"].settings
    assert isinstance(settings, CmerSettings)
    assert settings.supervision == "masks"
    assert settings.selects_by == "dsc"
    assert settings.network.bias


def test_with_a_bias_features_of_0_need_not_mean_one_half() -> None:
    slices = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    found = []
    for bias in (False, True):
        network = build_networks(NetworkPlan(width_factor=16, bias=bias), 1, torch.Generator().manual_seed(2))
        with torch.no_grad():
            # As in an unlucky beginning: all features, none of which is negative, speak against the object.
            network[0].classifier.weight[1] = network[0].classifier.weight[0] - 1
            if bias:
                network[0].classifier.bias.copy_(torch.tensor([0.0, 1.0]))
            found.append(network.eval().see(0, slices, InputPlan()).cam.softmax(1)[:, 1].max())
    assert found[0] <= 0.5 < found[1]


def test_a_bias_has_no_place_in_maps_of_tags() -> None:
    with pytest.raises(SegToolkitError, match=r"network\.bias"):
        tiny("network.bias=true")


def test_cases_can_be_named_and_each_patient_is_a_fold(dataset: Dataset) -> None:
    own = DataSettings(modalities=NAMES, cases=("4", "1", "3"), fold=1)
    roles = roles_of(dataset, own)
    assert (set(roles.train), roles.held_out) == ({"1", "4"}, ("3",))
    assert roles_of(dataset, own.model_copy(update={"fold": None})).train == ("4", "1", "3")
    for changes in ({"fold": 3}, {"cases": ("1",), "fold": 0}):
        with pytest.raises(SegToolkitError) as caught:
            roles_of(dataset, own.model_copy(update=changes))
        assert caught.value.code == "fold"


def test_an_outline_without_contrast_cannot_tell_slices() -> None:
    small, large = torch.zeros(1, 16, 16), torch.zeros(1, 16, 16)
    small[:, 6:10, 6:10] = large[:, 2:14, 2:14] = 5.0
    both = standardised(torch.stack([small, large]), "foreground")
    assert not both.any()
    small[:, 7, 7] = 9.0
    found = standardised(small, "foreground")
    assert found[0, 0, 0] == 0
    shown = found[small > 0]
    assert abs(float(shown.mean())) < 1e-6
    assert float(shown.std()) == pytest.approx(1, abs=1e-5)


def test_slices_change_their_size_only_where_that_is_wanted() -> None:
    slices = torch.zeros(3, 60, 60)
    slices[:, 20:40, 20:40] = 1.0
    slices[2] *= OPEN
    still = augmented(slices, AugmentSettings(shift=0), seeded(1), labels=1)
    assert torch.equal(still, slices)
    sizes = set()
    for seed in range(6):
        moved = augmented(slices, AugmentSettings(shift=0, scale=0.5), seeded(seed), labels=1)
        sizes.add(int((moved[0] > 0.5).sum()))
        assert set(moved[2].unique().tolist()) <= {0.0, float(OPEN)}
        assert np.isclose(float((moved[2] > 0).sum()), float((moved[0] > 0.5).sum()), atol=90)
    assert len(sizes) > 3
