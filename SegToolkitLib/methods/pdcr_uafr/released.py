"""The authors' YAML configurations as our settings, with a report of every key.

Only the README's example shows how keys are nested, so a key is known by its name below any section. Paths
and the cluster's keys have no place here.
Source: README and demo configuration of the released code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.settings import PdcrUafrSettings
from SegToolkitLib.settings import read_settings
from SegToolkitLib.validation import validated

# Never read by the authors' code, or of their cluster, or fixed here; and why.
IGNORED = {
    "num_workers": "'workers' is set per machine",
    "port": "of the authors' cluster",
    "mc": "of the authors' cluster",
    "syncbn": "several GPUs share their norms by the engine",
    "freeze_bn": "read by the authors' code and never applied",
    "loss_layerchoice": "used nowhere",
    "distance_measure": "always cosine",
    "fea_weight_choice": "the names of the criterions decide",
    "dataset.mode": "the data set is an argument",
    "sample_strategy": "see pdcr.sampler",
    "instance_dis": "used nowhere",
    "num_classes": "follows from the labels",
    "root_path": "the data set is an argument",
    "preload": "data are cached on disk",
    "modality": "this network is 2-D",
    "metric_used": "all metrics are written",
    "rank_metric": "all metrics are written",
    "resize_interpolation": "bilinear or nearest, by resize_option",
    "start_test_epoch": "see validate_every",
    "test_intertest": "see validate_every",
    "data_aug": "see augment, whose defaults are released",
}
# Keys of which a configuration has some; none of them is a name of ours.
MARKS = frozenset({"criterions", "model", "optm", "schd", "batch_size", "bcl_layer_choice", "layer_sample"})
NAMES = {
    "DeepLab_bcl_att2": "the network",
    "xception_bcl_att2": "the backbone",
}
# Vectors of the layers, where only the layers are given.
LAYER_SAMPLES = (128, 64, 32, 8, 8, 8, 8)
CROSS_SAMPLES = (32,) * 5
SCHEDULES = {"cos": "cosine", "step": "step", "exp": "exponential"}
TERMS = {
    "encoder_patchseries": "encoder",
    "decoder_patchseries": "decoder",
    "multi_layer_patchseries": "cross",
}


@dataclass
class Translation:
    """What became of a configuration.

    Attributes:
        settings: ours; what the configuration does not say is as our defaults have it.
        mapped: key -> our setting.
        ignored: key -> why it has no effect.
        unknown: keys that nothing here knows.
    """

    settings: PdcrUafrSettings
    mapped: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def text(self) -> str:
        """What a person reads, one line a key that did not become a setting."""
        lines = [f"{len(self.mapped)} keys became settings"]
        if "optimiser.epochs" in self.mapped.values():
            optimiser = self.settings.optimiser
            lines.append(
                "an epoch of the authors is a round through all images; here it is optimiser.steps_per_epoch"
                f" = {optimiser.steps_per_epoch} updates: set it to the images divided by {optimiser.batch}"
            )
        lines += [f"ignored: {key} ({why})" for key, why in self.ignored.items()]
        lines += [f"unknown: {key}" for key in self.unknown]
        return "\n".join(lines)


def read_released(file: Path, base: PdcrUafrSettings | None = None) -> Translation:
    """Read a configuration.

    Args:
        file: YAML (needs PyYAML), or the same as JSON.
        base: what is not said; None takes our defaults.

    Raises:
        SegToolkitError: "bad-configuration": a value makes no sense; "description": out of range; or what
            ``read_settings`` raises.
    """
    return translated(read_settings(Path(file)), base, str(file))


def is_released(file: Path) -> bool:
    """Whether a file of settings is a configuration of the authors' code: ours has other names at its top.

    Raises:
        SegToolkitError: what ``read_settings`` raises.
    """
    found = read_settings(Path(file))
    return not set(found) <= set(PdcrUafrSettings.model_fields) and bool(
        MARKS & {part for path, _ in _leaves(found) for part in path}
    )


def overrides(found: Translation) -> list[str]:
    """What a configuration says, as ``name=value``; other settings stay free."""
    values = found.settings.model_dump(mode="json")
    said = {target for targets in found.mapped.values() for target in targets.split(", ")}
    changed = dict(_differing(PdcrUafrSettings().model_dump(mode="json"), values))
    changed |= {target: _at(values, target) for target in sorted(said)}
    return [f"{name}={json.dumps(value)}" for name, value in changed.items()]


def _differing(
    usual: Mapping[str, Any], values: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        before = usual.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            yield from _differing(before, value, f"{above}{name}.")
        elif value != before:
            yield f"{above}{name}", value


def _at(values: Any, target: str) -> Any:
    for part in target.split("."):
        values = values[part]
    return values


def translated(
    values: Mapping[str, Any], base: PdcrUafrSettings | None = None, what: str = "The configuration"
) -> Translation:
    """The same of a configuration that was read already."""
    settings: dict[str, Any] = (base or PdcrUafrSettings()).model_dump(mode="json")
    mapped: dict[str, str] = {}
    ignored: dict[str, str] = {}
    unknown: list[str] = []
    for path, value in _leaves(values):
        dotted = ".".join(path)
        full = ".".join(path[-2:])  # "mode" means one thing in each section
        why = next((IGNORED[part] for part in (*path, full) if part in IGNORED), None)
        rule = RULES.get(full) or RULES.get(path[-1])
        if why is not None:
            ignored[dotted] = why
        elif isinstance(value, str) and value in NAMES:
            ignored[dotted] = f"{NAMES[value]} is always this one"
        elif rule is None:
            unknown.append(dotted)
        else:
            try:
                mapped[dotted] = rule(settings, value)
            except (TypeError, ValueError, LookupError) as error:
                raise SegToolkitError(
                    "bad-configuration",
                    f"{what}: {dotted} is {value!r}, which makes no sense here.",
                    "Compare with the example in the authors' README.",
                ) from error
    try:
        _join(settings, {path[-1]: value for path, value in _leaves(values)})
    except (TypeError, ValueError, LookupError) as error:
        raise SegToolkitError(
            "bad-configuration",
            f"{what}: {error}.",
            "Compare with the example in the authors' README.",
        ) from error
    return Translation(validated(PdcrUafrSettings, settings, what), mapped, ignored, unknown)


Rule = Callable[[dict[str, Any], Any], str]


def _leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        path = (*above, str(key))
        if isinstance(value, Mapping) and str(key) not in IGNORED:
            yield from _leaves(value, path)
        else:
            yield path, value


def _to(target: str, change: Callable[[Any], Any] = lambda value: value) -> Rule:
    def rule(settings: dict[str, Any], value: Any) -> str:
        _set(settings, target, change(value))
        return target

    return rule


def _set(settings: dict[str, Any], target: str, value: Any) -> None:
    *above, last = target.split(".")
    for part in above:
        settings = settings[part]
    settings[last] = value


def _size(value: Any) -> list[int]:
    """Theirs is width, height, channels."""
    width, height = value[:2]
    return [int(height), int(width)]


def _resize(value: Any) -> str:
    return {"resize_first": "first", "resize_after": "after"}[value]


def _criterions(settings: dict[str, Any], value: Any) -> str:
    """The terms with their weights; a term that is not named does not count."""
    given = {str(name): float(weight) for name, weight in value}
    entropy = given.pop("ce")
    if entropy != 1 or not given.keys() <= TERMS.keys():
        raise ValueError(value)
    settings["pdcr"]["weights_of_terms"] = dict.fromkeys(TERMS.values(), 0.0) | {
        TERMS[name]: weight for name, weight in given.items()
    }
    return "pdcr.weights_of_terms"


def _series(value: Any) -> str:
    return "series" if bool(value) else "average"


def _choice(value: Any) -> list[int]:
    return [int(one) for one in value]


def _join(settings: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Settings that several keys make together."""
    pdcr = settings["pdcr"]
    if "layer_sample" in given or "bcl_layer_choice" in given:
        counts = _choice(given.get("layer_sample", LAYER_SAMPLES))
        if max(pdcr["encoder_layers"], default=0) > len(counts) or len(counts) < 4:
            raise ValueError(
                f"layer_sample has {len(counts)} numbers, too few for the layers that are chosen"
            )
        pdcr["encoder_samples"] = [counts[layer - 1] for layer in pdcr["encoder_layers"]]
        pdcr["decoder_samples"] = {"low": counts[2], "mid": counts[3]}
    if "layer_sample_multilayer" in given or "bcl_multi_layer_choice" in given:
        counts = _choice(given.get("layer_sample_multilayer", CROSS_SAMPLES))
        if max(pdcr["cross_layers"], default=0) > len(counts):
            raise ValueError(f"layer_sample_multilayer has only {len(counts)} numbers")
        pdcr["cross_samples"] = [counts[layer - 1] for layer in pdcr["cross_layers"]]
    if len({bool(value) for key, value in given.items() if key.startswith("similarityfirst_")}) > 1:
        raise ValueError(
            "the three keys similarityfirst_... differ, and there is one pdcr.mode for all terms"
        )
    if int(given.get("patchnumber", len(pdcr["patch_sizes"]))) != len(pdcr["patch_sizes"]):
        raise ValueError(
            f"patchnumber is {given['patchnumber']}, and patchsize has {len(pdcr['patch_sizes'])}"
        )
    if "save_checkpoint" in given:
        settings["snapshot_every"] = int(given["save_checkpoint"]) * settings["optimiser"]["steps_per_epoch"]
    if not given.get("aug", True):
        settings["augment"] = None


