"""ALPNet's weights: a model's folder, the authors' checkpoints, and the COCO weights they start from.

Source of the keys: the authors' released code and torchvision's DeepLabV3.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from SegToolkitLib.atomic import replacing
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.network import PASSENGER_PREFIXES, ALPNet, Bottleneck, build_network
from SegToolkitLib.methods.alpnet.settings import NetworkSettings
from SegToolkitLib.models.card import CARD_FILE, Licence, ModelCard, parse, read_card
from SegToolkitLib.models.download import Progress, download
from SegToolkitLib.models.folder import load_state, save_model
from SegToolkitLib.models.foreign import Shape, compare_keys, read_checkpoint
from SegToolkitLib.models.imported import imported_card
from SegToolkitLib.models.state import refuse_misfit

METHOD = "alpnet"
HINT = "Check that it belongs to this method and encoder."
AUTHORS = NetworkSettings.model_validate({})
COCO_URL = "https://download.pytorch.org/models/deeplabv3_resnet101_coco-586e9e4e.pth"
COCO_SHA256 = "586e9e4e"  # torchvision puts the first digits into the file's name
COCO_BY_HAND = f"Fetch {COCO_URL} with a browser or on another machine, and give it with --coco FILE."
COCO_PARTS = {
    "backbone.": "encoder.backbone.",
    "classifier.0.": "encoder.aspp_out.0.",
    "classifier.1.": "encoder.aspp_out.1.",
}

CT_WINDOW = (-125.0, 275.0)  # HU, which the authors map to 0..255
# mm; their slices lie 7.7 mm apart, but each is segmented by itself.
CHAOS_SPACING = (1.25, 1.25, None)
# The authors shrink the scans' own 0.54..0.98 mm by 1.75, so that there is no one right value.
SABS_SPACING = (1.33, 1.33, None)
UNKNOWN_LICENCE = Licence(
    name="unknown",
    permissive=False,
    summary="unknown: ask the authors; released code is MIT. The licence of the training data may bind too.",
    url="https://github.com/cheng-01037/Self-supervised-Fewshot-Medical-Image-Segmentation",
)


def network_from_model(folder: str | os.PathLike[str]) -> tuple[ALPNet, ModelCard]:
    """Build the network of a model and load its weights, passengers included; evaluation mode, on the CPU.

    Raises:
        SegToolkitError: "other-method", "model-mismatch", or what ``read_card`` and ``load_state`` raise.
    """
    card, settings = _read_alpnet_card(Path(folder))
    state = load_state(folder, card)
    network = _build(settings)
    own = {key: value for key, value in state.items() if not key.startswith(PASSENGER_PREFIXES)}
    refuse_misfit(compare_keys(own, _shapes(network)), f"The weights of {card.name}", HINT, "model-mismatch")
    network.load_authors_state_dict(state)
    return network.eval(), card


def import_authors_checkpoint(
    file: str | os.PathLike[str],
    out_folder: str | os.PathLike[str],
    *,
    modality: Literal["MR", "CT"],
    mean: float | None = None,
    std: float | None = None,
    name: str | None = None,
    spacing: tuple[float | None, float | None, float | None] | None = None,
    orientation: str = "LAS",
    half: bool = False,
) -> ModelCard:
    """Make a model's folder from a checkpoint of the authors' code.

    Args:
        file: ``<step>.pth``.
        out_folder: of the model.
        modality: that it was trained on; the file does not say.
        mean, std: CT only: of the prepared training scans (``hounsfield_statistics``); the file does
            not hold them.
        name: of the model; None takes "alpnet-" and the file's name.
        spacing: (i, j, k) in mm of the training slices; None takes the authors' for the modality.
        orientation: of the training volumes' axes (``Preprocessing``).
        half: store half precision; the default keeps every bit, so that the export equals ``file``.

    Returns:
        The card as written.

    Raises:
        SegToolkitError: "ct-statistics", "key-mismatch" (with the report), or what ``read_checkpoint``
            and ``save_model`` raise. Nothing is written then.
    """
    file = Path(file)
    preprocessing = _authors_preprocessing(modality, mean, std)
    own = _authors_shapes()
    state = _with_counters(read_checkpoint(file), own)
    # The passengers are optional, but none may be unknown or of another shape.
    wanted = own | {key: shape for key, shape in passenger_shapes().items() if key in state}
    refuse_misfit(compare_keys(state, wanted), str(file), HINT, "key-mismatch")
    slug = re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower())
    card = imported_card(
        METHOD,
        AUTHORS,
        name=name or f"alpnet-{slug}"[:64].rstrip("._-"),
        title=f"SSL-ALPNet of the authors' code ({modality}, {file.name})",
        description="Imported from a checkpoint of the authors' code.",
        labels={},
        preprocessing={
            **preprocessing,
            "spacing": spacing or preprocessing["spacing"],
            "orientation": orientation,
        },
        licence=UNKNOWN_LICENCE,
        provenance={"imported_from": file.name},
        limits="For research only. What it was trained on is not recorded in the checkpoint.",
        source=f"The card of {file.name}",
    )
    return save_model(out_folder, card, state, half)


def export_authors_checkpoint(folder: str | os.PathLike[str], file: str | os.PathLike[str]) -> Path:
    """Write a model as a checkpoint that the authors' code loads: their 663 keys.

    Passengers that the model does not have get fresh values; no forward pass uses them.

    Raises:
        SegToolkitError: "not-the-authors-network": another encoder or width; or as ``network_from_model``.
    """
    card, settings = _read_alpnet_card(Path(folder))
    if (settings.encoder, settings.channels) != (AUTHORS.encoder, AUTHORS.channels):
        raise SegToolkitError(
            "not-the-authors-network",
            f"{card.name} has the encoder {settings.encoder} with {settings.channels} channels;"
            f" the authors' code knows {AUTHORS.encoder} with {AUTHORS.channels} only.",
            "Share it as a model folder.",
        )
    state = _fresh_passengers() | load_state(folder, card)
    wanted = _authors_shapes() | passenger_shapes()
    refuse_misfit(compare_keys(state, wanted), f"The weights of {card.name}", HINT, "model-mismatch")
    with replacing(file) as temporary:
        torch.save({key: state[key] for key in wanted}, temporary)
    return Path(file)


def load_coco(network: ALPNet, file: str | os.PathLike[str]) -> None:
    """Start a ResNet-101 network from torchvision's deeplabv3_resnet101_coco weights, as the authors do.

    ``localconv`` keeps its fresh values, the passenger ``asppconv`` gets fresh ones.

    Raises:
        SegToolkitError: "coco-encoder": the network is compact; "key-mismatch"; as ``read_checkpoint``.
            The network is unchanged then.
    """
    if not any(isinstance(module, Bottleneck) for module in network.modules()):
        raise SegToolkitError(
            "coco-encoder",
            "The COCO weights are those of a ResNet-101; the compact encoder cannot take them.",
            "Set network.encoder=resnet101, or train the compact encoder from fresh weights.",
        )
    backbone = {key: shape for key, shape in _shapes(network).items() if ".backbone." in key}
    aspp = {key: shape for key, shape in passenger_shapes().items() if ".aspp_out." in key}
    found = {
        new + key.removeprefix(old): value
        for key, value in read_checkpoint(file).items()
        for old, new in COCO_PARTS.items()
        if key.startswith(old)
    }
    found = _with_counters(found, backbone | aspp)
    refuse_misfit(compare_keys(found, backbone | aspp), str(file), HINT, "key-mismatch")
    network.load_state_dict(network.state_dict() | {key: found[key] for key in backbone})
    network.passengers = _fresh_passengers() | {key: found[key] for key in aspp}


def download_coco(folder: str | os.PathLike[str], progress: Progress | None = None) -> Path:
    """Fetch torchvision's COCO weights (233 MB, BSD licence) unless the folder has them; verified.

    Raises:
        SegToolkitError: "download-failed", "bad-checksum" (both say how to get the file by hand),
            "write-failed".
    """
    return download(COCO_URL, folder, COCO_SHA256, COCO_BY_HAND, progress)


def passenger_shapes() -> dict[str, Shape]:
    """Keys and shapes of the authors' DeepLab head, which their forward pass never uses."""

    def norm(key: str) -> dict[str, Shape]:
        names = ("weight", "bias", "running_mean", "running_var")
        return {f"{key}.{name}": (256,) for name in names} | {f"{key}.num_batches_tracked": ()}

    head = "encoder.aspp_out"
    shapes: dict[str, Shape] = {"encoder.asppconv.weight": (256, 256, 1, 1)}
    for branch, kernel in enumerate((1, 3, 3, 3, 1)):
        # The last branch pools first, which moves its layers on by one.
        conv = 1 if branch == 4 else 0
        shapes[f"{head}.0.convs.{branch}.{conv}.weight"] = (256, 2048, kernel, kernel)
        shapes |= norm(f"{head}.0.convs.{branch}.{conv + 1}")
    shapes[f"{head}.0.project.0.weight"] = (256, 1280, 1, 1)
    shapes |= norm(f"{head}.0.project.1")
    shapes[f"{head}.1.weight"] = (256, 256, 3, 3)
    return shapes


