"""The authors' checkpoints in and out, one file a network.

A checkpoint is a pickled dict with ``epoch``, ``state_dict``, ``optimizer_dict`` and ``lr``. It says neither
labels nor size nor window; channels, blocks and the number of organs follow from its shapes.
Source: the released code of SemiSeg-CSSN.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from SegToolkitLib.atomic import replacing
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.network import encoder_name
from SegToolkitLib.methods.cssn.plan import ModelPlan, NetworkPlan, Size, StagePlan
from SegToolkitLib.methods.cssn.released import UNKNOWN_LICENCE, Released, released
from SegToolkitLib.methods.cssn.weights import Stage, State, for_stage, loaded_network, of_stage
from SegToolkitLib.models.card import ModelCard, parse, read_card_of
from SegToolkitLib.models.folder import load_state, save_model
from SegToolkitLib.models.foreign import read_checkpoint
from SegToolkitLib.models.imported import imported_card, stated_licence
from SegToolkitLib.models.trained import model_name

METHOD = "cssn"
# Where the authors' code looks for them, below its folder of weights.
PLACES: dict[Stage, str] = {
    "coarse": "base_coarse_model/best_model.pt",
    "fine": "efficient_fine_model/best_model.pt",
}
RELEASED_CHANNELS = (16, 32, 64, 128, 256)
KINDS = {"unet": "the coarse network (UNet)", "efficient": "the fine network (EfficientSegNet)"}


def import_authors(
    coarse: Path | None,
    fine: Path | None,
    out: str | os.PathLike[str],
    *,
    labels: str = "flare22",
    coarse_size: Size | None = None,
    fine_size: Size | None = None,
    name: str | None = None,
    licence_name: str | None = None,
    half: bool = False,
    tell: Callable[[str], None] = lambda _text: None,
) -> ModelCard:
    """Make a model's folder from one or both checkpoints of the authors' code.

    Args:
        coarse, fine: the checkpoints; a model may do with one of them.
        out: folder of the model.
        labels: see :func:`released`; as many as the networks have organs.
        coarse_size, fine_size: voxels (z, y, x) of the inputs; None takes the released ones.
        name: of the model; None takes "cssn-" and the set of labels.
        licence_name: of the weights; None says that it is unknown.
        half: store half precision; the default keeps every bit, so that an export equals the files.
        tell: hears how well the keys fit.

    Returns:
        The card as written.

    Raises:
        SegToolkitError: "no-checkpoint", "other-network", "labels-differ", "key-mismatch" (with the missing
            and unexpected keys), or what ``read_checkpoint`` and ``save_model`` raise. Nothing is written
            then.
    """
    files: dict[Stage, Path | None] = {"coarse": coarse, "fine": fine}
    given: dict[Stage, Path] = {stage: Path(file) for stage, file in files.items() if file is not None}
    if not given:
        raise SegToolkitError("no-checkpoint", "No checkpoint was given.", "Give --coarse, --fine or both.")
    known = released(labels)
    sizes: dict[Stage, Size] = {
        "coarse": coarse_size or known.coarse_size,
        "fine": fine_size or known.fine_size,
    }
    state: State = {}
    stages: dict[str, StagePlan] = {}
    for stage, file in given.items():
        own = _read(file)
        plan = _plan_of(own, stage, sizes[stage], file)
        classes = _organs(own, known, file)
        loaded_network(plan, classes, own, str(file), "key-mismatch")
        count = sum(value.numel() for value in own.values())
        tell(
            f"{file}: {len(own)} tensors with {count:,} numbers for {KINDS[plan.network.kind]}; all keys fit"
        )
        stages[stage] = plan
        state |= for_stage(own, stage)
    card = _card(ModelPlan(inference=known.inference, **stages), known, given, name, labels, licence_name)
    return save_model(out, card, state, half)


def export_authors(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[Path]:
    """Write a model's networks as checkpoints that the authors' code loads.

    Args:
        folder: of the model.
        out: folder of the weights; the files lie in it as the authors' code expects.

    Raises:
        SegToolkitError: "other-method"; "not-the-authors-network": not five stages, or percentiles in place
            of a window; "model-mismatch"; or what ``read_card`` and ``load_state`` raise.
    """
    card = read_card_of(folder, METHOD)
    plan = parse(ModelPlan, card.settings, f"'settings' of {card.name}")
    state = load_state(folder, card)
    plans: dict[Stage, StagePlan | None] = {"coarse": plan.coarse, "fine": plan.fine}
    networks: dict[Stage, State] = {}
    for stage, chosen in plans.items():
        if chosen is None:
            continue
        own = of_stage(state, stage)
        loaded_network(chosen, len(card.labels), own, f"The {stage} stage of {card.name}")
        _refuse_unknown(chosen, stage, card)
        networks[stage] = own
    written = []
    for stage, own in networks.items():
        with replacing(Path(out) / PLACES[stage]) as temporary:
            torch.save({"epoch": 0, "state_dict": own, "optimizer_dict": {}, "lr": 0.0}, temporary)
        written.append(Path(out) / PLACES[stage])
    return written


def _read(file: Path) -> State:
    """Read a checkpoint; "module." may stand anywhere in a key."""
    found = read_checkpoint(file)
    state = {key.replace("module.", ""): value for key, value in found.items()}
    if len(state) < len(found):
        raise SegToolkitError(
            "key-mismatch",
            f"{file} holds tensors whose names differ in 'module.' alone, so which ones count is open.",
            "Save the checkpoint again from a single network.",
        )
    return state


def _plan_of(state: Mapping[str, Tensor], stage: Stage, size: Size, file: Path) -> StagePlan:
    """Tell channels and blocks from keys and shapes; where that fails, those of the release are compared."""
    wanted = {"coarse": "unet", "fine": "efficient"}[stage]
    signs = {"unet": ".residual_unit_1.", "efficient": "context_block."}
    found = [kind for kind, sign in signs.items() if any(sign in key for key in state)]
    if found and wanted not in found:
        raise SegToolkitError(
            "other-network",
            f"{file} holds {KINDS[found[0]]}, not {KINDS[wanted]}.",
            "Exchange --coarse and --fine.",
        )
    widths = [_width(state, index) for index in range(len(RELEASED_CHANNELS))]
    channels = tuple(width for width in widths if width)
    channels = channels if len(channels) >= 4 else RELEASED_CHANNELS
    network: dict[str, object] = {"kind": wanted, "channels": channels, "blocks": (2,) * (len(channels) - 1)}
    if wanted == "efficient":
        # The first number holds for two stages; strict comparison finds the file that has another one there.
        network["blocks"] = tuple(_blocks(state, index) for index in range(1, len(channels)))
    plan = {"network": parse(NetworkPlan, network, str(file)), "size": size}
    return parse(StagePlan, plan, f"The {stage} stage of {file}")


def _width(state: Mapping[str, Tensor], stage: int) -> int | None:
    """Channels of a stage: what most of its encoder's tensors give; None where there are no such tensors."""
    tensors = [value for key, value in state.items() if key.startswith(f"{encoder_name(stage)}.")]
    found = Counter(value.shape[0] for value in tensors if value.ndim == 5)
    return found.most_common(1)[0][0] if found else None


