"""This method's part of a training run: from the data to a task, and from weights to a model folder."""

from __future__ import annotations

from pathlib import Path

from SegToolkitLib.anatomy import tell_of_mirroring
from SegToolkitLib.atomic import write_json
from SegToolkitLib.automatic.begun import Begun
from SegToolkitLib.dataset.classes import class_names
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.labelled import CASES_FILE, Roles, roles_of, tell_roles
from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.pdcr_uafr.beginning import begin
from SegToolkitLib.methods.pdcr_uafr.card import make_card
from SegToolkitLib.methods.pdcr_uafr.data import Sampler
from SegToolkitLib.methods.pdcr_uafr.network import build_network
from SegToolkitLib.methods.pdcr_uafr.reading import Reader, cache_folder
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings
from SegToolkitLib.methods.pdcr_uafr.train import PdcrUafrTask, regulariser
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.models.trained import licence_of
from SegToolkitLib.training.checkpoint import checkpoints
from SegToolkitLib.training.method import Context, Prepared


def prepare(context: Context) -> Prepared:
    """Bring the images to the plan's size and build the task.

    Raises:
        SegToolkitError: "no-cases", "no-slices", "class-count", and what folds, labels and layers raise.
    """
    settings: PdcrUafrSettings = context.settings
    dataset = dataset_of(context)
    names = class_names(dataset, settings.data)
    # What does not fit is told before hundreds of images are read.
    regulariser(settings, len(names) + 1)
    roles = roles_of(dataset, settings.data, settings.seed)
    _tell(context.reporter, settings, dataset, roles)
    if settings.augment is not None and (settings.augment.flip_columns or settings.augment.flip_rows):
        hint = "Set augment.flip_columns=0 and augment.flip_rows=0."
        tell_of_mirroring(names.values(), hint, context.reporter)
    cache = context.places.get("cache", cache_folder())
    reader = Reader(dataset, settings.data, settings.input, cache, context.reporter)
    train = reader.read(roles.train, "training cases")
    held_out = reader.read(roles.held_out, "held-out cases", whole=True)
    if not train:
        raise SegToolkitError(
            "no-cases", "None of the training cases could be read.", "The warnings before this line say why."
        )
    if not any(len(scan.arrays["filled"]) for scan in train):
        raise SegToolkitError(
            "empty-label",
            "No training image shows a structure.",
            "Check the labels, and the values under 'labels' in the dataset.json.",
        )
    sampler = Sampler(
        train, settings.data, settings.augment, settings.input, settings.optimiser.batch, settings.seed
    )
    count = len(sampler.index)
    context.reporter.info(f"{count} training images: a round takes about {sampler.batches} steps.")
    network = build_network(settings.network, len(names) + 1, settings.seed)
    begun = Begun()
    if not checkpoints(context.run.checkpoints):
        begun = begin(network, context.places, names, context.reporter)
        begun.tell(licence_of(dataset.description), dataset, roles.held_out, context.reporter)
    task = PdcrUafrTask(network, sampler, settings, context.device, held_out, names)
    if context.run.writes:
        listed = {"train": roles.train, "held_out": roles.held_out, "not_drawn": roles.not_drawn}
        listed_by_seed = {"fraction": settings.data.fraction, "seed": settings.seed}
        write_json(
            context.run.path / CASES_FILE, {**listed_by_seed, **{k: list(v) for k, v in listed.items()}}
        )
    fingerprint = {
        "dataset": dataset.description.name,
        "train": [scan.id for scan in train],
        "held_out": [scan.id for scan in held_out],
        "sha256": reader.checksums,
        **begun.kept(),
    }
    return Prepared(task, fingerprint)


def _tell(reporter: Reporter, settings: PdcrUafrSettings, dataset: Dataset, roles: Roles) -> None:
    """What a person might not expect."""
    if any(name.casefold() == IGNORE for name in dataset.description.labels):
        reporter.warning(
            f"Voxels labelled '{IGNORE}' count as background here.",
            "Leave out cases where they hide structures (data.cases).",
        )
    tell_roles(roles, bool(settings.validate_every), reporter)


def finish(context: Context, task: PdcrUafrTask) -> Path:
    """Write the model's folder."""
    card = make_card(context, dataset_of(context))
    model = context.run.result / "model"
    save_model(model, card, task.network.state_dict())
    return model


def dataset_of(context: Context) -> Dataset:
    """The data set of the run."""
    assert context.dataset is not None  # the method says that it needs one
    return context.dataset
