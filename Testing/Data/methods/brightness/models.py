"""Model folders of the bands; importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from SegToolkitLib.anatomy import label_of
from SegToolkitLib.models.card import Licence, ModelCard, Preprocessing, TrainedOn
from SegToolkitLib.models.files import install

# Structure -> lowest and highest brightness that is still its own.
BANDS: dict[str, tuple[float, float]] = {
    "liver": (100, 199),
    "spleen": (200, 299),
    "right kidney": (300, 399),
    "left kidney": (400, 499),
    "pancreas": (500, 599),
}


def make_model(
    folder: Path,
    name: str = "brightness",
    *,
    modality: str = "CT",
    permissive: bool = True,
    bands: Mapping[str, tuple[float, float]] = BANDS,
    title: str = "",
    **settings: Any,
) -> Path:
    """Write the model ``folder/name``.

    Args:
        folder: of models; name it in ``SEGTOOLKIT_MODELS``.
        name: of the model.
        modality: "CT" or "MR".
        permissive: false makes a person accept its terms.
        bands: structure -> lowest and highest brightness; values are 1, 2, ... in this order.
        title: what people call it; "" makes one up.
        settings: see :class:`brightness.settings.BrightnessSettings` (``delay``, ``fails``, ``modes``).
    """
    labels = [label_of(n, structure) for n, structure in enumerate(bands, start=1)]
    card = ModelCard(
        name=name,
        title=title or f"Brightness ({modality}, {len(labels)} structures)",
        description="Finds bands of brightness; for tests.",
        method="brightness",
        settings=settings,
        labels=labels,
        preprocessing=Preprocessing(modality=modality, orientation="RAS"),
        trained_on=[TrainedOn(dataset="nothing", count=1, licence="none")],
        licence=Licence(name="terms of the test", permissive=permissive, summary="Research only."),
    )
    limits = {"limits": np.array(list(bands.values()), np.float32)}
    install(folder / name, card, save(limits), "float32")
    return folder / name
