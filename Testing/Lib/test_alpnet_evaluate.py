"""The test protocol against a plain transcription of the specification: one episode a slice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from SegToolkitLib.dataset import Dataset, fold_split
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.data import Normalisation
from SegToolkitLib.methods.alpnet.evaluate import ProtocolSettings, ScanResult, evaluate_fold, summary
from SegToolkitLib.methods.alpnet.evaluation_run import choose_organs
from SegToolkitLib.methods.alpnet.loss import Pooling, episode_scores, upsample
from SegToolkitLib.methods.alpnet.network import ALPNet, build_network
from SegToolkitLib.methods.alpnet.predictor import Predictor
from SegToolkitLib.methods.alpnet.prototypes import resize_mask
from SegToolkitLib.phantom import phantom
from SegToolkitLib.volume import write_volume

LABELS = {"background": 0, "liver": 1, "right kidney": 2, "left kidney": 3, "spleen": 4}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    for seed in (1, 2, 3, 4):
        patient = phantom(seed, size=(96, 96), slices=14, spacing=(3.3, 3.3, 16))
        write_volume(patient.image, folder / f"image_{seed}.nii.gz")
        write_volume(patient.label, folder / f"label_{seed}.nii.gz")
    groups = {"0": [2, 3], "1": [1, 4]}
    description = {"name": "tiny", "modality": "MR", "labels": LABELS, "folds": 2, "test_groups": groups}
    (folder / "dataset.json").write_text(json.dumps(description))
    return Dataset.open(folder)


@pytest.fixture(scope="module")
def network() -> ALPNet:
    return build_network("compact", compact_widths=(8, 8, 16, 16), channels=32, generator_seed=5).eval()


def plain_dice(
    dataset: Dataset, network: ALPNet, query: str, supports: list[str], value: int, margin: int
) -> float:
    """Sections 5.1 to 5.6 of the specification, word by word."""
    normalise = Normalisation("MR")
    shots = []
    for id in supports:
        image, label = dataset.read(dataset.case(id))
        slices = [z for z in range(len(label.voxels)) if (label.voxels[z] == value).any()]  # type: ignore[union-attr]
        chosen = [slices[int(p * len(slices))] for p in (1 / 6, 1 / 2, 5 / 6)]
        pixels = normalise(image.voxels)
        shots.append([(pixels[z], label.voxels[z] == value) for z in chosen])  # type: ignore[union-attr]
    image, label = dataset.read(dataset.case(query))
    pixels, truth = normalise(image.voxels), label.voxels == value  # type: ignore[union-attr]
    present = [z for z in range(len(truth)) if truth[z].any()]
    first, last = present[0], present[-1]
    hits = predicted = real = 0
    for z in range(max(first - margin, 0), min(last + margin, len(truth) - 1) + 1):
        chunk = 0 if first == last else min(max(int((z - first) // ((last - first) / 3)), 0), 2)
        slices_ = np.stack([shot[chunk][0] for shot in shots] + [pixels[z]])
        masks = torch.from_numpy(np.stack([shot[chunk][1] for shot in shots])).float()
        with torch.inference_mode():
            features = network(torch.from_numpy(slices_))
            size = (features.shape[-2], features.shape[-1])
            fg, bg = resize_mask(masks, size), resize_mask(1 - masks, size)
            low, _ = episode_scores(features[-1:], features[:-1], fg, bg, Pooling((2, 2)))
            found = upsample(low, truth.shape[1:]).argmax(1)[0].numpy() == 1
        hits += int((found & truth[z]).sum())
        predicted, real = predicted + int(found.sum()), real + int(truth[z].sum())
    return 2 * hits / (predicted + real)


@pytest.mark.parametrize(
    ("margin", "support_index", "n_support"), [(0, (-1,), 1), (2, (0,), 1), (0, (-2, -1), 2)]
)
def test_dice_is_that_of_the_protocol_done_slice_by_slice(
    dataset: Dataset, network: ALPNet, margin: int, support_index: tuple[int, ...], n_support: int
) -> None:
    split = fold_split(dataset.ids, [0, 1, 4], 0, n_support)
    predictor = Predictor(network, Pooling((2, 2)), torch.device("cpu"), batch=3)
    settings = ProtocolSettings(margin=margin, support_index=support_index)
    organs = ["liver", "spleen"]
    rows = evaluate_fold(dataset, split, 0, predictor, Normalisation("MR"), organs, settings)
    supports = [split.validation[index] for index in support_index]
    assert {row.scan for row in rows} == set(split.validation) - set(supports)
    for row in rows:
        expected = plain_dice(dataset, network, row.scan, supports, LABELS[row.organ], margin)
        assert row.dice == pytest.approx(expected, abs=2e-4), (row.scan, row.organ)


def test_the_honest_score_counts_false_positives_beyond_the_organ(dataset: Dataset, network: ALPNet) -> None:
    split = fold_split(dataset.ids, [0, 1, 4], 0)
    predictor = Predictor(network, Pooling((2, 2)), torch.device("cpu"))
    rows = evaluate_fold(dataset, split, 0, predictor, Normalisation("MR"), ["liver"])
    assert rows[0].honest_precision < rows[0].precision


def row(fold: int, organ: str, dice: float) -> ScanResult:
    return ScanResult(fold, "1", organ, dice, 0, 0, dice / 2, 0, 0, dice / 4)


def test_the_mean_is_over_scans_then_folds_then_organs() -> None:
    rows = [row(0, "a", 0.2), row(0, "a", 0.4), row(1, "a", 0.9), row(0, "b", 0.5), row(1, "b", 0.7)]
    table = summary(rows)
    assert table["dice"]["a"] == pytest.approx(100 * (0.3 + 0.9) / 2)
    assert table["dice"]["mean"] == pytest.approx((60 + 60) / 2)
    assert table["honest_dice"]["b"] == pytest.approx(30)
    assert table["dice"]["std_over_folds"] == pytest.approx(100 * (0.8 - 0.4) / 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, list(LABELS)[1:]),
        ("0", ["right kidney", "left kidney"]),
        ("spleen, liver", ["spleen", "liver"]),
    ],
)
def test_organs_are_chosen_by_name_or_by_test_group(
    dataset: Dataset, text: str | None, expected: list[str]
) -> None:
    assert choose_organs(dataset, text) == expected


def test_an_unknown_organ_is_refused_with_the_known_ones(dataset: Dataset) -> None:
    with pytest.raises(SegToolkitError, match="pancreas") as error:
        choose_organs(dataset, "pancreas")
    assert "spleen" in error.value.hint


def test_a_model_that_saw_a_test_scan_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    from SegToolkitLib.cli import main
    from SegToolkitLib.models.card import Licence, ModelCard, Preprocessing, TrainedOn
    from SegToolkitLib.models.folder import save_model

    small = build_network("compact", compact_widths=(8, 8, 16, 16), channels=32, generator_seed=0)
    card = ModelCard(
        name="seen",
        title="seen",
        method="alpnet",
        settings={"encoder": "compact", "compact_widths": [8, 8, 16, 16], "channels": 32},
        preprocessing=Preprocessing(modality="MR"),
        trained_on=[TrainedOn(dataset="tiny", cases=["1", "4"])],
        licence=Licence(name="free", permissive=True),
    )
    save_model(tmp_path / "seen", card, small.state_dict())
    call = ["evaluate", "alpnet", "--dataset", str(dataset.folder), "--out", str(tmp_path / "out")]
    assert main([*call, "--model", f"0={tmp_path / 'seen'}"]) == 1
    assert not (tmp_path / "out").exists()
