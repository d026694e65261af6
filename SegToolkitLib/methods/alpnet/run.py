"""A training run of ALPNet from its settings to the model folder in its result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.augment import AUGMENTATIONS
from SegToolkitLib.methods.alpnet.card import make_card
from SegToolkitLib.methods.alpnet.checkpoints import download_coco, load_coco
from SegToolkitLib.methods.alpnet.data import EpisodeSampler
from SegToolkitLib.methods.alpnet.network import ALPNet, build_network
from SegToolkitLib.methods.alpnet.settings import AlpnetSettings
from SegToolkitLib.methods.alpnet.train import AlpnetTask
from SegToolkitLib.methods.alpnet.training_data import TrainingData, load_training_data
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.training.loop import LoopOptions, train
from SegToolkitLib.training.run_folder import RunFolder


@dataclass(frozen=True)
class Start:
    """Where a run begins, besides its settings.

    Attributes:
        dataset: description file or folder; ``data`` is the folder of the volumes if not the described.
        superpixels: folder of the pseudo-labels; None means one in the run folder.
        coco: file of torchvision's COCO weights, or None.
        download_coco: fetch them instead.
        name: of the resulting model.
        command: that started the run, for the card.
    """

    dataset: str
    data: Path | None = None
    superpixels: Path | None = None
    coco: Path | None = None
    download_coco: bool = False
    name: str = "alpnet"
    command: str = ""


def run_training(
    folder: Path,
    settings: AlpnetSettings,
    start: Start,
    device: torch.device,
    reporter: Reporter,
    *,
    resume: bool = False,
) -> Path | None:
    """Train, or go on training, and write the model to ``<folder>/result/model``.

    Args:
        folder: run folder.
        settings: of a new run; a resumed run keeps those it was started with.
        start: data and initial weights.
        device: where to train.
        reporter: hears of progress.
        resume: go on with the run in ``folder``.

    Returns:
        The model folder, or None where the run was asked to stop.
    """
    if resume:
        run = RunFolder.open(folder)
        settings = AlpnetSettings.model_validate(run.settings()["settings"])
    else:
        run = RunFolder(folder)
        run.refuse_existing()
    dataset = Dataset.open(start.dataset, start.data)
    data = load_training_data(dataset, settings, start.superpixels or folder / "superpixels", reporter)
    if resume:
        _check_same_data(run, data)
    else:
        run = RunFolder.create(folder, "alpnet", settings.model_dump(mode="json"), data.fingerprint)
    seed_everything(settings.seed)
    network = _initial_network(settings, start, reporter)
    task = AlpnetTask(network, _sampler(settings, data), settings, device)
    options = LoopOptions(
        steps=settings.optimiser.steps,
        snapshot_every=settings.snapshot_every,
        log_every=settings.log_every,
        precision=settings.precision,
        max_skip_share=settings.max_skip_share,
    )
    try:
        finished = train(task, run, options, device, reporter)
    except SegToolkitError as error:
        run.event("error", code=error.code, text=error.message, hint=error.hint)
        raise
    if not finished:
        return None
    card = make_card(start.name, start.command, settings, dataset, data, run)
    model = run.result / "model"
    save_model(model, card, task.network.cpu().authors_state_dict())
    return model


def seed_everything(seed: int) -> None:
    """Seed the global generators; everything drawn for episodes has generators of its own."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (the global state that other libraries use)


def _sampler(settings: AlpnetSettings, data: TrainingData) -> EpisodeSampler:
    return EpisodeSampler(
        data.scans,
        AUGMENTATIONS[settings.episodes.augmentation],
        structures=settings.episodes.structures,
        draw_rule=settings.episodes.draw_rule,
        epoch_length=settings.episodes.epoch_length,
        seed=settings.seed,
    )


def _initial_network(settings: AlpnetSettings, start: Start, reporter: Reporter) -> ALPNet:
    network = build_network(
        settings.network.encoder,
        channels=settings.network.channels,
        compact_widths=settings.network.compact_widths,
        generator_seed=settings.seed,
    )
    coco = start.coco
    if start.download_coco:
        coco = download_coco(
            Path.home() / ".SegToolkit" / "downloads",
            lambda done, total: reporter.progress("download", done, total),
        )
    if coco is not None:
        load_coco(network, coco)
    elif settings.network.encoder == "resnet101":
        reporter.warning(
            "The ResNet-101 starts from random weights, which needs far more steps than a pre-trained one.",
            "Give --coco FILE or --download-coco to start as the authors did.",
        )
    return network


def _check_same_data(run: RunFolder, data: TrainingData) -> None:
    earlier: dict[str, Any] = run.settings()["data"]
    if earlier["sha256"] != data.fingerprint["sha256"]:
        raise SegToolkitError(
            "data-changed",
            f"The volumes differ from those that the run {run.path} was started with.",
            "Restore them, or start a new run.",
        )
