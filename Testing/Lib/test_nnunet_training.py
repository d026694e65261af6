"""The trainers in nnU-Net itself: plan, preprocess, train, go on, predict and choose, on real volumes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import data_folder
from nnunet_runs import NAME, ROOT, TRAINERS, Home, made_home, needs_nnunet, shorten, shrink_plans
from SegToolkitLib.volume import read_volume

pytestmark = [needs_nnunet, pytest.mark.slow]
BOTH, PDCR, UAFR = "nnUNetTrainerPDCR_UAFR", "nnUNetTrainerPDCR", "nnUNetTrainerUAFR"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Planned and preprocessed: hippocampi where they are, else made-up volumes: nothing is left untested."""
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    data = data_folder()
    real = data / "msd_hippocampus" if data is not None else None
    if real is None or not real.is_dir():
        print("msd_hippocampus is not there: nnU-Net runs on made-up volumes instead")
        real = None
    made = made_home(tmp_path_factory.mktemp("nnunet"), 5, real)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        api.extract_fingerprints([901], num_processes=1, show_progress_bar=False)
        with pytest.MonkeyPatch.context() as planning:
            # Of processes that augment: none in training, but planning takes it for threads.
            planning.setenv("nnUNet_n_proc_DA", "1")
            api.plan_experiments([901])
        shrink_plans(made)
        api.preprocess([901], configurations=("2d", "3d_fullres"), num_processes=[1], show_progress_bar=False)
        yield made


@pytest.fixture(autouse=True)
def _quick(one_thread: None) -> None:
    """Networks here are tiny."""


def found(name: str) -> type[Any]:
    """The trainer as nnU-Net finds it."""
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    return recursive_find_trainer_class_by_name(name)


def train(
    name: str, configuration: str, monkeypatch: pytest.MonkeyPatch, *, epochs: int = 2, **options: Any
) -> None:
    """What ``nnUNetv2_train`` calls, with the trainer cut down to a few steps."""
    import nnunetv2.run.run_training as program

    with monkeypatch.context() as patch:
        trainer = found(name)
        shorten(trainer, patch, epochs)
        patch.setattr(program, "recursive_find_trainer_class_by_name", lambda wanted: trainer)
        program.run_training(NAME, configuration, 0, name, device=CPU, **options)


def checkpoint(home: Home, name: str, configuration: str) -> dict[str, Any]:
    file = home.model(name, configuration) / "fold_0" / "checkpoint_final.pth"
    loaded: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=False)
    return loaded


def log_of(home: Home, name: str, configuration: str) -> str:
    folder = home.model(name, configuration) / "fold_0"
    return "".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("training_log_*.txt")))


@pytest.fixture(scope="module")
def trained(home: Home) -> Home:
    """Both parts, with nnU-Net's own validation."""
    with pytest.MonkeyPatch.context() as patch:
        train(BOTH, "3d_fullres", patch)
    return home


@pytest.mark.parametrize("name", [BOTH, PDCR, UAFR, f"{BOTH}_20epochs", f"{BOTH}_instanceNorm"])
def test_nnunet_finds_each_trainer_by_its_name(home: Home, name: str) -> None:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    trainer = found(name)
    assert trainer.__name__ == name
    assert issubclass(trainer, nnUNetTrainer)
    assert "segtoolkit_trainers" not in sys.modules, "nnU-Net forgets modules of such folders"


def test_both_parts_train_and_are_validated_by_nnunet(trained: Home) -> None:
    configuration = "3d_fullres"
    kept = checkpoint(trained, BOTH, configuration)
    assert kept["trainer_name"] == BOTH
    assert kept["current_epoch"] == 2
    assert any(".uafr." in key for key in kept["network_weights"])
    assert not any("project" in key for key in kept["network_weights"]), (
        "projections are no part of the model"
    )
    folder = trained.model(BOTH, configuration) / "fold_0"
    summary = json.loads((folder / "validation" / "summary.json").read_text(encoding="utf-8"))
    assert 0 <= summary["foreground_mean"]["Dice"] <= 1
    log = log_of(trained, BOTH, configuration)
    assert "PDCR compares stage 2 (strides [4, 4" in log
    assert log.count("PDCR, not weighted: encoder") == 2
    assert (folder / "checkpoint_final_pdcr.pth").is_file()


