"""Training configurations of the authors' code (JSON), turned into settings; importing this imports no torch.

Source: keys and values of the released configurations; ablations that these files name are known, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative.plan import CodeKind
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.validation import read_json, validated

POLICY = "ACDC_affine_elastic_intensity"
NETWORK = "FCN_16_standard"
# End of the network's name -> what becomes of the code.
CODES: dict[str, CodeKind] = {"": "separate", "share_code": "shared", "w_o_filter": "unfiltered"}
LOSSES = {"mse": "fit", "ce": "fit", "corr": "correlation"}
SCOPES = {"image code": "image", "shape code": "shape"}
# Single structures of the released labels: 1 left ventricle, 2 myocardium, 3 right ventricle.
SINGLE = {"myocardium_only": {2: 1}, "right_ventricle_only": {3: 1}}
# What other parts of this program are told.
ELSEWHERE = {
    "name": "the name of the run's folder (--run), or --name",
    "data.dataset_name": "the data set (--dataset)",
    "data.root_dir": "the folder of the data set (--data)",
    "data.frame": "the cases of the data set; data.cases chooses some",
    "data.image_format_name": "segtoolkit prepare cooperative --image-pattern",
    "data.label_format_name": "segtoolkit prepare cooperative --label-pattern",
    "data.num_classes": "the labels of the data set",
    "segmentation_model.num_classes": "the labels of the data set",
    "data.use_cache": "always so",
    "learning.use_gpu": "--device",
    "learning.max_iteration": "never reached by the authors' code; a run has epochs x steps_per_epoch steps",
}


@dataclass
class Converted:
    """Settings made of a configuration.

    Attributes:
        settings: the whole.
        overrides: what was mapped, as "name=value".
        report: a line for each key of the file.
    """

    settings: CooperativeSettings
    overrides: list[str] = field(default_factory=list)
    report: list[str] = field(default_factory=list)


def is_authors(file: Path) -> bool:
    """Whether a JSON file is a configuration of the authors' code, and not one of settings."""
    if file.suffix.lower() != ".json":
        return False
    values = read_json(file)
    return "learning" in values and "segmentation_model" in values


def settings_from(
    values: Mapping[str, Any],
    base: CooperativeSettings | None = None,
    source: str = "The configuration",
) -> Converted:
    """Turn a configuration into settings.

    Args:
        values: content of the JSON file.
        base: settings of what the file does not say; None takes the released ones.
        source: names the file in complaints.

    Raises:
        SegToolkitError: a value that means nothing here; the message names the setting.
    """
    base = base or CooperativeSettings()
    mapped = _Mapped(base)
    for key, value in _flat(values):
        mapped.take(key, value)
    mapped.finish()
    settings = validated(CooperativeSettings, mapped.values, source)
    return Converted(settings, mapped.overrides, mapped.report)


def read_configuration(file: Path, base: CooperativeSettings | None = None) -> Converted:
    """:func:`settings_from` of a file."""
    return settings_from(read_json(file), base, str(file))


class _Mapped:
    """Keys taken one after the other."""

    def __init__(self, base: CooperativeSettings) -> None:
        self.values: dict[str, Any] = base.model_dump(mode="json")
        self.overrides: list[str] = []
        self.report: list[str] = []
        self._scope: list[str] | None = None

    def take(self, key: str, value: Any) -> None:
        """One key of the file, "part.key" or "part.part.key"."""
        if key in ELSEWHERE:
            self.report.append(f"{key}: {ELSEWHERE[key]}")
            return
        known = _KEYS.get(key) or _mask_key(key)
        if known is None:
            self.report.append(f"{key} = {value!r}: not known, left out")
        else:
            known(self, key, value)

    def finish(self) -> None:
        """Codes that are out of the file's scope are not masked."""
        if self._scope is not None:
            for scope, name in SCOPES.items():
                if scope not in self._scope:
                    self.set("latent_DA.mask_scope", f"step.masking.{name}", None)

    def set(self, key: str, name: str, value: Any) -> None:
        """Take a setting over, and say so."""
        import json

        place = self.values
        *path, last = name.split(".")
        for part in path:
            if place[part] is None:
                place[part] = {}
            place = place[part]
        place[last] = value
        text = json.dumps(value)
        self.overrides.append(f"{name}={text}")
        self.report.append(f"{key}: {name} = {text}")

    def scope(self, key: str, value: Any) -> None:
        """Which codes are masked; told at the end."""
        self._scope = [str(one) for one in value]
        self.report.append(f"{key}: step.masking, {' and '.join(self._scope) or 'none'}")


