"""What a run leaves: a folder of results as nnU-Net's own programs want it, and a model made from it."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.nnunet.importing import import_trained
from SegToolkitLib.methods.nnunet.settings import NnunetSettings
from SegToolkitLib.methods.nnunet.train import NnunetTask
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.models.trained import described_labels, licence_of, model_name, trained_on, training_of
from SegToolkitLib.training.figures import metrics_of
from SegToolkitLib.training.method import Context

CHECKPOINT = "checkpoint_final.pth"


def write_results(task: NnunetTask) -> Path:
    """Write plans.json, dataset.json and the fold's checkpoint, by the trainer's own saving.

    Returns:
        The folder TRAINER__PLANS__CONFIGURATION below ``<run>/nnunet/results/DATASET``.

    Raises:
        SegToolkitError: "write-failed"; an earlier checkpoint is unchanged then.
    """
    trainer, home = task.trainer, task.home
    folder, fold = Path(trainer.output_folder_base), Path(trainer.output_folder)
    write_json(folder / "plans.json", trainer.plans_manager.plans)
    write_json(folder / "dataset.json", trainer.dataset_json)
    making = fold / f".making-{uuid.uuid4().hex[:8]}"
    try:
        shutil.copyfile(home.fingerprint, folder / home.fingerprint.name)
        making.mkdir(parents=True)
        with home.active():
            # nnU-Net counts the epoch that it is in, and adds one.
            trainer.current_epoch = trainer.num_epochs - 1
            trainer.save_checkpoint(str(making / CHECKPOINT))
        for file in making.iterdir():  # PDCR's projections have a file of their own
            file.replace(fold / file.name)
    except (OSError, RuntimeError) as error:  # torch's writer tells a full disk by the latter
        raise SegToolkitError(
            "write-failed",
            f"{fold / CHECKPOINT} could not be written ({error}).",
            "Check that you may write there and that the disk is not full, then resume the run.",
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def write_model(
    context: Context, task: NnunetTask, dataset: Dataset, results: Path, orientation: str | None
) -> Path:
    """Make the model's folder from the results, as ``models import nnunet`` does.

    Args:
        context: of the run.
        task: of the run.
        dataset: it was trained on.
        results: of :func:`write_results`.
        orientation: that all training volumes have; None where they differ.
    """
    settings: NnunetSettings = context.settings
    description = dataset.description
    data = context.run.settings().get("data") or {}
    train, held_out = data.get("train", []), data.get("held_out", [])

    def complete(card: ModelCard) -> ModelCard:
        labels = described_labels(description, {one.value: one.name for one in card.labels})
        return card.model_copy(
            update={
                "name": model_name(context.name, "nnunet"),
                "title": f"{description.name}: {', '.join(label.name for label in labels)}",
                "description": f"nnU-Net ({settings.trainer_name}, {settings.plan.configuration}), trained on"
                f" {len(train)} labelled cases.",
                "labels": labels,
                "trained_on": [trained_on(description, train)],
                "licence": licence_of(description),
                "training": training_of(context.command, settings, data.get("sha256", {})),
                "metrics": metrics_of(context.run, settings.use_best, train=train, held_out=held_out),
            }
        )

    model = context.run.result / "model"
    modality = description.modality
    fold = "all" if settings.data.fold is None else str(settings.data.fold)
    import_trained(
        results, model, folds=[fold], modality=modality, orientation=orientation, complete=complete
    )
    return model
