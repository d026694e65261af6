"""One volume through a loaded model: what a person gives is checked before, what a method gives after."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from SegToolkitLib.automatic.segmenter import (
    AutomaticOptions,
    AutomaticResult,
    AutomaticSegmenter,
    Described,
    Progress,
)
from SegToolkitLib.automatic.table import Row, Tally, tally, volume_table
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import Label, ModelCard
from SegToolkitLib.volume import Volume, check_range

TOOK_LESS = "The memory of the GPU did not suffice, so the way that takes less was gone; it takes longer."


@dataclass(frozen=True)
class Finished:
    """A checked result.

    Attributes:
        result: of the method.
        wanted: the structures that were asked for.
        rows: their table.
        seconds: parts of the work, "table" included, and "total".
    """

    result: AutomaticResult
    wanted: Sequence[Label]
    rows: Sequence[Row]
    seconds: Mapping[str, float]


def segment_volume(
    segmenter: AutomaticSegmenter,
    card: ModelCard,
    volume: Volume,
    options: AutomaticOptions,
    progress: Progress | None = None,
    described: Described | None = None,
) -> Finished:
    """Segment a volume and measure what was found.

    Where the memory of the GPU does not suffice and the model has a way that takes less, that way is gone.

    Args:
        segmenter: the loaded model.
        card: of the model.
        volume: to segment.
        options: checked with :func:`check_options`.
        progress: hears of each part of the work.
        described: of the model; None does not try it again with less memory.

    Raises:
        SegToolkitError: "colour-picture", "flat-image", "modality-range", or what the method raises.
    """
    started = time.monotonic()
    # A model for pictures takes colours; others need one number a voxel.
    if volume.voxels.ndim != 3 and card.preprocessing.modality != "picture":
        raise SegToolkitError(
            "colour-picture",
            f"{volume.name or 'The volume'} is a colour picture; {card.title} needs one number a voxel.",
            "Give the original image.",
        )
    _check_values(volume, card)
    try:
        result = segmenter.segment(volume, options, progress)
    except Exception as error:
        if options.small or described is None or not described["small"] or not _of_gpu_memory(error):
            raise
        result = None
    if result is None:  # outside the handler: there, the error would keep the memory of the first attempt
        _free_gpu_memory()
        result = segmenter.segment(volume, options.model_copy(update={"small": True}), progress)
        result = replace(result, notes=(*result.notes, TOOK_LESS))
    measured = time.monotonic()
    wanted = wanted_labels(card, options.labels)
    _check_maps(result, options, card)
    rows = volume_table(_checked(result.labels, volume, wanted, card), volume, wanted)
    ended = time.monotonic()
    seconds = {**result.seconds, "table": ended - measured, "total": ended - started}
    return Finished(result, wanted, rows, seconds)


def _check_values(volume: Volume, card: ModelCard) -> None:
    """Complain of a volume that cannot be what the model knows; networks label anything they are given."""
    voxels, modality = volume.voxels, card.preprocessing.modality
    if voxels.size > 1 and voxels.min() == voxels.max():
        raise SegToolkitError(
            "flat-image",
            f"Every voxel of {volume.name or 'the volume'} is {voxels.flat[0]:g}: there is nothing to see.",
            "Check that it is the image, and that it was exported as a whole.",
        )
    try:
        check_range(volume, modality)
    except SegToolkitError as error:
        raise SegToolkitError(
            error.code, error.message, f"{card.title} is a model for {modality} images. {error.hint}"
        ) from error


def wanted_labels(card: ModelCard, values: Sequence[int] | None) -> list[Label]:
    """The labels of the card with these values, in the card's order; all for None.

    Raises:
        SegToolkitError: "unknown-structure": the model has no such label.
    """
    if values is None:
        return list(card.labels)
    strange = sorted(set(values) - {label.value for label in card.labels})
    if strange:
        raise SegToolkitError(
            "unknown-structure",
            f"{card.title} has no label {', '.join(map(str, strange))}.",
            f"It has {', '.join(f'{one.value} ({one.name})' for one in card.labels)}.",
        )
    return [label for label in card.labels if label.value in values]


def check_options(options: AutomaticOptions, card: ModelCard, described: Described) -> AutomaticOptions:
    """The options as the model takes them.

    Raises:
        SegToolkitError: "no-labels" (the model names no structures), "unknown-structure", "no-mode",
            "no-map".
    """
    if not card.labels or max(label.value for label in card.labels) > np.iinfo(np.uint8).max:
        raise SegToolkitError(
            "no-labels",
            f"The card of {card.title} names no structures, or one with a value above 255.",
            "Train or import the model again with the names of its labels.",
        )
    wanted_labels(card, options.labels)
    if options.mode not in described["modes"]:
        raise SegToolkitError(
            "no-mode",
            f"{card.title} has no mode {options.mode!r}.",
            f"Choose {' or '.join(described['modes'])}.",
        )
    strange = [name for name in options.maps if name not in described["maps"]]
    if strange:
        raise SegToolkitError(
            "no-map",
            f"{card.title} makes no map {', '.join(strange)}.",
            f"It makes: {', '.join(described['maps'])}." if described["maps"] else "Run it without maps.",
        )
    # Less memory is a wish: where there is no such way, the usual one is taken.
    once = list(dict.fromkeys(options.maps))
    return options.model_copy(update={"maps": once, "small": options.small and described["small"]})


def _of_gpu_memory(error: Exception) -> bool:
    return type(error).__name__ == "OutOfMemoryError"


def _free_gpu_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _check_maps(result: AutomaticResult, options: AutomaticOptions, card: ModelCard) -> None:
    """Complain of maps that nobody asked for, or that are none.

    Raises:
        SegToolkitError: "bad-result".
    """
    for name, found in result.maps.items():
        if name not in options.maps or found.voxels.dtype != np.float32 or found.voxels.ndim != 3:
            raise SegToolkitError(
                "bad-result",
                f"The method {card.method} gave a map {name!r} that is no map, or was not asked for.",
                "Please report it.",
            )


def _checked(labels: Volume, volume: Volume, wanted: Sequence[Label], card: ModelCard) -> Tally:
    """What was found; a method that breaks the protocol must not put a shifted result before a person.

    Raises:
        SegToolkitError: "bad-result".
    """
    if labels.voxels.dtype == np.uint8 and labels.same_grid(volume):
        found = tally(labels, volume)
        if set(np.flatnonzero(found.voxels).tolist()) <= {label.value for label in wanted}:
            return found
    raise SegToolkitError(
        "bad-result",
        f"The method {card.method} gave a result on another grid, or with labels that it was not asked for.",
        "Please report it.",
    )
