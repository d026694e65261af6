"""The authors' files: five networks in a folder, or all of a run in one.

Source: released code of cooperative training. Files of the first release (September 2021) lack two biases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cooperative.configuration import CODES, NETWORK
from SegToolkitLib.methods.cooperative.network import NAMES, Name, Networks
from SegToolkitLib.methods.cooperative.plan import CodeKind
from SegToolkitLib.methods.cooperative.weights import State
from SegToolkitLib.models.foreign import read_checkpoint

SUFFIX = ".pth"
# Where the files lie below a folder that a person may choose.
BELOW = ("", "checkpoints", "best/checkpoints", "model/best/checkpoints", "interrupted/checkpoints")
# The authors' name of the five networks together, which a snapshot of a run is called after.
NETWORK_TYPE = "FCN_16_standard"


@dataclass(frozen=True)
class Snapshot:
    """What was found.

    Attributes:
        states: network -> its tensors.
        source: the folder, or the file.
        epoch: of a snapshot; None where it is not told.
        optimisers: network -> state of its optimiser; only snapshots hold them.
        code: which code is decoded to what; None where nothing tells, as in the five files.
    """

    states: Mapping[Name, State]
    source: Path
    epoch: int | None = None
    optimisers: Mapping[Name, dict[str, Any]] = field(default_factory=dict)
    code: CodeKind | None = None


def read_authors(path: Path) -> Snapshot:
    """Read the five files of a folder, or a snapshot (.pkl); no code in them is run.

    Args:
        path: the file, or a folder: of the files, or of the model or run that they lie below.

    Raises:
        SegToolkitError: "no-checkpoint", "incomplete-checkpoint" (names the files that are missing), or what
            :func:`read_checkpoint` raises.
    """
    path = Path(path)
    if path.is_file():
        return _snapshot(path)
    for below in BELOW:
        folder = path / below
        there = {name: folder / f"{name}{SUFFIX}" for name in NAMES if (folder / f"{name}{SUFFIX}").is_file()}
        if there:
            missing = [f"{name}{SUFFIX}" for name in NAMES if name not in there]
            if missing:
                raise SegToolkitError(
                    "incomplete-checkpoint",
                    f"{folder} lacks {', '.join(missing)}.",
                    "All five files of a model are needed.",
                )
            return Snapshot({name: read_checkpoint(file) for name, file in there.items()}, folder)
        kept = sorted(folder.glob("*.pkl")) if folder.is_dir() else []
        if len(kept) == 1:
            return _snapshot(kept[0])
    raise SegToolkitError(
        "no-checkpoint",
        f"{path} holds no {NAMES[0]}{SUFFIX} and no snapshot of a run.",
        "Choose the folder 'checkpoints' of a model, or a snapshot (.pkl).",
    )


def optimiser_state(networks: Networks, snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot's five optimisers as the state of one, for all parameters in their order.

    Raises:
        SegToolkitError: "no-optimiser": the snapshot has none, or one of another network.
    """
    state: dict[int, Any] = {}
    groups: list[dict[str, Any]] = []
    done = 0
    for name in NAMES:
        parameters = list(networks[name].parameters())
        given = snapshot.optimisers.get(name)
        if given is None or not _fits(given, parameters):
            raise SegToolkitError(
                "no-optimiser",
                f"{snapshot.source} holds no state of the optimiser of {name} that fits.",
                "Start from its weights alone, as from a model.",
            )
        state |= {done + int(number): values for number, values in given["state"].items()}
        groups += given["param_groups"][:1]
        done += len(parameters)
    return {"state": state, "param_groups": [groups[0] | {"params": list(range(done))}]}


def _fits(given: Mapping[str, Any], parameters: list[torch.nn.Parameter]) -> bool:
    try:
        return all(
            values["exp_avg"].shape == parameters[int(number)].shape
            for number, values in given["state"].items()
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return False


def _snapshot(file: Path) -> Snapshot:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # what it is, read_checkpoint tells
        content = read_checkpoint(file)
    states = content.get("model_state") if isinstance(content, dict) else None
    if not isinstance(states, dict) or not all(_is_state(states.get(name)) for name in NAMES):
        raise SegToolkitError(
            "no-checkpoint",
            f"{file} is no snapshot of a run with the networks {', '.join(NAMES)}.",
            "Choose the file that an interrupted training left, or a folder with the five networks.",
        )
    optimisers = content.get("optimizer_state")
    optimisers = optimisers if isinstance(optimisers, dict) else {}
    epoch = content.get("epoch")
    return Snapshot(
        {name: _plain(states[name]) for name in NAMES},
        file,
        epoch if isinstance(epoch, int) else None,
        {name: optimisers[name] for name in NAMES if isinstance(optimisers.get(name), dict)},
        CODES.get(str(content.get("network_type")).removeprefix(NETWORK).strip("_")),
    )


def _is_state(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(one, Tensor) for one in value.values())


def _plain(state: Mapping[str, Tensor]) -> State:
    return {str(key).removeprefix("module."): value for key, value in state.items()}
