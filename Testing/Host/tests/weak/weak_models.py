"""Models of untrained networks, which answer at once: ``python weak_models.py FOLDER``.

A process of its own, because it needs torch, which has no place in a window.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]
SIZE = 32


def make(folder: Path, modalities: tuple[str, ...], seeds: int, permissive: bool = True) -> None:
    """Write a model whose networks have the weights of seeds 0, 1, ..."""
    import torch

    from SegToolkitLib.methods.cmer.network import build_networks
    from SegToolkitLib.methods.cmer.plan import InputPlan, MapPlan, ModelPlan, NetworkPlan
    from SegToolkitLib.methods.cmer.weights import with_seeds
    from SegToolkitLib.models.card import Label, Licence, ModelCard, Preprocessing
    from SegToolkitLib.models.folder import save_model

    plan = ModelPlan(
        modalities=modalities,
        network=NetworkPlan(width_factor=32),
        input=InputPlan(size=SIZE),
        maps=MapPlan(gate=False),
        thresholds={modalities[0]: 0.6},
        fused_threshold=0.45,
        seeds=seeds,
    )
    states = [
        build_networks(plan.network, len(modalities), torch.Generator().manual_seed(seed)).state_dict()
        for seed in range(seeds)
    ]
    own: dict[str, Any] = {key: states[int(key[0]) % seeds][key] for key in states[0]}
    card = ModelCard(
        name=folder.name,
        title=f"Made up ({', '.join(modalities)})",
        method="cmer",
        settings=plan.model_dump(mode="json"),
        labels=[Label(value=1, name="ball")],
        preprocessing=Preprocessing(modality="MR"),
        licence=Licence(name="terms of the test", permissive=permissive, summary="Research only."),
        limits="For tests.",
    )
    save_model(folder, card, with_seeds(own, states if seeds > 1 else []))


def main() -> None:
    """Write all models that the tests use."""
    sys.path.insert(0, str(ROOT))
    folder = Path(sys.argv[1])
    make(folder / "balls", ("FLAIR", "T1c"), 2)
    make(folder / "one-seed", ("FLAIR", "T1c"), 1)
    make(folder / "with-terms", ("FLAIR", "T1c"), 1, permissive=False)
    make(folder / "prostate", ("T2", "ADC"), 1)


if __name__ == "__main__":
    main()