@pytest.mark.parametrize(
    ("name", "configuration", "heads", "projections"),
    [
        (PDCR, "3d_fullres", False, True),
        (UAFR, "3d_fullres", True, False),
        (f"{BOTH}_instanceNorm", "2d", True, True),
    ],
)
def test_each_trainer_trains_what_it_says(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    configuration: str,
    heads: bool,
    projections: bool,
) -> None:
    from nnunetv2.run.run_training import get_trainer_from_args

    trainer = found(name)
    shorten(trainer, monkeypatch, epochs=1)
    monkeypatch.setattr("nnunetv2.run.run_training.recursive_find_trainer_class_by_name", lambda _: trainer)
    run = get_trainer_from_args(NAME, configuration, 0, name, device=CPU)
    run.run_training()
    state = checkpoint(home, name, configuration)["network_weights"]
    assert any(".uafr." in key for key in state) == heads
    file = home.model(name, configuration) / "fold_0" / "checkpoint_final_pdcr.pth"
    assert file.is_file() == projections
    if not heads:
        # What PDCR trains is nnU-Net's own network: the stock trainer loads it.
        stock = found("nnUNetTrainer").build_network_architecture(
            run.plans_manager, run.configuration_manager, 1, 3, False
        )
        stock.load_state_dict(state)


def test_a_run_goes_on_where_it_was_cut_off(trained: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

    trainer = found(f"{BOTH}_20epochs")
    shorten(trainer, monkeypatch, epochs=2)
    monkeypatch.setattr("nnunetv2.run.run_training.recursive_find_trainer_class_by_name", lambda _: trainer)

    def begin(goes_on: bool) -> Any:
        run = get_trainer_from_args(
            NAME, "3d_fullres", 0, trainer.__name__, continue_training=goes_on, device=CPU
        )
        maybe_load_checkpoint(run, goes_on, False)
        return run

    first = begin(False)
    first.save_every = 1
    first.num_epochs = 3  # so that two epochs leave the checkpoint of an unfinished run
    steps = iter(range(4))
    step = first.train_step

    def cut(batch: Any) -> Any:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return step(batch)

    monkeypatch.setattr(first, "train_step", cut)
    with pytest.raises(KeyboardInterrupt):
        first.run_training()
    second = begin(True)
    assert second.current_epoch == 2
    for one, other in ((first.network, second.network), (first.pdcr, second.pdcr)):
        kept = other.state_dict()
        assert all(torch.equal(value, kept[key]) for key, value in one.state_dict().items())
    momenta = [len(run.optimizer.state_dict()["state"]) for run in (first, second)]
    assert momenta[0] == momenta[1] > 0
    second.num_epochs = 3
    second.run_training()
    folder = Path(second.output_folder)
    assert {file.name for file in folder.glob("checkpoint_final*")} == {
        "checkpoint_final.pth",
        "checkpoint_final_pdcr.pth",
    }
    assert not list(folder.glob("checkpoint_latest*")), "nothing of the unfinished run is left"


def test_prediction_needs_the_folder_of_trainers_and_no_code_of_the_losses(
    trained: Home, tmp_path: Path
) -> None:
    # In a process of its own, with the variable alone; the losses' modules cannot be imported there.
    blocker = tmp_path / "sitecustomize.py"
    losses = ["pdcr", "loss", "sampling", "soft_labels", "pdcr_settings", "nnunet.loss", "nnunet.skips"]
    names = [f"SegToolkitLib.methods.pdcr_uafr.{name}" for name in losses]
    blocker.write_text(f"import sys\nsys.modules.update(dict.fromkeys({names!r}))\n", encoding="utf-8")
    out = tmp_path / "out"
    done = trained.run(
        "nnUNetv2_predict",
        *("-i", str(trained.raw / "imagesTs"), "-o", str(out), "-d", NAME, "-c", "3d_fullres"),
        *("-tr", BOTH, "-f", "0", "-device", "cpu", "-npp", "1", "-nps", "1", "--disable_progress_bar"),
        before=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (image,) = (trained.raw / "imagesTs").glob("*.nii.gz")
    (result,) = out.glob("*.nii.gz")
    labels = read_volume(result, label=True)
    assert labels.same_grid(read_volume(image))
    assert set(np.unique(labels.voxels)) <= {0, 1, 2}
    assert str(TRAINERS) in done.stdout, "found in the folder that the variable names"


def test_the_best_configuration_is_found_among_the_trainers(trained: Home) -> None:
    from nnunetv2.evaluation.find_best_configuration import (
        dumb_trainer_config_plans_to_trained_models_dict,
        find_best_configuration,
    )

    models = dumb_trainer_config_plans_to_trained_models_dict([BOTH], ["3d_fullres"], ["nnUNetPlans"])
    find_best_configuration(NAME, models, allow_ensembling=False, num_processes=1, folds=(0,))
    told = json.loads((trained.results / "inference_information.json").read_text(encoding="utf-8"))
    assert set(told["considered_models"][0]) == {"plans", "configuration", "trainer"}
    assert BOTH in told["best_model_or_ensemble"]["selected_model_or_models"][0]["trainer"]


def test_the_folder_of_trainers_holds_nothing_else() -> None:
    assert {file.name for file in TRAINERS.glob("*.py")} == {"__init__.py", "segtoolkit_trainers.py"}
    assert ROOT in TRAINERS.parents
