"""A trainer of nnU-Net as the common loop uses it: built by its own methods, driven by ours."""

from __future__ import annotations

import copy
from typing import Any

import torch

from SegToolkitLib.methods.nnunet.batches import seeded
from SegToolkitLib.methods.nnunet.home import Home
from SegToolkitLib.methods.nnunet.package import trainer_of
from SegToolkitLib.methods.nnunet.settings import NnunetSettings
from SegToolkitLib.validation import read_json

NETWORK = 0


def begin_trainer(
    home: Home,
    settings: NnunetSettings,
    train: list[str],
    held_out: list[str],
    device: torch.device,
    leader: bool = True,
) -> Any:
    """A trainer with network, loss and optimiser, and its loaders of patches.

    Args:
        home: with the preprocessed cases.
        settings: of the run; the seed decides what the network begins with.
        train, held_out: nnU-Net's names of the cases; without any held out, the training ones stand in, which
            only patches of a validation that is not made would see.
        device: where to train.
        leader: this is the process that writes.

    Returns:
        The trainer; its loaders are ``dataloader_train`` and ``dataloader_val``, of nnU-Net's own class.
    """
    plans = read_json(home.plans(settings.plan))
    dataset = read_json(home.preprocessed / "dataset.json")
    fold = "all" if settings.data.fold is None else settings.data.fold
    with home.active(), seeded(settings.seed, NETWORK, 0):
        kind = _as_a_part(trainer_of(settings.trainer_name), settings.augment.mirror)
        trainer = kind(
            {**copy.deepcopy(plans), "continue_training": False},
            settings.plan.configuration,
            fold,
            dataset,
            device,
        )
        # nnU-Net would take the first GPU, and share batches between processes; the loop does that here.
        trainer.device, trainer.is_ddp, trainer.local_rank = device, False, 0 if leader else 1
        trainer.initial_lr = settings.optimiser.learning_rate
        trainer.num_epochs = settings.optimiser.epochs
        trainer.num_iterations_per_epoch = settings.optimiser.steps_per_epoch
        trainer.do_split = lambda: (sorted(train), sorted(held_out or train))
        trainer.initialize()
        trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
        trainer.dataloader_train, trainer.dataloader_val = (
            one.data_loader for one in trainer.get_dataloaders()
        )
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        _always_alike(loader.transforms)
    return trainer


def _as_a_part(kind: type[Any], mirror: bool) -> type[Any]:
    """The trainer, without mirroring where that is wanted; under its own name, which checkpoints keep."""
    if mirror:
        return kind

    def unmirrored(self: Any) -> tuple[Any, ...]:
        rotation, flat, patch, _ = kind.configure_rotation_dummyDA_mirroring_and_inital_patch_size(self)
        self.inference_allowed_mirroring_axes = None
        return rotation, flat, patch, None

    name = "configure_rotation_dummyDA_mirroring_and_inital_patch_size"
    return type(kind.__name__, (kind,), {name: unmirrored, "__module__": kind.__module__})


def _always_alike(transform: Any) -> None:
    """Let no transform measure which of two ways is quicker: their last digits differ, and so would a resumed
    run's."""
    if hasattr(transform, "benchmark"):
        transform.benchmark = False
    for inner in (*getattr(transform, "transforms", ()), getattr(transform, "transform", None)):
        if inner is not None:
            _always_alike(inner)
