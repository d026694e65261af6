"""The authors' checkpoints: what of them is the network, and what network they belong to.

A file ``epoch_N.pth`` is a dict with ``epoch``, ``state_dict`` and ``optimizer``. Besides the network, the
state holds a second backbone that measured receptive fields, a copy of the network for masks, and lists that
name tensors again. Widths, positions of heads and classes follow from shapes; output stride and input do not.
Source: the released code of PDCR and UAFR.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.network import HEAD_NAMES, DeepLab
from SegToolkitLib.methods.pdcr_uafr.plan import CROSS_LAYERS, NetworkPlan
from SegToolkitLib.methods.pdcr_uafr.xception import head_name
from SegToolkitLib.models.card import parse
from SegToolkitLib.models.foreign import read_checkpoint
from SegToolkitLib.models.state import State, with_weights

Dropped = Literal["receptive fields", "mask branch", "aliases"]

TWIN = "backbone_rf"
LISTS = frozenset(f"{kind}{part}list" for kind in ("img", "mask") for part in ("xception", "aspp", "decoder"))


@dataclass(frozen=True)
class Reduced:
    """What is left of a checkpoint.

    Attributes:
        state: of the network.
        dropped: kind -> how many tensors of it were left out.
    """

    state: State
    dropped: Mapping[Dropped, int]

    def text(self) -> str:
        """What a person reads."""
        parts = ", ".join(f"{count} of {kind}" for kind, count in self.dropped.items() if count)
        return f"{len(self.state)} tensors are the network's" + (f"; left out: {parts}" if parts else "")


def reduced(state: Mapping[str, Tensor]) -> Reduced:
    """Leave out what no result depends on."""
    counts: dict[Dropped, int] = {"receptive fields": 0, "mask branch": 0, "aliases": 0}
    kept: State = {}
    for key, value in state.items():
        kind = _kind(key)
        if kind is None:
            kept[key] = value
        else:
            counts[kind] += 1
    return Reduced(kept, counts)


def _kind(key: str) -> Dropped | None:
    parts = key.split(".")
    if TWIN in parts:
        return "receptive fields"
    if LISTS & set(parts):
        return "aliases"
    if any(part.endswith("gt") for part in parts):
        return "mask branch"
    return None


def read_authors(file: str | os.PathLike[str], output_stride: Literal[8, 16] = 16) -> tuple[DeepLab, Reduced]:
    """The network of an authors' checkpoint, in evaluation mode, on the CPU.

    Its inputs are to be scaled as in training: with the released code, ``intensity_scale`` 1.

    Args:
        file: ``epoch_N.pth``.
        output_stride: of the training; the file does not say it.

    Raises:
        SegToolkitError: "other-network": no DeepLabV3+ on Xception; "key-mismatch" (with the missing and
            unexpected keys); or what :func:`read_checkpoint` raises.
    """
    found = reduced(read_checkpoint(file))
    plan, classes = plan_of(found.state, str(file), output_stride)
    return loaded_network(plan, classes, found.state, str(file), "key-mismatch"), found


def loaded_network(
    plan: NetworkPlan, classes: int, state: Mapping[str, Tensor], what: str, code: str = "model-mismatch"
) -> DeepLab:
    """Build the network with the given weights, in evaluation mode, on the CPU.

    Args:
        plan: of the network.
        classes: background included.
        state: all its tensors.
        what: what to call the weights in the complaint.
        code: of the complaint.

    Raises:
        SegToolkitError: a key is missing, not known, or of another shape; says which.
    """
    with torch.device("meta"):
        network = DeepLab(plan, classes)
    return with_weights(
        network, state, what, "Check that it was written by the same version of the code.", code
    )


def plan_of(
    state: Mapping[str, Tensor], what: str = "The checkpoint", output_stride: Literal[8, 16] = 16
) -> tuple[NetworkPlan, int]:
    """What network such tensors belong to, and how many classes it tells apart, background included.

    Raises:
        SegToolkitError: "other-network".
    """
    blocks = [int(match[1]) for key in state if (match := re.match(r"backbone\.block(\d+)\.", key))]
    last = max(blocks, default=0)
    places = {
        "conv1": "backbone.conv1.weight",
        "conv2": "backbone.conv2.weight",
        "block1": "backbone.block1.skip.weight",
        "block2": "backbone.block2.skip.weight",
        "middle": "backbone.block3.skip.weight",
        "last_block": f"backbone.block{last}.skip.weight",
        "conv3": "backbone.conv3.pointwise.weight",
        "conv4": "backbone.conv4.pointwise.weight",
        "conv5": "backbone.conv5.pointwise.weight",
        "aspp": "aspp.conv1.weight",
        "low_level": "decoder.conv1.weight",
    }
    final = "decoder.last_conv3.weight"
    missing = [key for key in (*places.values(), final) if key not in state or state[key].ndim != 4]
    if missing:
        raise SegToolkitError(
            "other-network",
            f"{what} holds no DeepLabV3+ on an aligned Xception: it lacks {missing[0]}.",
            "Choose an epoch_N.pth of the authors' 2-D code.",
        )
    widths = {name: state[key].shape[0] for name, key in places.items()}
    widths["middle_blocks"] = last - 4
    heads = {p: f"{name}.0.weight" for p, name in HEAD_NAMES.items() if f"{name}.0.weight" in state}
    uafr: dict[str, object] = {"positions": list(heads)}
    if heads:
        position, key = next(iter(heads.items()))
        uafr |= {"hidden": state[key].shape[0], "kernel": state[key].shape[-1]}
        tracked = f"{HEAD_NAMES[position]}.1.running_mean" in state
        uafr["norm"] = "batch" if tracked else "instance"
    crossing = [n for n in CROSS_LAYERS if f"backbone.{head_name(n)}.0.weight" in state]
    if crossing:
        widths["cross"] = state[f"backbone.{head_name(crossing[0])}.0.weight"].shape[0]
    values = {
        "widths": widths,
        "channels": state[places["conv1"]].shape[1],
        "output_stride": output_stride,
        "uafr": uafr,
        "cross_heads": crossing,
        # The last layer of a head of pyramid or decoder has the number 4 with dropout, and 3 without.
        "uafr_dropout": _dropout(state),
    }
    return parse(NetworkPlan, values, f"The network of {what}"), state[final].shape[0]


def _dropout(state: Mapping[str, Tensor]) -> float:
    outer = [name for position, name in HEAD_NAMES.items() if not position.startswith("conv")]
    without = any(f"{name}.3.weight" in state for name in outer)
    return 0.0 if without else NetworkPlan().uafr_dropout