def _fresh_passengers() -> dict[str, Tensor]:
    """PyTorch's default initial values, always the same ones: the caller's random state stays untouched."""
    generator = torch.Generator().manual_seed(0)
    fresh: dict[str, Tensor] = {}
    for key, shape in passenger_shapes().items():
        if len(shape) == 4:
            fresh[key] = nn.init.kaiming_uniform_(torch.empty(shape), a=5**0.5, generator=generator)
        elif key.endswith("num_batches_tracked"):
            fresh[key] = torch.zeros((), dtype=torch.int64)
        else:
            fresh[key] = torch.full(shape, 1.0 if key.endswith((".weight", ".running_var")) else 0.0)
    return fresh


def _with_counters(state: dict[str, Tensor], wanted: dict[str, Shape]) -> dict[str, Tensor]:
    """Add the batch counters that files from before PyTorch 0.4.1 lack; nothing in the network reads them."""
    counters = [key for key in wanted if key.endswith(".num_batches_tracked")]
    return {key: torch.zeros((), dtype=torch.int64) for key in counters} | state


def _authors_preprocessing(modality: str, mean: float | None, std: float | None) -> dict[str, object]:
    if modality != "CT":
        if mean is not None or std is not None:
            raise SegToolkitError(
                "ct-statistics",
                "Mean and standard deviation were given for MR, where each volume has its own.",
                "Leave them out, or import the checkpoint as CT.",
            )
        return {"modality": modality, "clip_top": 99.5, "spacing": CHAOS_SPACING}
    mean, std = hounsfield_statistics(mean, std)
    return {"modality": "CT", "window": CT_WINDOW, "spacing": SABS_SPACING, "mean": mean, "std": std}


