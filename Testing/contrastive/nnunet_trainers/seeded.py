"""nnU-Net's trainers with a seed and a small budget, for ``hippocampus.py``; see docs/pdcr-uafr.md.

The seed follows from the fold and the epoch alone, so that all trainings of a fold begin with the same
weights and see the same batches, and a training that was cut off goes on as it would have.
"""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from SegToolkitLib.methods.pdcr_uafr.nnunet.trainer import (
    nnUNetTrainerPDCR,
    nnUNetTrainerPDCR_UAFR,
    nnUNetTrainerUAFR,
)


class SeededTrainer(nnUNetTrainer):
    """nnU-Net's trainer alone; the plans say its budget ("budget")."""

    # nnU-Net reads the names of these arguments to write them into checkpoints.
    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        # On a CPU, nnU-Net's program takes all cores, whatever it was told.
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        budget = plans["budget"]
        self.num_epochs = budget["epochs"]
        self.num_iterations_per_epoch = budget["iterations_per_epoch"]
        self.num_val_iterations_per_epoch = 1
        self.save_every = budget["save_every"]

    def initialize(self) -> None:
        _seed(self.fold, 0)
        super().initialize()

    def on_train_epoch_start(self) -> None:
        _seed(self.fold, 1 + self.current_epoch)
        super().on_train_epoch_start()

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> Any:
        """nnU-Net's augmentation; the test does without mirrored passes, which cost eight times as much."""
        found = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.inference_allowed_mirroring_axes = None
        return found


class SeededPDCR(SeededTrainer, nnUNetTrainerPDCR):
    """With PDCR."""


class SeededUAFR(SeededTrainer, nnUNetTrainerUAFR):
    """With UAFR."""


class SeededPDCR_UAFR(SeededTrainer, nnUNetTrainerPDCR_UAFR):  # noqa: N801
    """With both."""


def _seed(*words: int) -> None:
    """Seed every generator that nnU-Net draws from; it draws in this process (``nnUNet_n_proc_DA=0``)."""
    (state,) = np.random.SeedSequence(words).generate_state(1).tolist()
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002
    torch.manual_seed(state)