def _plain(name: str) -> Callable[[_Mapped, str, Any], None]:
    return lambda mapped, key, value: mapped.set(key, name, value)


def _square(name: str) -> Callable[[_Mapped, str, Any], None]:
    def take(mapped: _Mapped, key: str, value: Any) -> None:
        rows, columns = value[0], value[1]
        if rows != columns:
            raise SegToolkitError(
                "bad-configuration",
                f"{key} is {rows} x {columns}; slices are square here.",
                "Choose one size.",
            )
        mapped.set(key, name, rows)

    return take


def _size_only(mapped: _Mapped, key: str, value: Any) -> None:
    mapped.report.append(f"{key} = {value}: slices keep their size before data.pad_size; no setting")


def _policy(mapped: _Mapped, key: str, value: Any) -> None:
    what = "as the settings are" if value == POLICY else "not known; mend the settings under augment"
    mapped.report.append(f"{key} = {value}: {what}")


def _network(mapped: _Mapped, key: str, value: Any) -> None:
    code = CODES.get(str(value).removeprefix(NETWORK).strip("_"))
    if not str(value).startswith(NETWORK) or code is None:
        raise SegToolkitError(
            "bad-configuration",
            f"There is no network {value!r}.",
            f"There are {', '.join(f'{NETWORK}_{end}'.strip('_') for end in CODES)}.",
        )
    mapped.set(key, "network.code", code)


def _mode(mapped: _Mapped, key: str, value: Any) -> None:
    mapped.set(key, "step.mode", "cooperative" if value else "standard")


def _single(mapped: _Mapped, key: str, value: Any) -> None:
    name = key.rpartition(".")[2]
    if not value:
        mapped.report.append(f"{key}: all structures, as the data set has them")
        return
    mapped.set(key, "data.classes", {str(value): number for value, number in SINGLE[name].items()})
    mapped.report[-1] += " (of labels with 1 left ventricle, 2 myocardium, 3 right ventricle)"


def _save(mapped: _Mapped, key: str, value: Any) -> None:
    mapped.set(key, "snapshot_every", int(value) * mapped.values["optimiser"]["steps_per_epoch"])


def _loss(mapped: _Mapped, key: str, value: Any) -> None:
    if value not in LOSSES:
        raise SegToolkitError(
            "bad-configuration", f"{key} is {value!r}, which is no loss.", f"There are {', '.join(LOSSES)}."
        )
    mapped.set(key, _setting_of(key, "loss"), LOSSES[value])


def _mask(name: str) -> Callable[[_Mapped, str, Any], None]:
    return lambda mapped, key, value: mapped.set(key, _setting_of(key, name), value)


def _setting_of(key: str, name: str) -> str:
    return f"step.masking.{SCOPES[key.split('.')[1]]}.{name}"


def _mask_key(key: str) -> Callable[[_Mapped, str, Any], None] | None:
    part, _, rest = key.partition(".")
    scope, _, last = rest.partition(".")
    return _MASKS.get(last) if part == "latent_DA" and scope in SCOPES else None


_MASKS: Mapping[str, Callable[[_Mapped, str, Any], None]] = {
    "loss_name": _loss,
    "mask_type": _mask("kind"),
    "max_threshold": _mask("max_threshold"),
    "random_threshold": _mask("random_threshold"),
    "if_soft": _mask("soft"),
}
_KEYS: Mapping[str, Callable[[_Mapped, str, Any], None]] = {
    "data.image_size": _size_only,
    "data.label_size": _size_only,
    "data.pad_size": _square("augment.pad"),
    "data.crop_size": _square("input.crop"),
    "data.data_aug_policy": _policy,
    "data.keep_orig_image_label_pair_for_training": _plain("data.originals"),
    "data.myocardium_only": _single,
    "data.right_ventricle_only": _single,
    "segmentation_model.network_type": _network,
    "learning.latent_DA": _mode,
    "learning.separate_training": _plain("step.separate"),
    "learning.lr": _plain("optimiser.learning_rate"),
    "learning.n_epochs": _plain("optimiser.epochs"),
    "learning.batch_size": _plain("optimiser.batch"),
    "latent_DA.mask_scope": _Mapped.scope,
    "output.save_epoch_every_num_epochs": _save,
}


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name}.")
        else:
            found.append((f"{before}{name}", value))
    return found
