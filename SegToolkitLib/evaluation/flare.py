"""The rules of the FLARE challenges: what is scored, what time and memory count, how teams are ranked.

Source: FLARE22's evaluation code and rules page; Ma et al., The FLARE22 challenge, Lancet Digital Health
2024; Ma et al., FLARE21, Medical Image Analysis 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.scoring import Organ, Protocol

FLARE22 = Protocol(
    "flare22",
    (
        Organ(1, "liver", 5),
        Organ(2, "right kidney", 3),
        Organ(3, "spleen", 3),
        Organ(4, "pancreas", 5),
        Organ(5, "aorta", 2, sliced=True),
        Organ(6, "inferior vena cava", 2, sliced=True),
        Organ(7, "right adrenal gland", 2),
        Organ(8, "left adrenal gland", 2),
        Organ(9, "gallbladder", 2),
        Organ(10, "oesophagus", 3, sliced=True),
        Organ(11, "stomach", 5),
        Organ(12, "duodenum", 7),
        Organ(13, "left kidney", 3),
    ),
    both_empty=1.0,
    digits=4,
)

FLARE21 = Protocol(
    "flare21",
    (Organ(1, "liver", 1), Organ(2, "kidney", 1), Organ(3, "spleen", 1), Organ(4, "pancreas", 1)),
    both_empty=1.0,
    digits=4,
)

PROTOCOLS = {protocol.name: protocol for protocol in (FLARE22, FLARE21)}

SAMPLE_SECONDS = 0.1
# A value of the memory counts as reached if more than this share of the samples has it.
SEEN_SHARE = 0.02
# Memory that the ranking does not count.
FREE_GPU_MB = 2048.0


@dataclass(frozen=True)
class Efficiency:
    """What one case costs, from the start of the program to the written result.

    Attributes:
        seconds: wall time of the whole program.
        max_gpu_mb: largest value of the GPU memory in use that more than 2 % of the samples have.
        auc_gpu_raw: sum over the samples of the GPU memory in use, times 0.1 s (MB s).
        auc_gpu: the same of what exceeds 2048 MB, which is what the ranking counts.
        auc_cpu: sum of the processors' load in per cent, times 0.1 s (% s).
        auc_ram: sum of the main memory in use, times 0.1 s (MB s).
    """

    seconds: float
    max_gpu_mb: float
    auc_gpu_raw: float
    auc_gpu: float
    auc_cpu: float
    auc_ram: float = float("nan")


# A program that hangs: an hour at the top of a GPU of 10 GB, and one core's worth of load.
STUCK = Efficiency(3600.0, 10240.0, 3600 * 10240.0, 3600 * (10240 - FREE_GPU_MB), 360_000.0)


def efficiency(seconds: float, gpu_mb: ArrayLike, cpu_busy: ArrayLike, ram_mb: ArrayLike = ()) -> Efficiency:
    """Sum up samples that were taken every 0.1 s.

    Args:
        seconds: wall time.
        gpu_mb: total - free memory of the GPU [samples]; empty without a GPU.
        cpu_busy: load in per cent (100 - idle) [samples].
        ram_mb: main memory in use [samples].
    """
    gpu = np.asarray(gpu_mb, dtype=np.float64)
    values, counts = np.unique(gpu, return_counts=True)
    often = values[counts > SEEN_SHARE * max(gpu.size, 1)]
    largest = often.max() if often.size else gpu.max(initial=0.0)
    return Efficiency(
        seconds=float(seconds),
        max_gpu_mb=float(largest),
        auc_gpu_raw=_area(gpu),
        auc_gpu=_area(np.maximum(gpu - FREE_GPU_MB, 0)),
        auc_cpu=_area(cpu_busy),
        auc_ram=_area(ram_mb),
    )


Better = Literal["large", "small"]

# Measures of a case that teams are ranked by, which way is better, and their weight.
RANKED: Mapping[str, tuple[Better, float]] = {
    "dsc": ("large", 1.0),
    "nsd": ("large", 1.0),
    "seconds": ("small", 1.0),
    "auc_gpu": ("small", 0.5),
    "auc_cpu": ("small", 0.5),
}


def mean_ranks(scores: Mapping[str, Sequence[Sequence[float]] | NDArray[Any]]) -> NDArray[np.float64]:
    """Rank teams as the challenge does: in each case by each measure, then the weighted mean.

    Args:
        scores: for every measure of ``RANKED``, values [cases, teams].

    Returns:
        Mean rank of each team [teams]; 1 is best. Equal values share the mean of their ranks.

    Raises:
        SegToolkitError: "bad-ranking": a measure is missing, the shapes differ, or a value is no number.
    """
    missing = [name for name in RANKED if name not in scores]
    tables = {name: np.asarray(scores[name], dtype=np.float64) for name in RANKED if name in scores}
    shapes = {table.shape for table in tables.values()}
    if (
        missing
        or len(shapes) != 1
        or any(table.ndim != 2 or np.isnan(table).any() for table in tables.values())
    ):
        raise SegToolkitError(
            "bad-ranking",
            "The teams cannot be ranked: every measure needs one number for each case and team.",
            f"The measures are {', '.join(RANKED)}; a failed case scores 0, a stuck one STUCK.",
        )
    total = np.zeros(next(iter(shapes))[1])
    for name, (better, weight) in RANKED.items():
        table = -tables[name] if better == "large" else tables[name]
        total += weight * rankdata(table, axis=1).mean(axis=0)
    return total / sum(weight for _, weight in RANKED.values())


def _area(samples: ArrayLike) -> float:
    return float(np.asarray(samples, dtype=np.float64).sum() * SAMPLE_SECONDS)
