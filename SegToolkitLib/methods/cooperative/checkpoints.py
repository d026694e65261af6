"""The authors' checkpoints in and out: a folder of five files, one a network.

They are plain state dicts and say neither labels nor spacing; widths and the number of classes follow from
their shapes. The last activation of the image decoder follows from nothing: the first release had none, and
its files are known by two biases that they lack.
Source: the released code of cooperative training.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from SegToolkitLib.atomic import replacing
from SegToolkitLib.methods.cooperative.network import NAMES, Name
from SegToolkitLib.methods.cooperative.plan import CodeKind, InputPlan, ModelPlan, NetworkPlan
from SegToolkitLib.methods.cooperative.released import LICENCE, labels_named
from SegToolkitLib.methods.cooperative.snapshot import SUFFIX, Snapshot, read_authors
from SegToolkitLib.methods.cooperative.weights import joined, loaded_networks, of_network
from SegToolkitLib.models.card import ModelCard, parse, read_card_of
from SegToolkitLib.models.folder import load_state, save_model
from SegToolkitLib.models.imported import imported_card, stated_licence
from SegToolkitLib.models.trained import model_name

METHOD = "cooperative"
BIASES = ("code_decoupler.0.bias", "code_decoupler.3.bias")
Reconstruction = Literal["sigmoid", "none"]


def import_authors(
    source: Path,
    out: str | os.PathLike[str],
    *,
    labels: str = "acdc",
    plan: InputPlan | None = None,
    reconstruction: Reconstruction | None = None,
    code: CodeKind | None = None,
    name: str | None = None,
    licence_name: str | None = None,
    half: bool = False,
    tell: Callable[[str], None] = lambda _text: None,
) -> ModelCard:
    """Make a model's folder from the authors' files.

    Args:
        source: see :func:`read_authors`.
        out: folder of the model.
        labels: see :func:`labels_named`.
        plan: how volumes are brought to the networks; None takes the released one.
        reconstruction: last activation of the image decoder; None takes "none" for files of the first
            release and "sigmoid" for others. It has no part in segmentation.
        code: which code is decoded to what; None takes what a snapshot says, and "separate" of five files,
            which cannot tell.
        name: of the model; None takes "cooperative-" and the set of labels.
        licence_name: of the weights; None says that it is unclear.
        half: store half precision; the default keeps every bit, so that an export equals the files.
        tell: hears how well the keys fit.

    Returns:
        The card as written.

    Raises:
        SegToolkitError: "no-checkpoint", "incomplete-checkpoint", "key-mismatch" (with the missing and
            unexpected keys), "labels-differ", or what ``read_checkpoint`` and ``save_model`` raise. Nothing
            is written then.
    """
    found = read_authors(Path(source))
    network, classes = plan_of(found.states)
    if reconstruction is not None:
        network = network.model_copy(update={"reconstruction": reconstruction})
    network = network.model_copy(update={"code": code or found.code or network.code})
    state = joined(found.states)
    loaded_networks(network, classes, state, str(found.source), "key-mismatch")
    for one in NAMES:
        numbers = sum(value.numel() for value in found.states[one].values())
        tell(f"{one}: {len(found.states[one])} tensors with {numbers:,} numbers; all keys fit")
    if not network.decoupler_bias:
        tell("The files are of the first release: two convolutions have no bias.")
    tell(f"The image decoder's last activation is taken to be: {network.reconstruction}")
    tell(f"The codes of images and shapes are taken to be: {network.code}")
    model = ModelPlan(network=network, input=plan or InputPlan())
    return save_model(out, _card(model, found, classes, labels, name, licence_name), state, half)


def export_authors(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[Path]:
    """Write a model's networks as the five files that the authors' code loads.

    Args:
        folder: of the model.
        out: folder of the files.

    Raises:
        SegToolkitError: "other-method", "model-mismatch"; or what ``read_card`` and ``load_state`` raise.
    """
    card = read_card_of(folder, METHOD)
    plan = parse(ModelPlan, card.settings, f"'settings' of {card.name}")
    state = load_state(folder, card)
    loaded_networks(plan.network, len(card.labels) + 1, state, card.name)
    written = []
    for name in NAMES:
        file = Path(out) / f"{name}{SUFFIX}"
        with replacing(file) as temporary:
            torch.save(of_network(state, name), temporary)
        written.append(file)
    return written


def plan_of(states: Mapping[Name, Mapping[str, Tensor]]) -> tuple[NetworkPlan, int]:
    """What networks such tensors belong to, and how many classes these tell apart.

    What no tensor says is as released; the comparison of all keys finds what does not fit.
    """
    encoder = states.get("image_encoder", {})
    prefixes: dict[Name, str] = {"image_encoder": "general_encoder.", "shape_encoder": ""}
    widths = list(NetworkPlan().channels)
    decoders: tuple[Name, ...] = ("image_decoder", "segmentation_decoder", "shape_decoder")
    for name in decoders:
        for stage, block in ((2, "up1"), (1, "up2"), (0, "up3")):
            widths[stage] = _size(states, name, f"{block}.conv.0.weight", 0, widths[stage])
        widths[4] = _size(states, name, "up1.conv.0.weight", 1, widths[4])
    for encoding, prefix in prefixes.items():
        for stage, block in enumerate(
            ("inc.0", "down1.conv.0", "down2.conv.0", "down3.conv.0", "down4.conv.0")
        ):
            widths[stage] = _size(states, encoding, f"{prefix}{block}.weight", 0, widths[stage])
    classes = 4
    for name in ("shape_decoder", "segmentation_decoder"):
        classes = _size(states, name, "final_conv.weight", 0, classes)
    first_release = bool(encoder) and not any(key in encoder for key in BIASES)
    plan = {
        "channels": widths,
        "image_channels": _size(states, "image_encoder", "general_encoder.inc.0.weight", 1, 1),
        "decoupler_bias": not first_release,
        "reconstruction": "none" if first_release else "sigmoid",
    }
    return parse(NetworkPlan, plan, "The networks of the checkpoint"), classes


def _size(
    states: Mapping[Name, Mapping[str, Tensor]], name: Name, key: str, axis: int, otherwise: int
) -> int:
    weight = states.get(name, {}).get(key)
    return weight.shape[axis] if weight is not None and weight.ndim == 4 else otherwise


def _card(
    plan: ModelPlan, found: Snapshot, classes: int, labels: str, name: str | None, licence_name: str | None
) -> ModelCard:
    provenance: dict[str, object] = {"imported_from": found.source.name}
    if found.epoch is not None:
        provenance["epoch"] = found.epoch
    spacing = plan.input.spacing_mm
    return imported_card(
        METHOD,
        plan,
        name=model_name(name or f"cooperative-{Path(labels).stem}", METHOD),
        title=f"Cooperative training of the authors' code ({classes - 1} structures)",
        labels=labels_named(labels, classes - 1),
        preprocessing={
            "modality": "MR",
            "clip_top": plan.input.percentiles[1],
            "spacing": (spacing, spacing, None),
        },
        licence=stated_licence(licence_name, LICENCE),
        provenance=provenance,
        limits="For research only; a person checks every result. What the networks were trained on is not"
        " recorded in the checkpoints.",
    )
