"""How far apart the classes of feature vectors are, and where vectors lie in a plane.

Sources: P. J. Rousseeuw, 1987 (silhouette); L. van der Maaten and G. Hinton, 2008 (t-SNE).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.summary import mean_of

if TYPE_CHECKING:
    from SegToolkitLib.methods.pdcr_uafr.vectors import Vectors

Projection = Literal["pca", "tsne"]
# Of t-SNE: its neighbourhood, and how few vectors have one.
PERPLEXITY, FEWEST = 30.0, 8


@dataclass(frozen=True)
class Separation:
    """How far apart the classes are, by the cosine of feature vectors; NaN where it cannot be said.

    Attributes:
        silhouette: mean silhouette of the vectors in cosine distance, -1 to 1: 1 where each vector is like
            those of its own class alone, 0 where classes are mixed.
        cosine_within: mean cosine of two vectors of one class.
        cosine_between: mean cosine of two vectors of different classes.
    """

    silhouette: float
    cosine_within: float
    cosine_between: float


def separation(features: NDArray[np.floating], classes: NDArray[np.integer]) -> Separation:
    """How far apart classes are.

    Args:
        features: [N, C].
        classes: whole numbers [N].
    """
    unit = unit_length(features)
    _, own = np.unique(classes, return_inverse=True)
    counts = np.bincount(own)
    # The sum of cosines with all vectors of a class is the product with their sum: no table of N x N.
    member = np.eye(len(counts))[own]
    sums = unit @ (unit.T @ member)
    itself = (unit**2).sum(1)
    rows = np.arange(len(own))
    within = sums[rows, own] - itself
    mates = counts[own] - 1
    nearest = np.where(member > 0, np.inf, 1 - sums / counts).min(1, initial=np.inf)
    inside = 1 - within / np.maximum(mates, 1)
    largest = np.maximum(inside, nearest)
    # Of a vector that is alone in its class, or alike to all: 0.
    told = np.isfinite(largest) & (largest > 0) & (mates > 0)
    apart = np.divide(nearest - inside, largest, out=np.zeros_like(inside), where=told)
    others = len(own) - counts[own]
    return Separation(
        float(apart.mean()) if len(counts) > 1 else float("nan"),
        _ratio(within.sum(), mates.sum()),
        _ratio((sums * (1 - member)).sum(), others.sum()),
    )


def separation_within_images(vectors: Vectors) -> tuple[Separation, int]:
    """The same among the vectors of each image, as PDCR compares them: means, and of how many images."""
    classes = vectors.classes
    each = [
        separation(vectors.features[mine], classes[mine])
        for mine in (vectors.images == image for image in np.unique(vectors.images))
        if len(np.unique(classes[mine])) > 1
    ]
    means = (mean_of([getattr(one, part.name) for one in each]).mean for part in fields(Separation))
    return Separation(*means), len(each)


def unit_length(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Vectors [N, C] of length one; a vector of zeros stays."""
    exact = features.astype(np.float64)
    length = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.divide(exact, length, out=np.zeros_like(exact), where=length > 0)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else float("nan")


def coordinates(
    features: NDArray[np.floating], method: Projection = "pca", seed: int = 0
) -> tuple[NDArray[np.float64], float]:
    """Two coordinates of each vector, by its direction: its length plays no part in PDCR.

    Args:
        features: [N, C].
        method: "pca", the two directions of the largest variance; "tsne", which keeps neighbours together and
            says nothing by the distances of groups.
        seed: of t-SNE.

    Returns:
        float64 [N, 2], and the share of the variance that they hold (NaN for t-SNE).

    Raises:
        SegToolkitError: "missing-package": t-SNE without scikit-learn; "too-few-vectors": t-SNE of fewer than
            eight.
    """
    unit = unit_length(features)
    if method == "tsne":
        return _tsne(unit, seed), float("nan")
    centred = unit - unit.mean(0)
    variance, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    # Directions have no sign of their own: the largest part of each is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    found = np.zeros((len(unit), 2))
    found[:, : axes.shape[1]] = centred @ axes
    return found, _ratio(variance[-2:].clip(min=0).sum(), variance.clip(min=0).sum())


def _tsne(unit: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    check_method("tsne")
    from sklearn.manifold import TSNE

    if len(unit) < FEWEST:
        raise SegToolkitError(
            "too-few-vectors", f"t-SNE has only {len(unit)} vectors.", "Take more cases, or --method pca."
        )
    perplexity = min(PERPLEXITY, (len(unit) - 1) / 3)
    init = "pca" if unit.shape[1] > 1 else "random"
    made = TSNE(2, perplexity=perplexity, init=init, random_state=seed).fit_transform(unit)
    return np.asarray(made, np.float64)


def check_method(method: Projection) -> None:
    """Raise SegToolkitError "missing-package" where a projection cannot be made here."""
    if method == "tsne" and find_spec("sklearn") is None:
        raise SegToolkitError(
            "missing-package",
            "t-SNE needs the Python package scikit-learn, which is not installed.",
            "Install it (pip install scikit-learn), or take --method pca.",
        )
