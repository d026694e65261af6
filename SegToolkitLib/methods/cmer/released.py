"""The authors' JSON configuration as our settings, and our settings with the authors' mistakes.

Imports no torch.
Source: released configurations and code of WSS-CMER.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.settings import KINDS, CmerSettings
from SegToolkitLib.validation import read_json, validated

# Their field -> ours.
SAME = {
    "num_classes": "network.classes",
    "downsize_nb_filters_factor": "network.width_factor",
    "dropout": "network.dropout",
    "learning_rate": "optimiser.learning_rate",
    "weight_decay": "optimiser.weight_decay",
    "batch_size": "optimiser.batch",
    "max_epoch": "optimiser.epochs",
    "lmda": "loss.kl_weight",
    "temp": "loss.temperature",
    "seed": "seed",
    "data_loader_workers": "workers",
    "img_size": "input.size",
}
# What else is to be known of a field that is taken over.
NOTES = {
    "max_epoch": "of one round through all slices each (optimiser.steps_per_epoch=null)",
    "img_size": "their code never reads it, but it is the size of their slices",
}
# What a run is told besides its settings.
PLACES = {
    "exp_name": "name of the run",
    "data_root": "slices for training and validation",
    "data_root_infer": "whole patients to make maps of",
    "pretrained_model": "weights to start from",
}
_NOT_READ = "the authors' code never reads it"
_MACHINE = "the machine is chosen when a run is started"
IGNORED = {
    **dict.fromkeys(
        (
            "eps",
            "betas",
            "momentum",
            "loss_eps",
            "validate_every",
            "data_loader",
            "async_loading",
        ),
        _NOT_READ,
    ),
    **dict.fromkeys(("cuda", "gpu_device", "pin_memory", "run_on_cluster"), _MACHINE),
    "agent": "there is one kind of training alone",
    "mode": "the command says what is done",
    "augmentation": "its flips and turns never run in the authors' code",
    "checkpoint_file": "checkpoints have our names; export writes the authors'",
    "pretrained": "a run is told by itself what to start from",
}
# Handled by themselves.
OTHERS = ("modality", "num_models", "input_channels", "model_archs", "transformation")
MISTAKES: dict[str, Any] = {
    "input": {"fit": "crop"},
    "loss": {"kl": "released"},
    "transform": {"rotation": "released", "scaling": "sizes"},
    "schedule": {"at_epoch_ends": False, "norms": "released"},
    "selection": {"average": "released"},
    "data": {"smallest_batch": 1, "augment": {"modalities": "released"}},
}


@dataclass(frozen=True)
class Converted:
    """What became of a configuration.

    Attributes:
        settings: ours.
        mapped: their field -> ours.
        places: their field -> its text: names and folders, which are no settings.
        ignored: their field -> why it is left out.
        unknown: fields that the authors' configurations do not have.
    """

    settings: CmerSettings
    mapped: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of our settings that the configuration decides."""
        rounds = ("optimiser.steps_per_epoch",) if "max_epoch" in self.mapped else ()
        return (*self.mapped.values(), *rounds)

    def lines(self) -> list[str]:
        """What a person reads, a line a field."""
        return [
            *(
                f"{theirs}: taken as {ours}" + (f", {NOTES[theirs]}" if theirs in NOTES else "")
                for theirs, ours in self.mapped.items()
            ),
            *(
                f"{theirs}: {text} ({PLACES[theirs]}; to be given by itself)"
                for theirs, text in self.places.items()
            ),
            *(f"{theirs}: ignored, {reason}" for theirs, reason in self.ignored.items()),
            *(f"{theirs}: unknown, ignored" for theirs in self.unknown),
        ]


def read_config(file: Path, base: CmerSettings | None = None) -> Converted:
    """Read the authors' configuration, unchanged.

    Args:
        file: JSON.
        base: settings of what the configuration does not say; None takes the defaults.

    Raises:
        SegToolkitError: the file cannot be read; "bad-config": fields contradict each other, or name what
            does not exist; "description": a value is out of range.
    """
    given = read_json(Path(file))
    what = str(file)
    values = (base or CmerSettings()).model_dump(mode="json")
    mapped: dict[str, str] = {}
    for theirs, ours in SAME.items():
        if theirs in given:
            _set(values, ours, given[theirs])
            mapped[theirs] = ours
    if "max_epoch" in given:
        _set(values, "optimiser.steps_per_epoch", None)
    _set_modalities(values, given, mapped, what)
    if "transformation" in given:
        _set(values, "transform.kinds", _kinds(given["transformation"], what))
        mapped["transformation"] = "transform.kinds"
    if any(arch != "UNet" for arch in _listed(given.get("model_archs", "UNet"))):
        raise _bad(f"{what} wants {given['model_archs']}, and the method has UNet alone.", "Write UNet.")
    ignored = {theirs: reason for theirs, reason in IGNORED.items() if theirs in given}
    ignored |= {
        theirs: "it only counts what is listed" for theirs in ("model_archs", "num_models") if theirs in given
    }
    return Converted(
        validated(CmerSettings, values, what),
        mapped,
        {theirs: str(given[theirs]) for theirs in PLACES if theirs in given},
        ignored,
        tuple(theirs for theirs in given if theirs not in {*SAME, *PLACES, *IGNORED, *OTHERS}),
    )


def as_released(settings: CmerSettings) -> CmerSettings:
    """The same with the authors' mistakes where a setting has them, to reproduce their code.

    A mistake that stops their training has no setting: scaling, which crashes.
    """
    values = settings.model_dump(mode="json")
    for part, changes in MISTAKES.items():
        for name, value in changes.items():
            values[part][name] = values[part][name] | value if isinstance(value, dict) else value
    if len(settings.data.modalities) > 2:
        # Their data for four modalities are not shifted at all.
        values["data"]["augment"]["shift"] = 0.0
    return validated(CmerSettings, values, "The settings as released")


def _set_modalities(
    values: dict[str, Any], given: Mapping[str, Any], mapped: dict[str, str], what: str
) -> None:
    if "modality" in given:
        names = [name.strip() for name in ",".join(map(str, _listed(given["modality"]))).split(",")]
        if given.get("num_models", len(names)) != len(names):
            raise _bad(
                f"{what} has {given['num_models']} models and the modalities {', '.join(names)}.",
                "There must be one model a modality.",
            )
        values["data"]["modalities"] = names
        mapped["modality"] = "data.modalities"
    if "input_channels" in given:
        channels = _listed(given["input_channels"])
        if not channels or any(one != channels[0] for one in channels):
            raise _bad(
                f"{what} gives the modalities {given['input_channels']} channels.",
                "All modalities must have equally many.",
            )
        values["network"]["image_channels"] = channels[0]
        mapped["input_channels"] = "network.image_channels"


def _kinds(transformation: object, what: str) -> list[str]:
    if transformation == "all":
        return list(KINDS)
    if transformation not in KINDS:
        raise _bad(
            f"{what}: there is no transformation {transformation!r}.", f"There are all, {', '.join(KINDS)}."
        )
    return [str(transformation)]


def _set(values: dict[str, Any], path: str, value: object) -> None:
    *folders, name = path.split(".")
    for folder in folders:
        values = values[folder]
    values[name] = value


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _bad(message: str, hint: str) -> SegToolkitError:
    return SegToolkitError("bad-config", message, hint)
