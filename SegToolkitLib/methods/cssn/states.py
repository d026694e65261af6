"""Several states of one network: the checkpoints that a run kept on its way, its two networks, or models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.cases import organs_of
from SegToolkitLib.methods.cssn.coarse import Coarse, model_plan
from SegToolkitLib.methods.cssn.kept_coarse import kept_coarse
from SegToolkitLib.methods.cssn.plan import ModelPlan
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.methods.cssn.train import AVERAGE
from SegToolkitLib.models.card import Label
from SegToolkitLib.training.checkpoint import checkpoints, load_checkpoint, milestones
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.validation import validated

Source = Literal["checkpoints", "networks"]
LEAST = 2


@dataclass(frozen=True)
class TrainedRun:
    """A run folder, read to use its networks.

    Attributes:
        folder: of the run.
        settings: it was started with.
        dataset: it was trained on, wherever that lies now.
        organs: value -> name, in the order of the channels.
        coarse: the model that its fine stage was given, or None.
    """

    folder: RunFolder
    settings: CssnSettings
    dataset: Dataset
    organs: Mapping[int, str]
    coarse: Coarse | None

    @classmethod
    def open(
        cls, path: Path, dataset: str | None = None, data: Path | None = None, coarse: Path | None = None
    ) -> TrainedRun:
        """Read a run.

        Args:
            path: of its folder.
            dataset, data, coarse: where these lie now, if not where they lay.

        Raises:
            SegToolkitError: "no-run", "other-method", "no-dataset", or what reading a model raises.
        """
        folder = RunFolder.open(path)
        content = folder.settings()
        if content.get("method") != "cssn":
            raise SegToolkitError(
                "other-method",
                f"{path} is a run of {content.get('method')}, not cssn.",
                "Choose another run.",
            )
        settings = validated(CssnSettings, content["settings"], str(folder.settings_file))
        start = content.get("start") or {}
        described = dataset or start.get("dataset")
        if described is None:
            raise SegToolkitError("no-dataset", f"{path} names no data set.", "Give --dataset.")
        # A data set that is given anew knows where its volumes are.
        kept = start.get("data") if dataset is None else None
        opened = Dataset.open(described, data or kept)
        settings = settings.for_modality(opened.description.modality)
        organs = organs_of(opened)
        place = coarse or kept_coarse(folder) or start.get("places", {}).get("coarse")
        found = None
        if settings.stage == "fine" and place is not None:
            found = Coarse.load(Path(place), organs, settings.inference)
        return cls(folder, settings, opened, organs, found)

    @property
    def plan(self) -> ModelPlan:
        """What a model of this run is."""
        return model_plan(self.settings, self.coarse)

    @property
    def labels(self) -> list[Label]:
        """Of such a model."""
        return [Label(value=value, name=name) for value, name in self.organs.items()]


@dataclass(frozen=True)
class State:
    """One state of a network: its weights, under the network's own keys."""

    name: str
    weights: Mapping[str, Tensor]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        digest = hashlib.sha256()
        for key in sorted(self.weights):
            digest.update(key.encode())
            digest.update(self.weights[key].contiguous().numpy().tobytes())
        return digest.hexdigest()


def states_of(run: TrainedRun, source: Source, network: str | None = None) -> list[State]:
    """States of a run's network, the one that the others are compared with last.

    Args:
        run: to judge with.
        source: "checkpoints": the same network at the steps that were kept; "networks": both networks of the
            newest checkpoint.
        network: "a" or "b"; None takes the one that was better at the last validation.

    Raises:
        SegToolkitError: "few-states": the run has too few checkpoints, or one network alone;
            "bad-checkpoint".
    """
    files = kept_checkpoints(run.folder.checkpoints)
    if not files:
        raise _too_few(run, "has no checkpoint")
    newest = load_checkpoint(files[-1])
    better = network or str(newest.get("extra", {}).get("better", "a"))
    if source == "networks":
        other = "b" if better == "a" else "a"
        return [State(f"network {name}", _weights(run, newest, name)) for name in (other, better)]
    if len(files) < LEAST:
        raise _too_few(run, "kept a single checkpoint")
    return [
        State(file.stem, _weights(run, newest if file == files[-1] else load_checkpoint(file), better))
        for file in files
    ]


def kept_checkpoints(folder: Path) -> list[Path]:
    """Those kept for good, oldest first; where there are fewer than two, those that would be resumed from."""
    kept = milestones(folder)
    return kept if len(kept) >= LEAST else checkpoints(folder)


def _weights(run: TrainedRun, checkpoint: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    prefix = f"{AVERAGE if run.settings.cross.ema is not None else ''}{name}."
    weights = {
        key.removeprefix(prefix): value
        for key, value in checkpoint["network"].items()
        if key.startswith(prefix)
    }
    if not weights:
        raise _too_few(run, f"has no network {name}")
    return weights


def _too_few(run: TrainedRun, what: str) -> SegToolkitError:
    return SegToolkitError(
        "few-states",
        f"The run {run.folder.path} {what}, and at least {LEAST} states must be compared.",
        "Train with several keep_shares, with cross.enabled for two networks (--source networks),"
        " or give several models.",
    )
