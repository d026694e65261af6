"""Which cases a model of CSSN has held out."""

from __future__ import annotations

from collections.abc import Sequence

from SegToolkitLib.automatic.tested import OpenedModel
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cssn.cases import split_of
from SegToolkitLib.methods.cssn.settings import DataSettings


def held_out(dataset: Dataset, model: OpenedModel) -> Sequence[str]:
    """Ids of the fold that a model left out.

    Raises:
        SegToolkitError: "no-fold", or what the splits raise.
    """
    if model.fold is None:
        raise SegToolkitError(
            "no-fold",
            f"{model.card.name} does not say which fold it left out.",
            "Give FOLD=MODEL, --cases test, or ids of cases.",
        )
    split = model.card.training.settings.get("data", {}).get("split", "dataset")
    return split_of(dataset, DataSettings(fold=model.fold, split=split)).val