def _blocks(state: Mapping[str, Tensor], stage: int) -> int:
    pattern = re.compile(rf"{encoder_name(stage)}\.(\d+)\.")
    found = {match[1] for key in state if (match := pattern.match(key))}
    return min(max(1, len(found)), 8)


def _organs(state: Mapping[str, Tensor], known: Released, file: Path) -> int:
    """The number of labels, unless the file's last layer says that there are others."""
    final = state.get("final.weight")
    if final is not None and final.ndim == 5 and len(final) != len(known.labels):
        raise SegToolkitError(
            "labels-differ",
            f"{file} finds {len(final)} organs, and {len(known.labels)} labels are given for them.",
            "Choose --labels flare22 (13 organs) or flare21 (4), or a JSON file that names them.",
        )
    return len(known.labels)


def _card(
    plan: ModelPlan,
    known: Released,
    files: Mapping[Stage, Path],
    name: str | None,
    labels: str,
    licence_name: str | None,
) -> ModelCard:
    stages = f"{' and '.join(files)} stage{'s' * (len(files) > 1)}"
    window = (plan.fine or plan.coarse).intensity.window  # type: ignore[union-attr]
    return imported_card(
        METHOD,
        plan,
        name=model_name(name or f"cssn-{Path(labels).stem}", METHOD),
        title=f"CSSN of the authors' code ({len(known.labels)} organs, {stages})",
        labels=known.labels,
        preprocessing={"modality": "CT", "orientation": "RAS", "window": window},
        licence=stated_licence(licence_name, UNKNOWN_LICENCE),
        provenance={f"{stage}_imported_from": file.name for stage, file in files.items()},
        limits="For research only; a person checks every result. What the networks were trained on is not"
        " recorded in the checkpoints.",
    )


def _refuse_unknown(plan: StagePlan, stage: Stage, card: ModelCard) -> None:
    """Complain of what the authors' code has no setting for."""
    reason = ""
    if len(plan.network.channels) != len(RELEASED_CHANNELS):
        reason = f"has {len(plan.network.channels)} stages of resolution; the authors' code knows five"
    elif plan.intensity.mode != "window":
        reason = "clips to percentiles; the authors' code knows a window in HU alone"
    if reason:
        raise SegToolkitError(
            "not-the-authors-network",
            f"The {stage} network of {card.name} {reason}.",
            "Share it as a model folder.",
        )
