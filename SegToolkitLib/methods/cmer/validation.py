"""Validation within a run: tags of held-out slices and, where there are masks, DSC of the maps.

Source: the released code validates cross-entropy and accuracy of the tags. The figures of the maps are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.methods.cmer.data import Scan
from SegToolkitLib.methods.cmer.maps import agreement
from SegToolkitLib.methods.cmer.network import Networks
from SegToolkitLib.methods.cmer.plan import FUSED
from SegToolkitLib.methods.cmer.scoring import THRESHOLDS, CaseScores, Sweep
from SegToolkitLib.methods.cmer.seeing import named_maps, see
from SegToolkitLib.methods.cmer.settings import CmerSettings

METRIC = "score"


@dataclass
class Figures:
    """What a validation has found.

    Attributes:
        accuracy, loss: of the tags, by modality.
        blank: share of the slices tagged as visible whose map has no positive pixel, by modality; NaN where
            there is none.
        agreement: of the modalities' maps on slices that are tagged as visible; NaN likewise.
        sweeps: DSC at all thresholds, by modality and of the fused map, where there are masks.
        by: what decides.
    """

    accuracy: dict[str, float]
    loss: dict[str, float]
    blank: dict[str, float]
    agreement: float
    sweeps: dict[str, Sweep] = field(default_factory=dict)
    by: str = "accuracy"

    def chosen_by(self, modality: str, by: str) -> float:
        """The number that decides which weights of a modality are kept; larger is better."""
        if by == "dsc":
            return float(self.sweeps[modality].dsc.mean(0).max())
        return -self.loss[modality] if by == "loss" else self.accuracy[modality]

    def named(self) -> dict[str, float]:
        """For the log. "score" is the mean over modalities of what decides."""
        values = {METRIC: float(np.mean([self.chosen_by(one, self.by) for one in self.accuracy]))}
        values["accuracy"] = float(np.mean(list(self.accuracy.values())))
        for name in ("accuracy", "loss", "blank"):
            values |= {f"{name}_{modality}": value for modality, value in getattr(self, name).items()}
        for name, sweep in self.sweeps.items():
            values[f"dsc_{name}"] = float(sweep.dsc.mean(0).max())
            values[f"threshold_{name}"] = sweep.best()
        values["agreement"] = self.agreement
        return {name: value for name, value in values.items() if math.isfinite(value)}


def validate(
    networks: Networks, scans: Sequence[Scan], settings: CmerSettings, device: torch.device
) -> Figures:
    """Look at all slices of scans as the model would.

    Args:
        networks: in evaluation mode, on ``device``.
        scans: at least one; those with tags tell of accuracy, those with masks of DSC.
        settings: of the run.
        device: where to work.
    """
    plan = settings.plan
    logits, tags, blank, agreeing = [], [], [], []
    scores: dict[str, dict[str, CaseScores]] = {name: {} for name in plan.map_names}
    for scan in scans:
        arrays = scan.arrays
        seen = see(
            networks,
            arrays["pixels"],
            arrays["constant"],
            settings.input,
            settings.maps,
            device,
            supervision=settings.supervision,
        )
        tagged = [k for k, tag in enumerate(scan.tags) if tag is not None and not arrays["constant"][k].any()]
        own = torch.tensor([int(scan.tags[k] or 0) for k in tagged], dtype=torch.long)
        logits.append(seen.logits[:, tagged])
        tags.append(own)
        visible = [k for k in tagged if scan.tags[k]]
        blank.append(seen.blank[:, visible].double())
        if visible and len(plan.parts) > 1:
            agreeing.append(agreement(seen.maps[:, visible]))
        if scan.mask is not None:
            counted = ~scan.ignored if scan.ignored is not None else np.True_
            for name, maps in named_maps(plan.map_names, seen.shown(plan.gated)).items():
                scores[name][scan.id] = dsc_alone(maps * counted, scan.mask)
    joined, truth, blanks = torch.cat(logits, 1), torch.cat(tags), torch.cat(blank, 1)
    batch = settings.optimiser.batch if settings.selection.average == "released" else None
    figures = [_of_tags(one, truth, batch) for one in joined]
    return Figures(
        accuracy={name: accuracy for name, (accuracy, _) in zip(plan.parts, figures, strict=True)},
        loss={name: loss for name, (_, loss) in zip(plan.parts, figures, strict=True)},
        blank={name: float(one.mean()) for name, one in zip(plan.parts, blanks, strict=True)},
        agreement=float(torch.cat(agreeing).mean()) if agreeing else math.nan,
        sweeps={name: Sweep.of(own) for name, own in scores.items() if own},
        by=settings.selects_by,
    )


def dsc_alone(maps: NDArray[np.float32], mask: NDArray[np.bool_]) -> CaseScores:
    """DSC of a case at all thresholds; the distances, which take time, are missing."""
    size = int(mask.sum())
    inside = maps[mask]
    dsc = []
    for threshold in THRESHOLDS:
        found = int((maps > threshold).sum())
        both = int((inside > threshold).sum())
        dsc.append(2 * both / (size + found) if size + found else 1.0)
    return CaseScores(np.array(dsc), np.full(len(THRESHOLDS), np.nan))


def thresholds_of(sweeps: Mapping[str, Sweep]) -> tuple[dict[str, float], float | None]:
    """The best threshold of each modality, and that of the fused map, where there were masks."""
    best = {name: sweep.best() for name, sweep in sweeps.items()}
    return {name: value for name, value in best.items() if name != FUSED}, best.get(FUSED)


def _of_tags(logits: Tensor, tags: Tensor, batch: int | None) -> tuple[float, float]:
    """Accuracy and cross-entropy of logits [N, classes]; with ``batch`` every batch counts alike."""
    if not len(tags):
        return math.nan, math.nan
    right = (logits.argmax(1) == tags).double()
    loss = F.cross_entropy(logits.double(), tags, reduction="none")
    if batch is None:
        return float(right.mean()), float(loss.mean())
    means = [torch.stack([part.mean() for part in one.split(batch)]).mean() for one in (right, loss)]
    return float(means[0]), float(means[1])
