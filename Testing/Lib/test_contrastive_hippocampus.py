"""The 3-D experiment as a person runs it: nnU-Net's own programs on made-up volumes, a step each."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunet_runs import ROOT, made_case, needs_nnunet
from SegToolkitLib.volume import write_volume

pytestmark = [needs_nnunet, pytest.mark.slow]
CONTRASTIVE = ROOT / "Testing" / "contrastive"
TRAINERS = {"baseline": "SeededTrainer", "both": "SeededPDCR_UAFR"}
NAME = "Dataset904_hippocampus"


def run(data: Path, out: Path, *words: str) -> str:
    command = [sys.executable, str(CONTRASTIVE / "hippocampus.py"), "--data", str(data), "--out", str(out)]
    done = subprocess.run(
        [*command, "--shares", "0.25", "--seeds", "1", "--rows", *TRAINERS, *words],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    logs = "".join(file.read_text(encoding="utf-8")[-1500:] for file in out.rglob("*.txt"))
    assert done.returncode == 0, done.stderr[-3000:] + logs
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the experiment, with the data beside it."""
    folder = tmp_path_factory.mktemp("hippocampus")
    data = folder / "data" / "msd_hippocampus"
    data.mkdir(parents=True)
    for number in range(6):
        for kind, volume in zip(("image", "label"), made_case(number), strict=True):
            write_volume(volume, data / f"{kind}_{number:03d}.nii.gz")
    told = run(folder / "data", folder / "out", "--steps", "1")
    assert "| hippocampus | 25 % | both | 1 |" in told
    return folder / "out"


def model(out: Path, row: str) -> Path:
    # The second seed of the first share.
    return out / "nnunet" / "results" / NAME / f"{TRAINERS[row]}__smallPlans__3d_fullres" / "fold_1"


def test_each_training_is_tested_on_its_own_third(finished: Path) -> None:
    for row in TRAINERS:
        test = finished / "test" / "25" / "seed1" / row
        scores = json.loads((test / "results.json").read_text(encoding="utf-8"))
        assert set(scores) == {"dice", "iou", "nsd"}
        assert all(0 <= score <= 100 for score in scores.values())
        cases = (test / "cases.csv").read_text(encoding="utf-8").splitlines()
        assert len(cases) == 1 + 2 * 2, "two structures of two cases"


def test_what_is_done_stays_and_what_was_cut_off_goes_on(finished: Path) -> None:
    log = finished / "test" / "25" / "seed1" / "{}" / "log.txt"
    logs = {row: Path(str(log).format(row)) for row in TRAINERS}
    before = {row: file.read_text(encoding="utf-8") for row, file in logs.items()}
    # As if the computer had been switched off before the test of one of them.
    (logs["both"].with_name("results.json")).unlink()
    (model(finished, "both") / "validation" / "summary.json").unlink()
    run(finished.parent / "data", finished, "--steps", "1")
    after = {row: file.read_text(encoding="utf-8") for row, file in logs.items()}
    assert after["baseline"] == before["baseline"]
    again = after["both"].removeprefix(before["both"])
    assert "--c" in again.splitlines()[0]
    assert "Epoch 0" not in again, "its steps are not made twice"


def test_another_budget_is_refused(finished: Path) -> None:
    with pytest.raises(AssertionError, match="choose another --out"):
        run(finished.parent / "data", finished, "--steps", "2")


def test_all_trainings_of_a_fold_begin_alike(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("raw", "preprocessed"):
        monkeypatch.setenv(f"nnUNet_{folder}", str(finished / "nnunet" / folder))
    monkeypatch.setenv("nnUNet_results", str(finished.parent / "elsewhere"))
    monkeypatch.syspath_prepend(str(CONTRASTIVE / "nnunet_trainers"))
    seeded = importlib.import_module("seeded")
    prepared = finished / "nnunet" / "preprocessed" / NAME
    weights: dict[str, dict[str, torch.Tensor]] = {}
    batches: dict[str, Any] = {}
    for row, name in TRAINERS.items():
        plans, description = (
            json.loads((prepared / file).read_text(encoding="utf-8"))
            for file in ("smallPlans.json", "dataset.json")
        )
        plans["continue_training"] = False
        with contextlib.redirect_stdout(io.StringIO()):
            trainer = getattr(seeded, name)(plans, "3d_fullres", 1, description, torch.device("cpu"))
            trainer.on_train_start()
            weights[row] = {key: value.clone() for key, value in trainer.network.state_dict().items()}
            trainer.on_train_epoch_start()
            batches[row] = next(trainer.dataloader_train)
    heads = {key for key in weights["both"] if ".uafr." in key}
    assert weights["both"].keys() - heads == weights["baseline"].keys()
    assert heads
    assert all(torch.equal(value, weights["both"][key]) for key, value in weights["baseline"].items())
    assert list(batches["both"]["keys"]) == list(batches["baseline"]["keys"])
    torch.testing.assert_close(batches["both"]["data"], batches["baseline"]["data"])
