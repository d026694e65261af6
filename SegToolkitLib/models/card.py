"""The card of a model: what it is, what it was trained on, and on what terms, as data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, Field, FiniteFloat, field_validator, model_validator

from SegToolkitLib.atomic import write_text
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import read_json, validated

CARD_FILE = "model.json"
FORMAT_VERSION: Final = 1
# A model's name is the name of its folder too, so it must be harmless on every file system.
NAME_PATTERN = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"

Parsed = TypeVar("Parsed", bound=BaseModel)
Modality = Literal["MR", "CT", "picture"]
Channel = Annotated[float, Field(ge=0, le=1)]
Millimetres = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Label(Settings):
    """A structure that the model finds.

    Attributes:
        value: its value in the result, 1 or more.
        name: what people call it.
        terminology: Slicer's string of seven fields with ``~`` between them; "" for none.
        colour: red, green, blue in 0..1; None lets the program choose.
    """

    value: int = Field(ge=1)
    name: str = Field(min_length=1)
    terminology: str = ""
    colour: tuple[Channel, Channel, Channel] | None = None


class Preprocessing(Settings):
    """How a volume is made to look like the training volumes, in this order.

    Attributes:
        modality: "MR", "CT" or "picture" (2-D, in colour or grey).
        orientation: direction in the patient that the array axes i, j, k grow towards ("LAS": left,
            front, head).
        window: (low, high) to clip to, in the image's unit (HU for CT); the values are not rescaled.
        clip_top: percentile of the whole volume above which values are clipped (99.5).
        spacing: (i, j, k) in mm; None keeps that axis as it is.
        mean, std: of the training volumes, in the image's unit after the clipping; None and None
            z-score every volume by itself.
    """

    modality: Modality
    orientation: str = "LAS"
    window: tuple[FiniteFloat, FiniteFloat] | None = None
    clip_top: float | None = Field(default=None, gt=0, le=100)
    spacing: tuple[Millimetres | None, Millimetres | None, Millimetres | None] = (None, None, None)
    mean: FiniteFloat | None = None
    std: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @field_validator("orientation")
    @classmethod
    def _names_three_axes(cls, code: str) -> str:
        pairs = {letter: pair for pair in ("LR", "AP", "SI") for letter in pair}
        if len(code) != 3 or {pairs.get(letter) for letter in code} != {"LR", "AP", "SI"}:
            raise ValueError(f"'{code}' must be one letter each of L/R, A/P and S/I, such as LAS")
        return code

    @model_validator(mode="after")
    def _numbers_fit_together(self) -> Preprocessing:
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f"the window {self.window} must rise")
        if (self.mean is None) != (self.std is None):
            raise ValueError("give both 'mean' and 'std' or neither")
        return self


class TrainedOn(Settings):
    """Data that the model has seen.

    Attributes:
        dataset: its name.
        cases: ids of the cases; may be empty where only the number is known.
        count: number of cases; None where unknown.
        licence, citation: of the data.
    """

    dataset: str = Field(min_length=1)
    cases: list[str] = Field(default_factory=list)
    count: int | None = Field(default=None, ge=1)
    licence: str = ""
    citation: str = ""

    @model_validator(mode="after")
    def _count_fits_cases(self) -> TrainedOn:
        if self.cases and self.count is not None and self.count != len(self.cases):
            raise ValueError(f"'count' is {self.count}, but 'cases' names {len(self.cases)}")
        return self


class Licence(Settings):
    """The terms of the weights.

    Attributes:
        name: short name, such as "CC BY-NC-SA 4.0".
        permissive: any use is allowed with attribution alone. If not, a person accepts the terms once.
        summary: what a person accepts, in a sentence or a few.
        url: where the whole text is.
    """

    name: str = Field(min_length=1)
    permissive: bool
    summary: str = ""
    url: str = ""


class Training(Settings):
    """How to make the model again: command, seed, steps, versions and fingerprints, settings."""

    command: str = ""
    seed: int | None = None
    steps: int | None = Field(default=None, ge=0)
    provenance: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)


class Weights(Settings):
    """The weights' file: its name in the model's folder, SHA-256 (hex), number type and size in bytes."""

    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    dtype: Literal["float16", "float32"]
    bytes: int = Field(ge=8)


class ModelCard(Settings):
    """What ``model.json`` says.

    Attributes:
        name: lower-case letters, digits, ``.``, ``_``, ``-``.
        method: the package of the method below SegToolkitLib.methods ("alpnet").
        settings: of the method's network; the method knows their fields.
        labels: what the model finds; empty for few-shot methods, which are told.
        metrics: measured figures, free in form.
        limits: intended use and known limits.
        weights: filled in when the weights are written.
    """

    format_version: Literal[1] = FORMAT_VERSION
    name: str = Field(pattern=NAME_PATTERN)
    title: str = Field(min_length=1)
    description: str = ""
    method: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    settings: dict[str, Any] = Field(default_factory=dict)
    labels: list[Label] = Field(default_factory=list)
    preprocessing: Preprocessing
    trained_on: list[TrainedOn] = Field(default_factory=list)
    licence: Licence
    training: Training = Training()
    metrics: dict[str, Any] = Field(default_factory=dict)
    limits: str = "For research only; a person checks every result."
    weights: Weights | None = None

    @field_validator("labels")
    @classmethod
    def _values_are_distinct(cls, labels: list[Label]) -> list[Label]:
        values = [label.value for label in labels]
        if len(set(values)) != len(values):
            raise ValueError(f"two labels share a value in {values}")
        return labels


def read_card(folder: str | os.PathLike[str]) -> ModelCard:
    """Read the card of a model's folder.

    Raises:
        SegToolkitError: "no-model" (no card there), "bad-model-card" (names the file and the fields),
            "newer-model" (made by a later version of this library).
    """
    path = Path(folder) / CARD_FILE
    if not path.is_file():
        raise SegToolkitError(
            "no-model", f"{folder} holds no {CARD_FILE}.", "Give the folder of a model, or a model's name."
        )
    try:
        values = read_json(path)
    except SegToolkitError as error:
        raise SegToolkitError("bad-model-card", error.message, error.hint) from error
    version = values.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise SegToolkitError(
            "newer-model",
            f"{path} is of format {version}; this SegToolkit knows formats up to {FORMAT_VERSION}.",
            "Update SegToolkit.",
        )
    card = parse(ModelCard, values, str(path))
    if card.weights is None:
        raise SegToolkitError(
            "bad-model-card", f"{path}: the field 'weights' is missing.", "Make the model again."
        )
    return card


def read_card_of(folder: str | os.PathLike[str], method: str) -> ModelCard:
    """Read the card of a model of this method.

    Raises:
        SegToolkitError: "other-method", or as :func:`read_card`.
    """
    card = read_card(folder)
    if card.method != method:
        raise SegToolkitError(
            "other-method", f"{card.name} is a model of {card.method}, not {method}.", "Choose another."
        )
    return card


def parse(kind: type[Parsed], values: Mapping[str, Any], source: str) -> Parsed:
    """Build a card, or a part of one, from plain values; ``source`` names their place in the sentences.

    Raises:
        SegToolkitError: "bad-model-card"; the message names ``source`` and every field that is wrong.
    """
    try:
        return validated(kind, values, source)
    except SegToolkitError as error:
        raise SegToolkitError("bad-model-card", error.message, error.hint) from error


def card_text(card: ModelCard) -> str:
    """The card as JSON; NaN and infinity become null.

    Raises:
        SegToolkitError: "bad-model-card": a free field holds what JSON cannot (an array, an object).
    """
    try:
        return json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise SegToolkitError(
            "bad-model-card",
            f"The card of {card.name} cannot be written as JSON ({error}).",
            "Its metrics, settings and training may hold plain texts, numbers, lists and dicts only.",
        ) from error


def write_card(folder: str | os.PathLike[str], card: ModelCard) -> Path:
    """Write ``model.json`` atomically; return its path.

    Raises:
        SegToolkitError: "bad-model-card": no JSON, or no weights named; "write-failed".
    """
    if card.weights is None:
        raise SegToolkitError(
            "bad-model-card", f"The card of {card.name} names no weights.", "Write the model with save_model."
        )
    path = Path(folder) / CARD_FILE
    write_text(path, card_text(card))
    return path
