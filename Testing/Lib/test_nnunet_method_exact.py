"""nnU-Net as a method: its own steps and figures, exact resuming, stops that leave a run to go on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnunet_method_runs import CPU, Ears, context_of, made_dataset, same_batch, tiny, train, weights
from nnunet_runs import needs_nnunet
from SegToolkitLib.methods.nnunet import preparing
from SegToolkitLib.methods.nnunet.train import NnunetTask, rate_factor
from SegToolkitLib.methods.nnunet.training import METHOD
from SegToolkitLib.training.distributed import ALONE
from SegToolkitLib.training.options import LoopOptions
from SegToolkitLib.training.update import Updater

pytestmark = needs_nnunet
VOXELS = 40_000


@pytest.fixture(autouse=True)
def _quick(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks here are tiny, and so are the measurements."""
    monkeypatch.setattr(preparing, "VOXELS", VOXELS)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def prepared(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """nnU-Net's folders, planned and preprocessed; a task on them is quickly begun."""
    place = tmp_path_factory.mktemp("run") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "VOXELS", VOXELS)

        def begin(**changes: Any) -> NnunetTask:
            task = METHOD.prepare(context_of(place, dataset, tiny(**changes))).task
            assert isinstance(task, NnunetTask)
            return task

        begin()
        yield begin


@pytest.mark.parametrize("trainer", ["plain", "uafr"])
def test_the_updates_are_those_of_nnunets_own_trainer(prepared: Any, trainer: str) -> None:
    ours, theirs = prepared(trainer=trainer), prepared(trainer=trainer)
    settings = ours.settings
    updater = Updater(ours, LoopOptions.of(settings, None), CPU, ALONE)
    ours.network.train()
    samples = list(theirs.samples(range(4)))
    taken = iter(ours.samples(range(4)))
    for step, sample in enumerate(samples):
        updater.update(taken)
        if step % settings.optimiser.steps_per_epoch == 0:
            theirs.trainer.network.train()
            theirs.trainer.lr_scheduler.step(step // settings.optimiser.steps_per_epoch)
        theirs.trainer.train_step(sample)
    expected = theirs.trainer.network.state_dict()
    for name, value in ours.trainer.network.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_the_rate_falls_from_epoch_to_epoch_and_not_within() -> None:
    settings = tiny(optimiser={"epochs": 4, "steps_per_epoch": 3}).optimiser
    found = [rate_factor(step, settings) for step in range(13)]
    expected = [(1 - epoch / 4) ** 0.9 for epoch in (0, 1, 2, 3)]
    assert found == [*np.repeat(expected, 3), expected[-1]]


def test_a_batch_depends_on_seed_and_number_alone(prepared: Any) -> None:
    task, other = prepared(), prepared(seed=77)
    first = task.batches.draw(5)
    task.batches.draw(6)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = prepared().batches.draw(5)
    assert same_batch(first, again)
    assert not same_batch(first, task.batches.draw(4))
    assert not same_batch(first, other.batches.draw(5))
    assert not same_batch(task.patches.draw(0), task.batches.draw(0))
    task.batches.draw(9)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.slow
def test_worker_processes_draw_the_same(prepared: Any) -> None:
    task = prepared(workers=1)
    (drawn,) = task.samples(range(3, 4))
    assert same_batch(drawn, task.batches.draw(3))


def test_what_is_measured_is_what_nnunet_measures(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor as theirs

    home = prepared().home
    ours = json.loads(home.fingerprint.read_text(encoding="utf-8"))

    class Pool:
        """In place of processes: in turn."""

        _pool = ()

        def __init__(self, count: int) -> None:
            assert count == 1

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing to end."""

        def starmap_async(self, work: Any, jobs: Any) -> Any:
            done = [work(*job) for job in jobs]
            return type("Done", (), {"ready": lambda self: True, "get": lambda self: done})()

    monkeypatch.setattr(theirs.multiprocessing, "get_context", lambda kind: type("", (), {"Pool": Pool}))
    with home.active():
        extractor = theirs.DatasetFingerprintExtractor(home.title, 1)
        extractor.num_foreground_voxels_for_intensitystats = VOXELS
        extractor.show_progress_bar = False
        kept = home.fingerprint.read_text(encoding="utf-8")
        try:
            extractor.run(overwrite_existing=True)
            expected = json.loads(home.fingerprint.read_text(encoding="utf-8"))
        finally:
            home.fingerprint.write_text(kept, encoding="utf-8")
    assert ours == expected


@pytest.mark.parametrize("trainer", ["plain", "pdcr_uafr"])
def test_a_resumed_run_has_the_weights_of_one_that_was_not_interrupted(
    dataset: Path, tmp_path: Path, trainer: str
) -> None:
    settings = tiny(trainer=trainer, validation={"by": "patches"})
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert train(whole, dataset, settings) is not None
    assert train(cut, dataset, settings, Ears(("training", 3), cut)) is None
    ears = Ears()
    model = train(cut, None, None, ears, resume="must")
    assert model is not None
    assert (model / "model.json").is_file()
    phases = {phase for phase, _ in ears.steps}
    assert not phases & {"checking", "copying", "measuring"}, "what was prepared is not prepared again"
    expected, found = weights(whole), weights(cut)
    assert set(expected) == set(found)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    if trainer == "pdcr_uafr":
        assert any(name.startswith("pdcr.") for name in expected)


@pytest.mark.parametrize(
    "stop", [("checking", 1), ("copying", 2), ("measuring", 2), ("preprocessing", 2)], ids=lambda one: one[0]
)
def test_a_stop_within_the_preparation_leaves_a_run_to_go_on_with(
    dataset: Path, tmp_path: Path, stop: tuple[str, int]
) -> None:
    run = tmp_path / "run"
    settings = tiny(optimiser={"epochs": 1, "steps_per_epoch": 1}, validate_every=0)
    assert train(run, dataset, settings, Ears(stop, run)) is None
    assert not list(run.rglob(".*making*")), "nothing half-written"
    ears = Ears()
    assert train(run, None, None, ears, resume="must") is not None
    done = [step for phase, step in ears.steps if phase == "preprocessing"]
    assert done[0] == (3 if stop[0] == "preprocessing" else 1), "finished cases are not done again"
    events = [json.loads(line)["t"] for line in (run / "events.jsonl").read_text().splitlines()]
    assert events[-1] == "finished"
    assert "stopped" in events


def test_a_case_that_a_killed_process_was_writing_is_done_again(prepared: Any, dataset: Path) -> None:
    task = prepared()
    out = next(task.home.preprocessed.glob("nnUNetPlans_3d_fullres"))
    name = "image_1"
    (out / "done" / name).unlink()
    (out / f"{name}.b2nd").write_bytes(b"half")
    again = prepared()
    assert same_batch(task.batches.draw(1), again.batches.draw(1))
    assert (out / f"{name}.b2nd").stat().st_size > 100
