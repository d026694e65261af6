"""This method's part of a training run: from the data to a task, and from weights to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.beginning import begin
from SegToolkitLib.methods.cmer.card import make_card
from SegToolkitLib.methods.cmer.cases import given_tags, roles_of
from SegToolkitLib.methods.cmer.data import Reader, Sampler, Scan, cache_folder
from SegToolkitLib.methods.cmer.settings import CmerSettings
from SegToolkitLib.methods.cmer.tags import Tag, check_usable
from SegToolkitLib.methods.cmer.train import CmerTask
from SegToolkitLib.methods.cmer.validation import Figures, validate
from SegToolkitLib.methods.cmer.weights import State, with_seeds
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.models.trained import licence_of
from SegToolkitLib.training.checkpoint import checkpoints, latest_checkpoint
from SegToolkitLib.training.method import Context, Prepared
from SegToolkitLib.training.validation import evaluating

# Above this share of positive slices with blank maps, or below this agreement, maps are of no use.
BLANK_SHARE = 0.2
LEAST_AGREEMENT = 0.1


def prepare(context: Context) -> Prepared:
    """Read slices and tags and build the task.

    Raises:
        SegToolkitError: "no-cases", "image-channels", "no-masks", "no-visible-slice", "no-empty-slice",
            "nothing-seen", "slice-sizes", and what folds and tags raise.
    """
    settings: CmerSettings = context.settings
    dataset = dataset_of(context)
    if settings.network.image_channels != 1:
        raise SegToolkitError(
            "image-channels",
            f"Networks for images of {settings.network.image_channels} channels cannot be trained here.",
            "Each modality is a volume of one: set network.image_channels=1.",
        )
    roles = roles_of(dataset, settings.data)
    tags = given_tags(dataset, settings.data.modalities[0], context.places.get("tags"))
    cache = context.places.get("cache", cache_folder())
    reader = Reader(
        dataset, settings.data, settings.input, tags, cache, context.reporter, settings.supervision
    )
    train = reader.read(roles.train, "training cases")
    held_out = reader.read(roles.held_out, "held-out cases")
    if not train:
        raise SegToolkitError(
            "no-cases", "None of the training cases could be read.", "The warnings before this line say why."
        )
    counts = check_usable({scan.id: scan.tags for scan in train}, settings.supervision)
    watched = train if settings.selection.cases == "training" else held_out
    _check_masks(settings, watched)
    sampler = Sampler(train, settings)
    _check_seen(sampler)
    if settings.optimiser.steps_per_epoch is None:
        settings = _with_round(context, sampler)
        sampler = Sampler(train, settings)
    context.reporter.info(
        f"{counts.visible} slices show the object, {counts.not_visible} do not, {counts.not_tagged} are not"
        f" tagged; with those left out in which nothing can be seen, a round of {len(sampler.index)} slices"
        f" takes {sampler.batches} steps. An epoch has {settings.steps_per_epoch}."
    )
    fingerprint: dict[str, Any] = {
        "dataset": dataset.description.name,
        "train": [scan.id for scan in train],
        "held_out": [scan.id for scan in held_out],
        "sha256": reader.checksums | {f"tags of {scan.id}": _told(scan) for scan in (*train, *held_out)},
        "steps_per_epoch": settings.steps_per_epoch,
    }
    state: State | None = None
    folder = context.places.get("start")
    # A run that goes on has the weights it began with in its checkpoints, for the seeds to come.
    if folder is not None and not checkpoints(context.run.checkpoints):
        state, begun = begin(settings, folder)
        begun.tell(licence_of(dataset.description), dataset, roles.held_out, context.reporter)
        fingerprint |= begun.kept()
    return Prepared(CmerTask(sampler, settings, context.device, watched, state), fingerprint)


def finish(context: Context, task: CmerTask) -> Path:
    """Write the model's folder: of each modality the best weights, and thresholds from the validation."""
    settings: CmerSettings = context.settings
    # The weights of the best step of all modalities are loaded by now; each has its own, up to the end.
    newest = latest_checkpoint(context.run.checkpoints)
    if settings.use_best and newest is not None:
        task.load_extra_state(newest["extra"])
        task.take_kept()
    seeds = task.seed_states()
    figures = None
    if task.watched:
        with evaluating(task.network):
            figures = validate(task.network, task.watched, settings, task.device)
        _tell(context.reporter, figures)
    card = make_card(context, dataset_of(context), figures, task.kept, max(1, len(seeds)))
    model = context.run.result / "model"
    save_model(model, card, with_seeds(task.network.state_dict(), seeds))
    return model


def dataset_of(context: Context) -> Dataset:
    """The data set of the run."""
    assert context.dataset is not None  # the method says that it needs one
    return context.dataset


def _check_seen(sampler: Sampler) -> None:
    """Tags that suffice may not do so any more without the slices in which nothing can be seen."""
    seen: dict[str, list[Tag]] = {scan.id: [] for scan in sampler.scans}
    for number, _, tag in sampler.index:
        seen[sampler.scans[number].id].append(tag)
    tagged = sum(tag is not None for scan in sampler.scans for tag in scan.tags)
    check_usable(seen, sampler.settings.supervision, tagged - len(sampler.index))


def _with_round(context: Context, sampler: Sampler) -> CmerSettings:
    """The settings of an epoch that is one round through the slices, which the run has from here on.

    In the run's folder the settings stay as they were given; a run that goes on has the epochs it began with.
    """
    kept = (context.run.settings().get("data") or {}).get("steps_per_epoch")
    drawn = sampler.settings.accumulate * context.group.world
    settings = sampler.settings.with_round(kept or -(-sampler.batches // drawn))
    context.settings = settings
    if context.group.leader and not kept:
        about = {**context.run.settings(), "steps": settings.total_steps}
        write_json(context.run.settings_file, about)
    return settings


def _check_masks(settings: CmerSettings, watched: list[Scan]) -> None:
    if settings.selects_by == "dsc" and watched and not any(scan.mask is not None for scan in watched):
        kind = "training" if settings.selection.cases == "training" else "held-out"
        raise SegToolkitError(
            "no-masks",
            f"The best weights are to be chosen by DSC, and no {kind} case has a mask.",
            "Set selection.by=accuracy or loss, or hold out a case with a mask (data.fold).",
        )


def _tell(reporter: Reporter, figures: Figures) -> None:
    for modality, share in figures.blank.items():
        if share > BLANK_SHARE:
            reporter.warning(
                f"In {share:.0%} of the slices that show the object, the map of {modality} is blank:"
                " its network has learnt the tags by what is absent.",
                "Train with another seed (seeds=3 keeps the best of three), or set maps.source=difference.",
            )
    if figures.agreement < LEAST_AGREEMENT:
        reporter.warning(
            f"The maps of the modalities hardly agree (soft Dice {figures.agreement:.2f}), so some of"
            " them lie beside the object.",
            "Look at the pictures of the run; train with other seeds.",
        )


def _told(scan: Scan) -> str:
    return "".join({True: "1", False: "0", None: "-"}[tag] for tag in scan.tags)
