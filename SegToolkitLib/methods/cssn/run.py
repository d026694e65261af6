"""This method's part of a training run: from the data to a task, and from weights to a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.card import make_card
from SegToolkitLib.methods.cssn.cases import Roles, organs_of, roles_of
from SegToolkitLib.methods.cssn.coarse import RULES, Coarse
from SegToolkitLib.methods.cssn.data import Sampler
from SegToolkitLib.methods.cssn.kept_coarse import CHECKSUM, coarse_of_run
from SegToolkitLib.methods.cssn.reading import Reader, cache_folder
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.methods.cssn.train import CssnTask, build_networks
from SegToolkitLib.methods.cssn.weights import for_stage
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.training.method import Context, Prepared


def prepare(context: Context) -> Prepared:
    """Bring the cases to the network's size and build the task."""
    dataset = _dataset(context)
    settings: CssnSettings = context.settings.for_modality(dataset.description.modality)
    organs = organs_of(dataset)
    roles = _roles(context, dataset)
    coarse = None
    if settings.stage == "fine":
        place = context.places.get("coarse")
        coarse = coarse_of_run(context.run, place, organs, settings.inference, context.reporter)
    if coarse is not None:
        _tell_of_coarse(context, settings, coarse, roles)
    reader = Reader(
        dataset,
        settings,
        organs,
        coarse,
        context.places.get("cache", cache_folder()),
        context.device,
        context.reporter,
    )
    labelled = reader.read(roles.labelled, True, "labelled cases")
    unlabelled = reader.read(roles.unlabelled, False, "unlabelled cases") if settings.cross.enabled else []
    held_out = reader.read(roles.held_out, True, "held-out cases") if settings.validate_every else []
    if not labelled:
        raise SegToolkitError(
            "no-cases", "None of the labelled cases could be read.", "The warnings before this line say why."
        )
    _tell(context, settings, coarse, roles, reader)
    sampler = Sampler(labelled, unlabelled, settings, len(organs), _swaps(settings, organs))
    network = build_networks(settings, len(organs))
    world = context.group.world
    task = CssnTask(network, sampler, settings, context.device, held_out, organs, world, coarse)
    fingerprint = {
        "dataset": dataset.description.name,
        "labelled": [scan.id for scan in labelled],
        "unlabelled": [scan.id for scan in unlabelled],
        "held_out": [scan.id for scan in held_out],
        "sha256": reader.checksums | ({CHECKSUM: coarse.fingerprint} if coarse else {}),
    }
    return Prepared(task, fingerprint)


def finish(context: Context, task: CssnTask) -> Path:
    """Write the model's folder: the better network, with the coarse stage that its training used."""
    settings: CssnSettings = context.settings
    state = for_stage(task.judged[task.better].state_dict(), settings.stage)
    model = context.run.result / "model"
    # What was read at the start, whatever lies in its folder by now.
    coarse = task.coarse.state if task.coarse else {}
    save_model(model, make_card(context, task, _dataset(context)), state | dict(coarse))
    return model


def _dataset(context: Context) -> Dataset:
    assert context.dataset is not None  # the method says that it needs one
    return context.dataset


def _roles(context: Context, dataset: Dataset) -> Roles:
    selected = None
    if table := context.places.get("selection"):
        from SegToolkitLib.methods.cssn.reliability import read_selection

        selected = read_selection(table)
    return roles_of(dataset, context.settings.data, context.settings.seed, selected)


def _tell_of_coarse(context: Context, settings: CssnSettings, coarse: Coarse, roles: Roles) -> None:
    """Warn where the coarse model spoils the test, and say which of its rules hold."""
    if known := coarse.seen(_dataset(context), roles.held_out):
        context.reporter.warning(
            f"The coarse model {coarse.card.name} was trained on {len(known)} held-out case(s) or their"
            f" patients ({', '.join(known[:5])}{' ...' if len(known) > 5 else ''}): the validation's figures"
            " are too good, and 'evaluate --cases held-out' will refuse the model.",
            "Train a coarse model that leaves out the same fold (--fold, --folds), or hold out what it left"
            " out.",
        )
    own = settings.inference
    taken = [name for name in RULES if getattr(own, name) != getattr(coarse.inference, name)]
    if taken:
        context.reporter.info(
            f"The coarse stage keeps rules of {coarse.card.name}: "
            + ", ".join(f"{name}={getattr(coarse.inference, name)}" for name in taken)
            + ". What inference.* sets otherwise than usual holds for both stages."
        )


def _tell(
    context: Context, settings: CssnSettings, coarse: Coarse | None, roles: Roles, reader: Reader
) -> None:
    """Warn of what a person might not expect."""
    warning = context.reporter.warning
    if any(name.casefold() == IGNORE for name in _dataset(context).description.labels):
        warning(
            f"Voxels labelled '{IGNORE}' count as background here.",
            "Leave out cases where they hide structures (data.labelled).",
        )
    if roles.incomplete:
        warning(
            f"{len(roles.incomplete)} case(s) count as unlabelled, because not all structures were looked for"
            f" in them: {', '.join(roles.incomplete[:5])}.",
            "Annotate the others, or leave the structures out of the data set.",
        )
    if roles.not_judged:
        warning(
            f"{len(roles.not_judged)} case(s) do not validate, because not all structures were looked for in"
            f" them: {', '.join(roles.not_judged[:5])}.",
            "Annotate the others, or leave the structures out of the data set.",
        )
    if settings.cross.enabled and not roles.unlabelled:
        warning(
            "There are no unlabelled images: the two networks teach each other on labelled ones alone.",
            "Add unlabelled images to the data set, or train one network (cross.enabled=false).",
        )
    if settings.stage == "fine" and coarse is None:
        warning(
            "Without a coarse model, "
            + ("unlabelled images are" if reader.by_label else "the fine stage is trained on and uses")
            + " whole volumes, where organs are small.",
            "Train a coarse model first (--stage coarse) and name it (--coarse FOLDER).",
        )
    if settings.augment.flips[2] and not settings.augment.swapped:
        warning(
            "Images flip from left to right, but no labels change places.",
            "Name pairs of left and right structures (augment.swapped).",
        )


def _swaps(settings: CssnSettings, organs: Mapping[int, str]) -> dict[int, int]:
    """Pairs of labels as channel numbers, both ways."""
    channels = {value: channel for channel, value in enumerate(organs, start=1)}
    unknown = [value for pair in settings.augment.swapped for value in pair if value not in channels]
    if unknown:
        raise SegToolkitError(
            "bad-setting",
            f"augment.swapped names the label {unknown[0]}, which the data set does not have.",
            f"It has {', '.join(f'{value} {name}' for value, name in organs.items())}.",
        )
    swaps = {}
    for left, right in settings.augment.swapped:
        swaps[channels[left]], swaps[channels[right]] = channels[right], channels[left]
    return swaps
