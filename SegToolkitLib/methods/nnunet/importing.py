"""A trained nnU-Net as a model of SegToolkit: one card, one file of weights, nothing that can run code."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from SegToolkitLib.anatomy import label_of
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet.network import network_of
from SegToolkitLib.methods.nnunet.package import trainer_of
from SegToolkitLib.methods.nnunet.plan import METHOD, NnunetPlan
from SegToolkitLib.methods.nnunet.weights import all_names, once, read_nnunet
from SegToolkitLib.models.card import Licence, Modality, ModelCard, parse
from SegToolkitLib.models.folder import save_model
from SegToolkitLib.models.imported import stated_licence
from SegToolkitLib.models.trained import NOT_STATED, model_name
from SegToolkitLib.validation import read_json, validated

DATASET_FIELDS = ("labels", "channel_names", "modality", "regions_class_order", "file_ending", "numTraining")
LIMITS = (
    "For research only; a person checks every result. The volume must be of the kind the network was trained"
    " on, with the same directions of its axes unless the card names an orientation. Post-processing that"
    " nnUNetv2_find_best_configuration chose is not part of the model."
)


def import_trained(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    folds: Sequence[str] | None = None,
    checkpoint: str = "checkpoint_final.pth",
    name: str | None = None,
    licence_name: str | None = None,
    modality: Modality | None = None,
    orientation: str | None = None,
    half: bool = False,
    tell: Callable[[str], None] = lambda _text: None,
    complete: Callable[[ModelCard], ModelCard] = lambda card: card,
) -> ModelCard:
    """Make a model's folder from one of ``nnUNet_results``, such as "nnUNetTrainer__nnUNetPlans__3d_fullres".

    Args:
        folder: holds plans.json, dataset.json and a folder fold_N for each fold.
        out: folder of the model.
        folds: whose networks are used together; None takes all that are there, "all" only where alone.
        checkpoint: file in each fold's folder.
        name: of the model; None makes one of the data set's name and the configuration.
        licence_name: of the weights; None says that it is not stated.
        modality: of the images; None goes by the name of the channel.
        orientation: that the training's volumes had ("RAS"); volumes are turned to it first. None takes axes
            as they are, as nnU-Net does.
        half: store half precision.
        tell: hears what was found.
        complete: adds to the card what nnU-Net's folder does not tell.

    Returns:
        The card as written.

    Raises:
        SegToolkitError: "no-trained-model", "several-images", "cascade", "folds-differ", "unknown-trainer",
            "missing-package", "model-mismatch", or what reading and writing raise. Nothing is written then.
    """
    place = Path(folder)
    for file in ("plans.json", "dataset.json"):
        if not (place / file).is_file():
            raise SegToolkitError(
                "no-trained-model",
                f"{place} holds no {file}.",
                "Give the folder of one training in nnUNet_results: TRAINER__PLANS__CONFIGURATION.",
            )
    plans, dataset = read_json(place / "plans.json"), read_json(place / "dataset.json")
    chosen = list(folds) if folds is not None else _folds(place, checkpoint)
    states: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for fold in chosen:
        found = read_nnunet(place / f"fold_{fold}" / checkpoint)
        told = {
            "trainer": found["trainer_name"],
            "configuration": found["init_args"]["configuration"],
            "mirrored": found.get("inference_allowed_mirroring_axes"),
        }
        if facts and told != facts:
            raise SegToolkitError(
                "folds-differ",
                f"Fold {fold} of {place} was trained in another way.",
                "Choose folds: --folds.",
            )
        facts = told
        states |= once(found["network_weights"], fold)
    trainer = trainer_of(facts["trainer"])
    plan = validated(
        NnunetPlan,
        {
            **facts,
            "plans": _of_one(plans, facts["configuration"]),
            "dataset": {field: dataset[field] for field in DATASET_FIELDS if field in dataset},
            "folds": chosen,
            "orientation": orientation,
            "confidence": hasattr(trainer, "feature_confidence"),
        },
        f"The training in {place}",
    )
    _check_use(plan, place)
    network = network_of(plan, trainer)
    for fold in chosen:
        all_names(network, states, fold)
    tell(
        f"{plan.trainer}, {plan.configuration}, folds {', '.join(chosen)}: {len(plan.structures)} structures"
    )
    return save_model(out, complete(_card(plan, name, licence_name, modality)), states, half)


def _folds(place: Path, checkpoint: str) -> list[str]:
    found = sorted(file.parent.name.removeprefix("fold_") for file in place.glob(f"fold_*/{checkpoint}"))
    if not found:
        raise SegToolkitError(
            "no-trained-model",
            f"No folder fold_N of {place} holds a {checkpoint}.",
            "Train it to the end, or name another checkpoint: --checkpoint checkpoint_best.pth.",
        )
    return [fold for fold in found if fold != "all"] or found


def _of_one(plans: dict[str, Any], name: str) -> dict[str, Any]:
    """Plans with one configuration, which holds what it inherits."""
    known = plans.get("configurations", {})
    values: dict[str, Any] = {}
    wanted: str | None = name
    while wanted is not None and wanted in known:
        values = {**known[wanted], **values}
        wanted = known[wanted].get("inherits_from")
    values.pop("inherits_from", None)
    return {**plans, "configurations": {name: values}}


def _check_use(plan: NnunetPlan, place: Path) -> None:
    if plan.values.get("previous_stage"):
        raise SegToolkitError(
            "cascade",
            f"{place} is the second stage of a cascade, which needs the first one's result.",
            "Import the first stage (3d_lowres), or a 3d_fullres model.",
        )
    if plan.channels > 1 and not plan.pictures:
        raise SegToolkitError(
            "several-images",
            f"{place} was trained on {plan.channels} images a case; SegToolkit gives models one volume.",
            "Use nnUNetv2_predict for it.",
        )


def _card(
    plan: NnunetPlan, name: str | None, licence_name: str | None, modality: Modality | None
) -> ModelCard:
    source = str(plan.plans.get("dataset_name", "nnU-Net"))
    channel = str(next(iter((plan.dataset.get("channel_names") or {"0": ""}).values())))
    kind: Modality = "picture" if plan.pictures else "CT" if channel.casefold() == "ct" else "MR"
    unknown = Licence(name=NOT_STATED, permissive=False, summary="The terms of the weights are not stated.")
    structures = plan.structures
    values = {
        "name": model_name(name or f"{source}-{plan.configuration}".replace("_", "-"), "nnunet"),
        "title": f"nnU-Net, {source}: {', '.join(structures.values())}",
        "description": f"{plan.trainer}, configuration {plan.configuration}, folds {', '.join(plan.folds)}.",
        "method": METHOD,
        "settings": plan.model_dump(mode="json"),
        "labels": [label_of(value, one).model_dump() for value, one in structures.items()],
        "preprocessing": {"modality": modality or kind},
        "trained_on": [{"dataset": source, "count": plan.dataset.get("numTraining") or None}],
        "licence": stated_licence(licence_name, unknown).model_dump(),
        "limits": LIMITS,
    }
    return parse(ModelCard, values, "The card of the imported model")
