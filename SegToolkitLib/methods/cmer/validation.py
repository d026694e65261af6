"""Validation within a run: tags of held-out slices and, where there are masks, DSC of the maps.

Source: the released code validates cross-entropy and accuracy of the tags. The figures of the maps are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.methods.cmer.data import Scan
from SegToolkitLib.methods.cmer.maps import agreement, fused, slice_maps
from SegToolkitLib.methods.cmer.network import CamNetwork, Networks
from SegToolkitLib.methods.cmer.plan import FUSED, InputPlan, MapPlan
from SegToolkitLib.methods.cmer.scoring import THRESHOLDS, CaseScores, Sweep
from SegToolkitLib.methods.cmer.settings import CmerSettings

METRIC = "score"
# Slices that go through a network at once.
CHUNK = 16


class Seen(NamedTuple):
    """What the networks make of all slices of a case, on the CPU.

    Attributes:
        logits: [M, Z, classes].
        present: whether the network sees the object, bool [M, Z].
        maps: not gated, [M, Z, Y, X].
        blank: maps without a positive pixel, bool [M, Z].
    """

    logits: Tensor
    present: Tensor
    maps: Tensor
    blank: Tensor

    def shown(self, gate: bool) -> Tensor:
        """The maps, blank where the object is said to be absent."""
        return self.maps * self.present[..., None, None] if gate else self.maps


@torch.no_grad()
def see(
    networks: Networks,
    pixels: NDArray[np.float32],
    constant: NDArray[np.bool_],
    fit: InputPlan,
    plan: MapPlan,
    device: torch.device,
    chunk: int = CHUNK,
) -> Seen:
    """Send all slices of a case through all networks.

    Args:
        networks: in evaluation mode, on ``device``.
        pixels: raw, [Z, M, Y, X].
        constant: slices [Z, M] in which nothing can be seen: they count as without the object (ours).
        fit, plan: of the model.
        device: where to compute.
        chunk: slices at once.
    """
    parts: list[list[Tensor]] = [[], [], [], []]
    for number, network in enumerate(networks):
        assert isinstance(network, CamNetwork)
        own: list[list[Tensor]] = [[], [], [], []]
        for start in range(0, len(pixels), chunk):
            slices = torch.from_numpy(np.array(pixels[start : start + chunk, number : number + 1]))
            found = slice_maps(network, slices.to(device), fit, plan)
            assert found.logits is not None
            assert found.blank is not None
            for kept, one in zip(own, (found.logits, found.present, found.maps, found.blank), strict=True):
                kept.append(one.cpu())
        for all_, kept in zip(parts, own, strict=True):
            all_.append(torch.cat(kept))
    logits, present, maps, blank = (torch.stack(part) for part in parts)
    empty = torch.from_numpy(np.array(constant.T))
    return Seen(logits, present & ~empty, maps * ~empty[..., None, None], blank)


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
    modalities = settings.data.modalities
    logits, tags, blank, agreeing = [], [], [], []
    scores: dict[str, dict[str, CaseScores]] = {name: {} for name in (*modalities, FUSED)}
    for scan in scans:
        arrays = scan.arrays
        seen = see(networks, arrays["pixels"], arrays["constant"], settings.input, settings.maps, device)
        tagged = [k for k, tag in enumerate(scan.tags) if tag is not None and not arrays["constant"][k].any()]
        own = torch.tensor([int(scan.tags[k] or 0) for k in tagged], dtype=torch.long)
        logits.append(seen.logits[:, tagged])
        tags.append(own)
        visible = [k for k in tagged if scan.tags[k]]
        blank.append(seen.blank[:, visible].double())
        if visible:
            agreeing.append(agreement(seen.maps[:, visible]))
        if scan.mask is not None:
            shown = seen.shown(settings.maps.gate)
            for name, maps in zip((*modalities, FUSED), (*shown, fused(shown)), strict=True):
                scores[name][scan.id] = dsc_alone(maps.numpy(), scan.mask)
    joined, truth, blanks = torch.cat(logits, 1), torch.cat(tags), torch.cat(blank, 1)
    batch = settings.optimiser.batch if settings.selection.average == "released" else None
    figures = [_of_tags(one, truth, batch) for one in joined]
    return Figures(
        accuracy={name: accuracy for name, (accuracy, _) in zip(modalities, figures, strict=True)},
        loss={name: loss for name, (_, loss) in zip(modalities, figures, strict=True)},
        blank={name: float(one.mean()) for name, one in zip(modalities, blanks, strict=True)},
        agreement=float(torch.cat(agreeing).mean()) if agreeing else math.nan,
        sweeps={name: Sweep.of(own) for name, own in scores.items() if own},
        by=settings.selection.by,
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
