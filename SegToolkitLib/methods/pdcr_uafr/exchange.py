"""The authors' checkpoints as models, and back.

A checkpoint says neither labels nor sizes, nor how intensities were scaled; the authors' own were trained on
intensities that nobody had divided by 255.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import torch

from SegToolkitLib.atomic import replacing
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.automatic import plan_of
from SegToolkitLib.methods.pdcr_uafr.beginning import METHOD
from SegToolkitLib.methods.pdcr_uafr.checkpoints import loaded_network, read_authors
from SegToolkitLib.methods.pdcr_uafr.plan import InputPlan, ModelPlan
from SegToolkitLib.models.card import Licence, Modality, ModelCard, read_card_of
from SegToolkitLib.models.folder import load_state, save_model
from SegToolkitLib.models.imported import imported_card, stated_licence
from SegToolkitLib.models.trained import model_name
from SegToolkitLib.validation import read_json

# Of weights made with the released code.
RELEASED_INPUT = InputPlan(intensity_scale=1)
UNCLEAR = Licence(
    name="not stated",
    permissive=False,
    summary="The terms of the weights are not stated. The code that made them is under Apache-2.0; the terms"
    " of the training images count besides.",
)


def import_authors(
    file: Path,
    out: str | os.PathLike[str],
    *,
    labels: Mapping[str, int],
    plan: InputPlan = RELEASED_INPUT,
    output_stride: Literal[8, 16] = 16,
    modality: Modality = "picture",
    name: str | None = None,
    licence_name: str | None = None,
    half: bool = False,
    tell: Callable[[str], None] = lambda _text: None,
) -> ModelCard:
    """Make a model's folder from a checkpoint ``epoch_N.pth``.

    Args:
        file: the checkpoint.
        out: folder of the model.
        labels: value by name of the classes 1, 2, ..., in their order.
        plan: size and scale of the training's images.
        output_stride: of the training.
        modality: of the training's images.
        name: of the model; None takes the file's.
        licence_name: of the weights; None says that it is unclear.
        half: store half precision; the default keeps every bit.
        tell: hears what of the file was taken.

    Returns:
        The card as written.

    Raises:
        SegToolkitError: "labels-differ", "other-network", "key-mismatch", or what ``read_checkpoint`` and
            ``save_model`` raise. Nothing is written then.
    """
    network, found = read_authors(file, output_stride)
    tell(f"{file.name}: {found.text()}")
    if len(labels) != network.classes - 1:
        raise SegToolkitError(
            "labels-differ",
            f"{file} tells {network.classes - 1} structures from the background; {len(labels)} are named.",
            "Name them in the order of the classes: --labels FILE, a JSON of name -> value.",
        )
    model = ModelPlan(network=network.plan, input=plan)
    tell(f"Heads of UAFR: {', '.join(network.plan.uafr.positions) or 'none'}")
    card = imported_card(
        METHOD,
        model,
        name=model_name(name or f"pdcr-uafr-{file.stem}", "pdcr-uafr"),
        title=f"PDCR and UAFR of the authors' code: {', '.join(labels)}",
        description="Imported from a checkpoint of the authors' code.",
        labels=labels,
        preprocessing={"modality": modality},
        licence=stated_licence(licence_name, UNCLEAR),
        provenance={"imported_from": file.name},
        limits="For research only; a person checks every result. What the network was trained on is not"
        " recorded in the checkpoint.",
    )
    return save_model(out, card, network.state_dict(), half)


def export_authors(folder: str | os.PathLike[str], out: Path) -> Path:
    """Write a model's network as the authors' code names its tensors: ``state_dict`` in a ``.pth`` file.

    The measuring backbone and the mask branch that the authors' code builds besides are not in it; their code
    loads it with ``strict=False``.

    Args:
        folder: of the model.
        out: file to write.

    Raises:
        SegToolkitError: "other-method", "model-mismatch"; or what ``read_card`` and ``load_state`` raise.
    """
    card = read_card_of(folder, METHOD)
    state = load_state(folder, card)
    loaded_network(plan_of(card).network, len(card.labels) + 1, state, card.name)
    with replacing(out) as temporary:
        torch.save({"epoch": 0, "state_dict": state, "optimizer": {}}, temporary)
    return out


def labels_named(text: str) -> dict[str, int]:
    """Labels of a JSON file (name -> value), or of names in the order of the classes: "vein,artery".

    Raises:
        SegToolkitError: "labels": the file holds something else, nothing is named, or one name stands twice.
    """
    if text.lower().endswith(".json"):
        values = read_json(Path(text))
        labels = {str(name): value for name, value in values.items() if value != 0}
        usable = all(type(value) is int and 1 <= value <= 255 for value in labels.values())
        if not labels or not usable or len(set(labels.values())) < len(labels):
            raise SegToolkitError(
                "labels",
                f"{text} does not give each structure a whole number of its own from 1 to 255.",
                'Write {"lesion": 1}.',
            )
        return labels
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise SegToolkitError("labels", f"{text!r} names no labels.", "Name them: --labels lesion.")
    if len({name.casefold() for name in names}) < len(names):
        raise SegToolkitError(
            "labels", f"{text!r} names a structure twice.", "Give each class a name of its own."
        )
    return {name: number for number, name in enumerate(names, start=1)}