def hounsfield_statistics(
    mean: float | None, std: float | None, window: tuple[float, float] = CT_WINDOW
) -> tuple[float, float]:
    """Carry mean and deviation from the authors' scale (``window`` mapped to 0..255) to Hounsfield units.

    z-scores are the same on both scales, for scans that fill the window.

    Args:
        mean, std: on the scale 0..255, or as fractions of 255 if neither exceeds 1.
        window: (low, high) in HU.

    Raises:
        SegToolkitError: "ct-statistics": missing, or impossible on that scale.
    """
    hint = "They are on the scale 0..255 of the authors' prepared scans (or fractions of 255)."
    if mean is None or std is None:
        raise SegToolkitError(
            "ct-statistics",
            "A CT checkpoint needs the mean and the standard deviation of its training scans;"
            " the file does not hold them.",
            f"Give --mean and --std. {hint}",
        )
    # No scan of 0..255 has both below 1: those are fractions.
    full = 1.0 if mean <= 1 and std <= 1 else 255.0
    # Bhatia and Davis: the variance of values in [0, full] is at most mean (full - mean).
    if not (std > 0 and std**2 <= mean * (full - mean)):
        raise SegToolkitError("ct-statistics", f"Mean {mean:g} and deviation {std:g} cannot be right.", hint)
    low, high = window
    scale = (high - low) / full
    return mean * scale + low, std * scale


def _read_alpnet_card(folder: Path) -> tuple[ModelCard, NetworkSettings]:
    card = read_card(folder.parent if folder.name == CARD_FILE else folder)
    if card.method != METHOD:
        raise SegToolkitError(
            "other-method",
            f"{card.name} is a model of the method {card.method}, not {METHOD}.",
            "Choose another.",
        )
    return card, parse(NetworkSettings, card.settings, f"'settings' of {card.name}")


def _build(settings: NetworkSettings) -> ALPNet:
    # The seed keeps the caller's random state; the values are replaced.
    return build_network(
        settings.encoder,
        channels=settings.channels,
        compact_widths=settings.compact_widths,
        generator_seed=0,
    )


@cache
def _authors_shapes() -> dict[str, Shape]:
    return _shapes(_build(AUTHORS))


def _shapes(network: ALPNet) -> dict[str, Shape]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}
