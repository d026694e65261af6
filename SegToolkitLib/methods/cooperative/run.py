"""This method's part of a training run: from the data to a task, and from weights to a model folder."""

from __future__ import annotations

from pathlib import Path

from SegToolkitLib.automatic.begun import Begun
from SegToolkitLib.dataset.classes import class_names
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative.beginning import begin
from SegToolkitLib.methods.cooperative.calibration import calibrated
from SegToolkitLib.methods.cooperative.card import make_card
from SegToolkitLib.methods.cooperative.data import Sampler
from SegToolkitLib.methods.cooperative.doubts import tell
from SegToolkitLib.methods.cooperative.network import build_networks
from SegToolkitLib.methods.cooperative.scans import Reader, cache_folder
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.splits import roles_of
from SegToolkitLib.methods.cooperative.train import CooperativeTask
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.models.trained import licence_of
from SegToolkitLib.training.checkpoint import checkpoints
from SegToolkitLib.training.method import Context, Prepared


def prepare(context: Context) -> Prepared:
    """Bring the volumes to the plan's pixels and build the task.

    Raises:
        SegToolkitError: "no-cases", "no-slices", "image-channels", and what the splits and labels raise.
    """
    settings: CooperativeSettings = context.settings
    dataset = dataset_of(context)
    if settings.network.image_channels != 1:
        raise SegToolkitError(
            "image-channels",
            f"Networks for images of {settings.network.image_channels} channels cannot be trained here.",
            "Volumes have one: set network.image_channels=1.",
        )
    names = class_names(dataset, settings.data)
    roles = roles_of(dataset, settings.data)
    cache = context.places.get("cache", cache_folder())
    reader = Reader(dataset, settings.data, settings.input, cache, context.reporter)
    train = reader.read(roles.train, "training cases")
    held_out = reader.read(roles.held_out, "held-out cases")
    if not train:
        raise SegToolkitError(
            "no-cases", "None of the training cases could be read.", "The warnings before this line say why."
        )
    tell(context.reporter, settings, dataset, roles, train, held_out, names)
    sampler = Sampler(
        train, settings.data, settings.augment, settings.input, settings.optimiser.batch, settings.seed
    )
    context.reporter.info(f"{len(sampler.index)} training slices: a round takes {sampler.batches} steps.")
    network = build_networks(settings.network, len(names) + 1, settings.seed)
    task = CooperativeTask(network, sampler, settings, context.device, held_out, names)
    begun = Begun()
    if not checkpoints(context.run.checkpoints):
        begun = begin(network, task.optimiser, context.places, names, context.reporter)
        begun.tell(licence_of(dataset.description), dataset, roles.held_out, context.reporter)
    fingerprint = {
        "dataset": dataset.description.name,
        "train": [scan.id for scan in train],
        "held_out": [scan.id for scan in held_out],
        "sha256": reader.checksums,
        **begun.kept(),
    }
    return Prepared(task, fingerprint)


def finish(context: Context, task: CooperativeTask) -> Path:
    """Write the model's folder: the networks, and what usual slices look like to them."""
    task.settle()
    typicality = calibrated(
        task.network, task.sampler.scans, task.held_out, task.settings, task.device, context.reporter
    )
    card = make_card(context, dataset_of(context), task.names, typicality)
    model = context.run.result / "model"
    save_model(model, card, task.network.state_dict())
    return model


def dataset_of(context: Context) -> Dataset:
    """The data set of the run."""
    assert context.dataset is not None  # the method says that it needs one
    return context.dataset
