"""The card of a freshly trained model."""

from __future__ import annotations

import statistics

from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.methods.alpnet.settings import AlpnetSettings
from SegToolkitLib.methods.alpnet.training_data import TrainingData
from SegToolkitLib.models.card import ModelCard, Preprocessing
from SegToolkitLib.models.trained import licence_of, model_name, trained_on, training_of
from SegToolkitLib.training.run_folder import RunFolder
from SegToolkitLib.volume import read_volume

LIMITS = (
    "For research only; a person checks every result. Structures much smaller than 32 x 32 pixels at the"
    " model's pixel size rest on a single prototype and are often missed."
)


def make_card(
    name: str,
    command: str,
    settings: AlpnetSettings,
    dataset: Dataset,
    data: TrainingData,
    run: RunFolder,
) -> ModelCard:
    """Describe the model of a finished run; the weights are added when it is saved.

    Args:
        name: of the model; made harmless for file systems.
        command: that started the run.
        settings, dataset, data, run: of the run.
    """
    description = dataset.description
    cases = [scan.id for scan in data.scans]
    last = run.events("metric")[-1:]
    return ModelCard(
        name=model_name(name, "alpnet"),
        title=f"Few-shot {description.modality} ({description.name}, {settings.network.encoder} encoder)",
        description="SSL-ALPNet trained on superpixels of unlabelled volumes; finds what is outlined for it.",
        method="alpnet",
        settings=settings.network.model_dump(mode="json"),
        preprocessing=preprocessing_of(dataset, data),
        trained_on=[trained_on(description, cases)],
        licence=licence_of(description),
        training=training_of(command, settings, data.fingerprint["sha256"]),
        metrics={"training": {k: v for k, v in last[0].items() if k not in ("t", "time")}} if last else {},
        limits=LIMITS,
    )


def preprocessing_of(dataset: Dataset, data: TrainingData) -> Preprocessing:
    """How a raw volume becomes like the training volumes.

    The slices keep their own distance: only pixels are resampled.
    """
    images = [read_volume(dataset.case(scan.id).image) for scan in data.scans]
    spacing = [round(statistics.median(image.spacing[axis] for image in images), 4) for axis in (0, 1)]
    codes = [image.orientation for image in images]
    window, mean, std = data.raw_units
    return Preprocessing(
        modality=dataset.description.modality,
        orientation=statistics.mode(codes),
        window=window,
        clip_top=data.clip_top,
        spacing=(spacing[0], spacing[1], None),
        mean=mean,
        std=std,
    )