def _made(target: str) -> Rule:
    """For a key that :func:`_join` reads."""
    return lambda settings, value: target


RULES: dict[str, Rule] = {
    "epochs": _to("optimiser.epochs", int),
    "batch_size": _to("optimiser.batch", int),
    "seed": _to("seed", int),
    "criterions": _criterions,
    "class_weight": _to("loss.class_weights", lambda value: [float(one) for one in value]),
    "loss_temperature": _to("pdcr.temperature", float),
    "save_checkpoint": _made("snapshot_every"),
    "input_channel": _to("network.channels", int),
    "aug": _made("augment"),
    "output_stride": _to("network.output_stride", int),
    "layer_sample": _made("pdcr.encoder_samples, pdcr.decoder_samples"),
    "bcl_layer_choice": _to("pdcr.encoder_layers", _choice),
    "bcl_multi_layer_choice": _to("pdcr.cross_layers", _choice),
    "layer_sample_multilayer": _made("pdcr.cross_samples"),
    "patchnumber": _made("pdcr.patch_sizes"),
    "patchsize": _to("pdcr.patch_sizes", _choice),
    "similarityfirst_encoder": _to("pdcr.mode", _series),
    "similarityfirst_decoder": _to("pdcr.mode", _series),
    "similarityfirst_multi": _to("pdcr.mode", _series),
    "patchforeground_weight": _to("pdcr.patch_weights", lambda value: [float(one) for one in value]),
    "uncertainty_att_layerchoice": _to("network.uafr.positions", _choice),
    "input_size": _to("input.size", _size),
    "mean": _to("input.mean"),
    "std": _to("input.std"),
    "resize_option": _to("inference.resize", _resize),
    "optm.mode": _to("optimiser.name", lambda value: {"adam": "adam", "sgd": "sgd"}[value]),
    "use_larc": _to("optimiser.larc", bool),
    "lr": _to("optimiser.learning_rate", float),
    "base_lr": _to("optimiser.learning_rate", float),
    "weight_decay": _to("optimiser.weight_decay", float),
    "momentum": _to("optimiser.momentum", float),
    "betas": _to("optimiser.betas"),
    "schd.mode": _to("schedule.kind", lambda value: SCHEDULES[value]),
    "final_lr": _to("schedule.final", float),
    "warmup": _to("schedule.warm_up", int),
    "start_warmup": _to("schedule.warm_up_from", float),
    "step_decay": _to("schedule.step_factor", float),
}
