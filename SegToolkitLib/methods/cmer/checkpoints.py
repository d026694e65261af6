"""The authors' checkpoints in and out: a folder with two files a modality, the best and the last.

They say neither modalities nor structure; width, channels and classes follow from their shapes.
Source: released code of WSS-CMER.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from SegToolkitLib.atomic import replacing
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.optimiser import build_optimiser
from SegToolkitLib.methods.cmer.plan import BASE_WIDTH, InputPlan, MapPlan, ModelPlan, NetworkPlan
from SegToolkitLib.methods.cmer.settings import OptimiserSettings
from SegToolkitLib.methods.cmer.weights import State, joined, loaded_networks, of_network, split
from SegToolkitLib.models.card import CARD_FILE, Licence, ModelCard, parse, read_card_of
from SegToolkitLib.models.folder import load_state, save_model
from SegToolkitLib.models.foreign import read_checkpoint
from SegToolkitLib.models.imported import imported_card, stated_licence
from SegToolkitLib.models.trained import model_name
from SegToolkitLib.training.run_folder import RunFolder

METHOD = "cmer"
Which = Literal["best", "last"]
FILES: dict[Which, str] = {"best": "{}_model_best.pth.tar", "last": "{}_checkpoint.pth.tar"}
NUMBERED = re.compile(r"(\d+)_(?:model_best|checkpoint)\.pth\.tar")
LICENCE = Licence(
    name="none stated",
    permissive=False,
    summary="The authors' repository has no licence, so all rights are theirs, and it publishes no weights."
    " Whoever trained these says what may be done with them; the terms of the data may bind, too.",
)
# The numbers that a checkpoint keeps besides tensors are numpy's: data, no code.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    _SCALAR,
    # numpy 1 and 2 write the function under different names.
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32)),
]


@dataclass(frozen=True)
class Found:
    """The checkpoint of one modality.

    Attributes:
        file: it was read from.
        state: tensors under the network's own keys.
        epoch, iteration: next ones; None where the file does not tell.
        accuracy: best accuracy of the tags so far; None where the file does not tell.
    """

    file: Path
    state: State
    epoch: int | None = None
    iteration: int | None = None
    accuracy: float | None = None


def read_authors(path: Path, which: Which = "best") -> list[Found]:
    """Read a checkpoint of each modality, in their order; no code in them is run.

    Args:
        path: folder of the checkpoints, or of the experiment above it.
        which: of each modality; where there is none of a kind, the other one is taken.

    Raises:
        SegToolkitError: "no-checkpoint"; "our-own": a model or a run of SegToolkit; "incomplete-checkpoint":
            a number is left out, or there is but one; or what :func:`read_checkpoint` raises.
    """
    path = Path(path)
    folders = [folder for folder in (path, path / "checkpoints") if folder.is_dir()]
    for folder in folders:
        numbers = {int(match[1]) for file in folder.iterdir() if (match := NUMBERED.fullmatch(file.name))}
        if numbers:
            return [_read(file) for file in _chosen(folder, numbers, which)]
    _check_foreign(path.parent if path.name == "checkpoints" else path)
    raise SegToolkitError(
        "no-checkpoint",
        f"{path} holds no {FILES['best'].format(0)} and no {FILES['last'].format(0)}.",
        "Choose the folder 'checkpoints' of an experiment.",
    )


def _check_foreign(folder: Path) -> None:
    """Raise SegToolkitError "our-own" for what needs no import."""
    for model in (folder, folder / "result" / "model"):
        if (model / CARD_FILE).is_file():
            raise SegToolkitError(
                "our-own",
                f"{model} is a model of SegToolkit already, and no experiment of the authors' code.",
                "Use it as it is: --model, or segtoolkit models add.",
            )
    if RunFolder(folder).settings_file.is_file():
        raise SegToolkitError(
            "our-own",
            f"{folder} is a run of SegToolkit that has not made its model yet, and no experiment of the"
            " authors' code.",
            f"Let it finish (segtoolkit train {METHOD} --run {folder} --resume), which makes the model, or"
            " begin another training with its weights (--init-from), once it has a checkpoint.",
        )


def import_authors(
    source: Path,
    out: str | os.PathLike[str],
    *,
    modalities: Sequence[str],
    structure: str = "lesion",
    which: Which = "best",
    fit: InputPlan | None = None,
    maps: MapPlan | None = None,
    name: str | None = None,
    licence_name: str | None = None,
    half: bool = False,
    tell: Callable[[str], None] = lambda _text: None,
) -> ModelCard:
    """Make a model's folder from the authors' files.

    Args:
        source: see :func:`read_authors`.
        out: folder of the model.
        modalities: names, in the order of the files' numbers.
        structure: what the maps show.
        which: see :func:`read_authors`.
        fit, maps: how slices come to the networks, and which map is shown; None takes the defaults.
        name: of the model; None takes "cmer-" and the modalities.
        licence_name: of the weights; None says that none is stated.
        half: store half precision; the default keeps every bit, so that an export equals the files.
        tell: hears how well the keys fit.

    Returns:
        The card as written.

    Raises:
        SegToolkitError: what :func:`read_authors` raises; "modalities-differ"; "key-mismatch" (with the
            missing and unexpected keys); or what ``save_model`` raises. Nothing is written then.
    """
    found = read_authors(source, which)
    if len(modalities) != len(found):
        raise SegToolkitError(
            "modalities-differ",
            f"{source} has checkpoints of {len(found)} modalities, and {len(modalities)} are named.",
            "Name one modality a file, in the order of the files' numbers.",
        )
    network = plan_of(found[0].state, str(found[0].file))
    plan = {"modalities": tuple(modalities), "network": network}
    plan |= {"input": fit or InputPlan(), "maps": maps or MapPlan()}
    model = parse(ModelPlan, plan, "The imported model")
    for modality, one in zip(modalities, found, strict=True):
        loaded_networks(network, 1, joined([one.state]), str(one.file), "key-mismatch")
        numbers = sum(value.numel() for value in one.state.values())
        told = "" if one.accuracy is None else f"; best accuracy of the tags {one.accuracy:.3f}"
        tell(f"{modality}: {len(one.state)} tensors with {numbers:,} numbers; all keys fit{told}")
    card = _card(model, found, structure, name, licence_name)
    return save_model(out, card, joined([one.state for one in found]), half)


def export_authors(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[Path]:
    """Write a model's networks as the files that the authors' code loads, in plain Python numbers.

    Args:
        folder: of the model.
        out: folder of the checkpoints.

    Returns:
        The files: the best and the last of each modality, which are alike.

    Raises:
        SegToolkitError: "other-method", "model-mismatch"; or what ``read_card`` and ``load_state`` raise.
    """
    card = read_card_of(folder, METHOD)
    plan = parse(ModelPlan, card.settings, f"'settings' of {card.name}")
    if plan.supervision != "tags":
        raise SegToolkitError(
            "other-method",
            f"{card.name} was taught by masks; the authors' code knows no such networks.",
            "Choose a model that tags have taught.",
        )
    if plan.network.pooling != "mean":
        raise SegToolkitError(
            "other-method",
            f"The networks of {card.name} pool the highest pixels of maps; the authors' code takes the mean.",
            "Choose a model that was trained with network.pooling=mean.",
        )
    state, _ = split(load_state(folder, card))
    networks = loaded_networks(plan.each, len(plan.parts), state, card.name)
    known = card.training.provenance.get("checkpoints", [])
    written = []
    for number, network in enumerate(networks):
        facts = known[number] if number < len(known) else {}
        content = _content(network, of_network(state, number), facts)
        for pattern in FILES.values():
            file = Path(out) / pattern.format(number)
            with replacing(file) as temporary:
                torch.save(content, temporary)
            written.append(file)
    return written


def plan_of(state: Mapping[str, Tensor], what: str) -> NetworkPlan:
    """The network that such tensors belong to; what no tensor says is as released.

    Raises:
        SegToolkitError: "key-mismatch": there is no such network.
    """
    first, last = (state.get(key) for key in ("inc.conv.conv.0.weight", "classifier.weight"))
    if first is None or last is None or first.ndim != 4 or last.ndim != 4 or not _is_width(len(first)):
        raise SegToolkitError(
            "key-mismatch",
            f"{what} is no network of this method: its first or last convolution is missing or of a width"
            f" that does not divide {BASE_WIDTH}.",
            "Choose a file <number>_model_best.pth.tar or <number>_checkpoint.pth.tar.",
        )
    plan = {"width_factor": BASE_WIDTH // len(first), "image_channels": first.shape[1], "classes": len(last)}
    return parse(NetworkPlan, plan, f"The network of {what}")


def _is_width(width: int) -> bool:
    return 0 < width <= BASE_WIDTH and BASE_WIDTH % width == 0


def _chosen(folder: Path, numbers: set[int], which: Which) -> list[Path]:
    missing = [number for number in range(max(max(numbers) + 1, 2)) if number not in numbers]
    if missing:
        raise SegToolkitError(
            "incomplete-checkpoint",
            f"{folder} has no checkpoint of modality {', '.join(map(str, missing))}.",
            "There must be one of every modality, counted from 0, and two or more.",
        )
    both: tuple[Which, ...] = ("best", "last") if which == "best" else ("last", "best")
    found = []
    for number in sorted(numbers):
        files = [folder / FILES[kind].format(number) for kind in both]
        found.append(next(file for file in files if file.is_file()))
    return found


def _read(file: Path) -> Found:
    state = read_checkpoint(file)
    # Once more, for what stands beside the weights; that it can be read is known by now.
    with torch.serialization.safe_globals(_NUMBERS):
        content = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(content.get("state_dict"), dict):
        content = {}
    epoch, iteration, best = (content.get(key) for key in ("epoch", "iteration", "best_metric_value"))
    return Found(file, state, _whole(epoch), _whole(iteration), _number(best))


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | np.integer) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float | np.number) and np.isfinite(value) else None


def _content(network: torch.nn.Module, state: State, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the authors' code finds in a file; the optimiser is a fresh one, which it can go on with."""
    optimiser = build_optimiser(network, OptimiserSettings())
    return {
        "epoch": facts.get("epoch") or 0,
        "iteration": facts.get("iteration") or 0,
        "state_dict": state,
        "optimizer": optimiser.state_dict(),
        "best_metric_value": facts.get("accuracy") or 0.0,
        "num_of_trainable_params": sum(value.numel() for value in network.parameters()),
    }


def _card(
    plan: ModelPlan, found: Sequence[Found], structure: str, name: str | None, licence_name: str | None
) -> ModelCard:
    told = [
        {"file": one.file.name, "epoch": one.epoch, "iteration": one.iteration, "accuracy": one.accuracy}
        for one in found
    ]
    return imported_card(
        METHOD,
        plan,
        name=model_name(name or f"cmer-{'-'.join(plan.modalities)}", METHOD),
        title=f"WSS-CMER of the authors' code ({structure}; {', '.join(plan.modalities)})",
        labels={structure: 1},
        preprocessing={"modality": "MR"},
        licence=stated_licence(licence_name, LICENCE),
        provenance={"checkpoints": told},
        limits="For research only; a person checks every result. Maps come from tags of slices: they find"
        " the part that tells, not the extent, and their borders are soft. What the networks were trained on"
        " is not recorded in the checkpoints.",
    )
