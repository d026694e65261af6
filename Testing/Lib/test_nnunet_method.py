"""nnU-Net as a method: a training leaves a model that segments, and a folder that nnU-Net's programs take."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from conftest import data_folder
from nnunet_method_runs import CPU, Ears, made_dataset, real_dataset, tiny, train
from nnunet_runs import Home, needs_nnunet
from SegToolkitLib.cli import main
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.nnunet import automatic, preparing
from SegToolkitLib.methods.nnunet.training import METHOD
from SegToolkitLib.models.card import read_card
from SegToolkitLib.training.estimate import estimate_of
from SegToolkitLib.volume import Reorient, prepare, read_volume, write_volume

pytestmark = [needs_nnunet, pytest.mark.slow]


@dataclass
class Trained:
    """A finished run, and an image that it has not seen."""

    run: Path
    model: Path
    unseen: Path
    ears: Ears

    @property
    def results(self) -> Path:
        """nnU-Net's folder of the training."""
        (found,) = (self.run / "nnunet" / "results").glob("Dataset*/*")
        return found


@pytest.fixture(autouse=True)
def _quick(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "VOXELS", 40_000)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Both parts of the plug-in, on hippocampi where they are, else on made-up volumes."""
    place, data = tmp_path_factory.mktemp("trained"), data_folder()
    real = data / "msd_hippocampus" if data is not None else None
    if real is not None and real.is_dir():
        dataset, unseen = real_dataset(place / "data", real)
    else:
        print("msd_hippocampus is not there: nnU-Net trains on made-up volumes instead")
        dataset, unseen = made_dataset(place / "data", 5), place / "data" / "image_0.nii.gz"
    ears = Ears()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "VOXELS", 40_000)
        model = train(place / "run", dataset, tiny(trainer="pdcr_uafr"), ears)
    assert model is not None
    return Trained(place / "run", model, unseen, ears)


def events(run: Path, kind: str) -> list[dict[str, object]]:
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["t"] == kind]


def test_a_run_is_told_step_by_step_and_validated_on_whole_cases(trained: Trained) -> None:
    phases = list(dict.fromkeys(phase for phase, _ in trained.ears.steps))
    before = ["comparing", "checking", "copying", "measuring", "planning", "preprocessing"]
    assert phases == [*before, "training"]
    assert any("patches of" in text for text in trained.ears.said)
    metrics = events(trained.run, "metric")
    assert [one["step"] for one in metrics] == [1, 2, 3, 4]
    assert {"loss", "encoder", "cross", "learning_rate"} <= set(metrics[0])
    assert metrics[0]["learning_rate"] == 0.01
    first, last = events(trained.run, "validation")
    assert set(first) >= {"dice", "dice_anterior", "dice_posterior", "best", "pictures"}
    assert (trained.run / str(last["pictures"][0])).is_file()  # type: ignore[index]
    log = (trained.run / "log.txt").read_text(encoding="utf-8")
    assert "nnU-Net: " in log, "what nnU-Net prints"
    assert "nnU-Net: " not in (trained.run / "events.jsonl").read_text(encoding="utf-8")


def test_the_card_says_what_it_was_trained_on(trained: Trained) -> None:
    card = read_card(trained.model)
    cases = json.loads((trained.run / "cases.json").read_text(encoding="utf-8"))
    assert card.trained_on[0].cases == cases["train"]
    assert [label.name for label in card.labels] == ["anterior", "posterior"]
    assert card.preprocessing.modality == "MR"
    assert card.training.steps == 4
    assert card.metrics["validation"]["dice"] >= 0
    assert set(automatic.describe(card)["maps"]) == {"uncertainty", "confidence"}


def test_nnunets_own_program_gives_the_same_labels_from_the_runs_folder(
    trained: Trained, tmp_path: Path
) -> None:
    given = tmp_path / "in" / "scan_0000.nii.gz"
    given.parent.mkdir()
    given.write_bytes(trained.unseen.read_bytes())
    home = Home(trained.run / "nnunet", True)
    fold = trained.results / "fold_0"
    assert {file.name for file in trained.results.iterdir()} >= {"plans.json", "dataset.json", "fold_0"}
    assert (fold / "checkpoint_final_pdcr.pth").is_file()
    done = home.run(
        "nnUNetv2_predict",
        *("-i", str(given.parent), "-o", str(tmp_path / "out"), "-d", "901", "-c", "3d_fullres"),
        *("-tr", "nnUNetTrainerPDCR_UAFR", "-f", "0", "-device", "cpu", "-npp", "1", "-nps", "1"),
        "--disable_progress_bar",
        before=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    expected = read_volume(tmp_path / "out" / "scan.nii.gz", label=True)
    volume = read_volume(given)
    segmenter = automatic.load(trained.model, read_card(trained.model), CPU, "auto")
    found = segmenter.segment(volume).labels
    assert found.same_grid(volume)
    assert np.array_equal(found.voxels, expected.voxels)
    assert len(np.unique(found.voxels)) > 1
    # All training volumes lay alike, so others are turned as they lay.
    turned = prepare(volume, [Reorient("PSL")]).volume
    again = prepare(segmenter.segment(turned).labels, [Reorient(volume.orientation)]).volume
    assert np.array_equal(again.voxels, found.voxels)


def test_slices_train_by_the_command_line_without_mirroring(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "data", labels={"background": 0, "lower": 1, "upper": 4})
    for number in range(4):  # values need not be 1, 2, ...
        file = dataset / f"label_{number}.nii.gz"
        label = read_volume(file, label=True)
        write_volume(label.with_voxels(np.where(label.voxels == 2, 4, label.voxels)), file)
    config = tmp_path / "tiny.json"
    values = tiny(plan={"configuration": "2d"}, validation={"by": "patches"}, augment={"mirror": False})
    config.write_text(values.model_dump_json(), encoding="utf-8")
    run = tmp_path / "run"
    words = ["train", "nnunet", "--config", str(config), "--dataset", str(dataset), "--run", str(run)]
    assert main([*words, "--fold", "1", "--steps", "2", "--seed", "5", "--device", "cpu"]) == 0
    stored = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    assert (stored["steps"], stored["settings"]["seed"], stored["settings"]["data"]["fold"]) == (2, 5, 1)
    assert "loss" in events(run, "validation")[0]
    model = run / "result" / "model"
    card = read_card(model)
    assert card.settings["mirrored"] is None
    assert automatic.describe(card)["modes"] == ["full"]
    assert [(label.value, label.name) for label in card.labels] == [(1, "lower"), (2, "upper")]
    volume = read_volume(dataset / "image_0.nii.gz")
    assert automatic.load(model, card, CPU, "auto").segment(volume).labels.same_grid(volume)


@pytest.mark.parametrize("trainer", ["plain", "pdcr"])
def test_time_and_memory_are_measured_on_noise_of_the_data_sets_size(tmp_path: Path, trainer: str) -> None:
    dataset = made_dataset(tmp_path / "data", 2)
    settings = tiny(trainer=trainer)
    task = METHOD.trial(settings, Dataset.open(dataset), CPU)
    plan = task.trainer.configuration_manager
    assert sorted(plan.median_image_size_in_voxels) == [28, 30, 40]
    found = estimate_of(METHOD, settings, str(dataset), None, "cpu", Ears())
    assert found.steps == 4
    assert found.seconds_per_step > 0
    assert found.validation_seconds > 0
