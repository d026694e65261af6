"""A tiny model of cooperative training that nobody has trained, which segments all the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from SegToolkitLib.anatomy import labels_of
from SegToolkitLib.methods.cooperative.network import build_networks
from SegToolkitLib.methods.cooperative.plan import InputPlan, ModelPlan, NetworkPlan
from SegToolkitLib.methods.cooperative.typicality import Typicality, calibrate
from SegToolkitLib.models.card import Licence, ModelCard, Preprocessing
from SegToolkitLib.models.folder import save_model

CHANNELS = (4, 4, 8, 8, 8)
# As the made-up hearts have them.
LABELS = {"RV": 1, "MYO": 2, "LV": 3}


def tiny_plan(**more: Any) -> ModelPlan:
    """A plan for the made-up hearts."""
    parts = {"network": NetworkPlan(channels=CHANNELS), "input": InputPlan(spacing_mm=1.5, crop=48)}
    return ModelPlan(**(parts | more))


def usual_codes(limit: float = 1e9, seed: int = 0) -> Typicality:
    """A typicality of made-up slices that flags what is above ``limit``."""
    rng = np.random.default_rng(seed)
    found = calibrate(rng.uniform(0.1, 1, (20, 2 + CHANNELS[-1])).astype(np.float32))
    return found.model_copy(update={"threshold": limit, "threshold_quick": limit})


def make_model(
    folder: Path, plan: ModelPlan | None = None, labels: Mapping[str, int] = LABELS, **card: Any
) -> ModelCard:
    """Write the folder of a model with fresh, seeded weights."""
    plan = plan or tiny_plan()
    values: dict[str, Any] = {
        "name": folder.name.lower(),
        "title": "Tiny hearts",
        "method": "cooperative",
        "settings": plan.model_dump(mode="json"),
        "labels": labels_of(labels),
        "preprocessing": Preprocessing(modality="MR"),
        "licence": Licence(name="CC0", permissive=True),
    }
    networks = build_networks(plan.network, len(labels) + 1, seed=0)
    return save_model(folder, ModelCard(**(values | card)), networks.state_dict())
