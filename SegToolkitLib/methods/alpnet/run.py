"""A training run of ALPNet from its settings to the model folder in its result."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, replace
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
from SegToolkitLib.training.checkpoint import checkpoints
from SegToolkitLib.training.loop import LoopOptions, train
from SegToolkitLib.training.run_folder import LoggedReporter, RunFolder
from SegToolkitLib.validation import validated


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

    A resumed run knows all this; what is given again says where the files lie now.
    """

    dataset: str | None = None
    data: Path | None = None
    superpixels: Path | None = None
    coco: Path | None = None
    download_coco: bool = False
    name: str = "alpnet"
    command: str = ""


def run_training(
    folder: Path,
    settings: AlpnetSettings | None,
    start: Start,
    device: torch.device,
    reporter: Reporter,
    *,
    resume: bool = False,
) -> Path | None:
    """Train, or go on training, and write the model to ``<folder>/result/model``.

    Args:
        folder: run folder.
        settings: of a new run; a resumed run keeps those it was started with and refuses others.
        start: data and initial weights; a resumed run keeps its own but for places that are given.
        device: where to train.
        reporter: hears of progress.
        resume: go on with the run in ``folder``.

    Returns:
        The model folder, or None where the run was asked to stop.

    Raises:
        SegToolkitError: "settings-fixed" where a resumed run is given other settings, and what reading,
            training and writing raise.
    """
    run = RunFolder.open(folder) if resume else RunFolder(folder)
    if resume:
        settings = stored_settings(run, settings)
        start = _stored_start(run, start)
    else:
        run.refuse_existing()
    settings = settings or AlpnetSettings()
    try:
        return _train(run, settings, start, device, LoggedReporter(run, reporter), resume)
    except SegToolkitError as error:
        if run.settings_file.exists():
            run.event("error", code=error.code, text=error.message, hint=error.hint)
        run.log(f"Error: {error.message} {error.hint}".rstrip())
        raise
    except BaseException as error:
        run.log(f"Ended by {type(error).__name__}: {error}")
        raise


def _train(
    run: RunFolder,
    settings: AlpnetSettings,
    start: Start,
    device: torch.device,
    reporter: Reporter,
    resume: bool,
) -> Path | None:
    if start.dataset is None:
        raise SegToolkitError(
            "no-dataset", "No data set is given, and the run does not name one.", "Give --dataset."
        )
    dataset = Dataset.open(start.dataset, start.data)
    data = load_training_data(dataset, settings, start.superpixels or run.path / "superpixels", reporter)
    sampler = _sampler(settings, data, dataset.description.modality)
    if resume:
        _check_same_data(run, data)
    else:
        start = _with_coco(start, reporter)
    network = _initial_network(settings, start, run, reporter)
    if not resume:
        RunFolder.create(
            run.path, "alpnet", settings.model_dump(mode="json"), data.fingerprint, _describe(start)
        )
    seed_everything(settings.seed)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    task = AlpnetTask(network, sampler, settings, device)
    options = LoopOptions(
        steps=settings.optimiser.steps,
        snapshot_every=settings.snapshot_every,
        log_every=settings.log_every,
        precision=settings.precision,
        max_skip_share=settings.max_skip_share,
    )
    if not train(task, run, options, device, reporter):
        return None
    card = make_card(start.name, start.command, settings, dataset, data, run)
    model = run.result / "model"
    save_model(model, card, task.network.cpu().authors_state_dict())
    return model


def stored_settings(run: RunFolder, asked: AlpnetSettings | None) -> AlpnetSettings:
    """Settings that a run was started with.

    Raises:
        SegToolkitError: "settings-fixed": ``asked`` differs from them.
    """
    kept = validated(AlpnetSettings, run.settings()["settings"], str(run.settings_file))
    if asked is not None and asked != kept:
        old, new = (_flat(one.model_dump(mode="json")) for one in (kept, asked))
        differing = [f"{name}={old.get(name)}, not {new[name]}" for name in new if old.get(name) != new[name]]
        raise SegToolkitError(
            "settings-fixed",
            f"The run {run.path} was started with {'; '.join(differing)}.",
            "Resume it without settings, or start a new run with these in another folder.",
        )
    return kept


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _describe(start: Start) -> dict[str, Any]:
    """What settings.json keeps of the start, so that the run can be resumed from its folder alone."""
    plain = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(start).items()
        if name != "download_coco"
    }
    coco = hashlib.sha256(start.coco.read_bytes()).hexdigest() if start.coco else None
    return {**plain, "coco_sha256": coco, "threads": torch.get_num_threads()}


def _stored_start(run: RunFolder, given: Start) -> Start:
    """The start that a run was given, with the places that are given now instead of its own."""
    kept = run.settings().get("start")
    if not kept:
        return given  # a run from before they were kept
    if given.coco is not None and kept["coco"] is None:
        raise SegToolkitError(
            "settings-fixed",
            f"The run {run.path} was started without COCO weights.",
            "Resume it without --coco, or start a new run with it in another folder.",
        )
    # The number of threads decides the order of sums, so another one gives other last digits.
    torch.set_num_threads(max(1, min(int(kept["threads"]), os.cpu_count() or 1)))

    def path(name: str) -> Path | None:
        return Path(kept[name]) if kept[name] else None

    coco = given.coco or path("coco")
    if coco is not None and not checkpoints(run.checkpoints):
        _check_coco(coco, kept["coco_sha256"])
    return replace(
        given,
        dataset=given.dataset or kept["dataset"],
        data=given.data or path("data"),
        superpixels=given.superpixels or path("superpixels"),
        coco=coco,
        download_coco=False,
        name=kept["name"],
        command=kept["command"],
    )


def _check_coco(file: Path, sha256: str) -> None:
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
        raise SegToolkitError(
            "coco-changed",
            f"{file} is not the file of COCO weights that the run was started with, or is missing.",
            "Say with --coco where it lies.",
        )


def _with_coco(start: Start, reporter: Reporter) -> Start:
    """Fetch the COCO weights where that is asked for."""
    if not start.download_coco:
        return start
    file = download_coco(
        Path.home() / ".SegToolkit" / "downloads",
        lambda done, total: reporter.progress("download", done, total),
    )
    return replace(start, coco=file)


def seed_everything(seed: int) -> None:
    """Seed the global generators; everything drawn for episodes has generators of its own."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (the global state that other libraries use)


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


def _initial_network(settings: AlpnetSettings, start: Start, run: RunFolder, reporter: Reporter) -> ALPNet:
    network = build_network(
        settings.network.encoder,
        channels=settings.network.channels,
        compact_widths=settings.network.compact_widths,
        generator_seed=settings.seed,
    )
    if checkpoints(run.checkpoints):
        return network  # the loop loads the newest checkpoint, COCO's passengers included
    if start.coco is not None:
        load_coco(network, start.coco)
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
