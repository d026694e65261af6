"""ALPNet's part of a training run: from the data to a task, and from trained weights to a model folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.augment import AUGMENTATIONS
from SegToolkitLib.methods.alpnet.card import make_card
from SegToolkitLib.methods.alpnet.checkpoints import load_coco
from SegToolkitLib.methods.alpnet.data import (
    CT_SIZE,
    Episode,
    EpisodeSampler,
    Normalisation,
    Scan,
    slice_size,
)
from SegToolkitLib.methods.alpnet.network import ALPNet, build_network
from SegToolkitLib.methods.alpnet.settings import AlpnetSettings
from SegToolkitLib.methods.alpnet.train import AlpnetTask
from SegToolkitLib.methods.alpnet.training_data import TrainingData, load_training_data
from SegToolkitLib.methods.alpnet.validation import DRAWS, SEED_OFFSET, flips_of, held_out_scans
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.training.checkpoint import checkpoints
from SegToolkitLib.training.figures import kept_validation
from SegToolkitLib.training.method import Context, Prepared
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.volume import read_volume

TRIAL_SLICES = 8
# Superpixels of a trial's slice: about as many as the authors' settings give on an abdomen.
TRIAL_GRID = 8


def prepare(context: Context) -> Prepared:
    """Read the volumes, make pseudo-labels where they are missing, build network and task."""
    settings: AlpnetSettings = context.settings
    data = _data(context)
    sampler = _sampler(settings, data, _dataset(context).description.modality)
    held_out = _held_out(context, data) if settings.validate_every else []
    flips = _flips(_dataset(context))
    network = _initial_network(settings, context.places.get("coco"), context.run, context.reporter)
    return Prepared(AlpnetTask(network, sampler, settings, context.device, held_out, flips), data.fingerprint)


def finish(context: Context, task: AlpnetTask) -> Path:
    """Write the model's folder."""
    settings: AlpnetSettings = context.settings
    name = context.name
    card = make_card(name, context.command, settings, _dataset(context), _data(context), context.run)
    if kept := kept_validation(context.run, settings.use_best):
        figures = {key: kept[key] for key in ("step", "dice", "loss") if key in kept}
        card = card.model_copy(update={"metrics": {**card.metrics, "validation": figures}})
    model = context.run.result / "model"
    save_model(model, card, task.network.cpu().authors_state_dict())
    return model


def trial(settings: AlpnetSettings, dataset: Dataset | None, device: torch.device) -> AlpnetTask:
    """A task on noise of the data's size, cut into squares instead of superpixels."""
    rows, columns = CT_SIZE, CT_SIZE
    if dataset is not None and dataset.ids:
        image = read_volume(dataset.case(dataset.ids[0]).image)
        rows, columns = slice_size(dataset.description, image.voxels.shape)
    noise = np.random.default_rng(0).normal(size=(TRIAL_SLICES, rows, columns)).astype(np.float32)
    grid = np.add.outer(
        np.arange(rows) * TRIAL_GRID // rows * TRIAL_GRID, np.arange(columns) * TRIAL_GRID // columns
    )
    labels = np.broadcast_to(grid.astype(np.int16) + 1, noise.shape)
    sampler = _sampler(
        settings, TrainingData([Scan("trial", noise, (labels,))], _NO_STATISTICS, None, {}), ""
    )
    held_out = [sampler.draw(number) for number in range(DRAWS)] if settings.validate_every else []
    return AlpnetTask(_network(settings), sampler, settings, device, held_out)


_NO_STATISTICS = Normalisation("MR")


def _data(context: Context) -> TrainingData:
    folder, own = _superpixels(context)
    return load_training_data(_dataset(context), context.settings, folder, context.reporter, own)


def _superpixels(context: Context) -> tuple[Path, bool]:
    """Folder of the pseudo-labels, and whether it is the run's own: what a person tuned is not replaced."""
    given = context.places.get("superpixels")
    return given or context.run.path / "superpixels", given is None


def _dataset(context: Context) -> Dataset:
    assert context.dataset is not None  # the method says that it needs one
    return context.dataset


def _held_out(context: Context, data: TrainingData) -> list[Episode]:
    """The validation's episodes, the same at every validation."""
    settings: AlpnetSettings = context.settings
    folder, own = _superpixels(context)
    scans = held_out_scans(_dataset(context), settings, data, folder, context.reporter, own)
    sampler = EpisodeSampler(
        scans,
        AUGMENTATIONS[settings.episodes.augmentation],
        structures=settings.episodes.structures,
        draw_rule=settings.episodes.draw_rule,
        seed=settings.seed + SEED_OFFSET,
    )
    return [sampler.draw(number) for number in range(DRAWS)]


def _flips(dataset: Dataset) -> tuple[bool, bool]:
    return flips_of(read_volume(dataset.case(dataset.ids[0]).image).orientation)


def _sampler(settings: AlpnetSettings, data: TrainingData, modality: str) -> EpisodeSampler:
    return EpisodeSampler(
        data.scans,
        AUGMENTATIONS[settings.episodes.augmentation],
        structures=settings.episodes.structures,
        draw_rule=settings.episodes.draw_rule,
        # The authors fix the length for MR only.
        epoch_length=settings.episodes.epoch_length if modality == "MR" else None,
        seed=settings.seed,
    )


def _initial_network(
    settings: AlpnetSettings, coco: Path | None, run: RunFolder, reporter: Reporter
) -> ALPNet:
    network = _network(settings)
    if checkpoints(run.checkpoints):
        return network  # the loop loads the newest checkpoint, COCO's passengers included
    if coco is not None:
        load_coco(network, coco)
    elif settings.network.encoder == "resnet101":
        reporter.warning(
            "The ResNet-101 starts from random weights, which needs far more steps than a pre-trained one.",
            "Give --coco FILE or --download-coco to start as the authors did.",
        )
    return network


def _network(settings: AlpnetSettings) -> ALPNet:
    return build_network(
        settings.network.encoder,
        channels=settings.network.channels,
        compact_widths=settings.network.compact_widths,
        generator_seed=settings.seed,
    )
