"""What a data set is, as data: a JSON file that a person can write and read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from SegToolkitLib.atomic import write_json
from SegToolkitLib.dataset.folds import check_borders, even_borders
from SegToolkitLib.validation import read_json, validated

FILE_NAME = "dataset.json"
Fraction = Annotated[float, Field(ge=0, le=1)]
PERCENTILE = re.compile(r"percentile:(\d+(?:\.\d+)?)")


class Licence(BaseModel):
    """The terms that come with the data.

    Attributes:
        name: short name, such as "CC BY-NC-SA 4.0".
        url: where it can be read.
        text: the terms themselves, or a remark about them.
        permissive: whether any use is allowed with attribution alone; if not, a person is asked
            before a model made from the data is first used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    url: str | None = None
    text: str | None = None
    permissive: bool = False


class StructureFacts(BaseModel):
    """How a structure is shown and what it is, beside its name.

    Attributes:
        colour: red, green, blue in 0..1; None lets the program choose.
        terminology: Slicer's string of seven fields with ``~`` between them; "" for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    colour: tuple[Fraction, Fraction, Fraction] | None = None
    terminology: str = Field(default="", max_length=4000)


class DatasetDescription(BaseModel):
    """Everything about a data set that its files do not say.

    Attributes:
        name: short name.
        modality: "MR" or "CT"; it decides how intensities are normalised.
        pictures: the images are 2-D pictures, in colour or grey, and the modality is not theirs ("MR").
        labels: value of each structure in the label files, by name; the background is 0.
        folder: where the files are, relative to the description file; only needed when that file
            lies elsewhere.
        image_pattern: path of a case's image below the folder; ``{id}`` stands for the case,
            ``{channel}`` for ``channel``. ``{id}`` may stand in several places, for the same text:
            ``{id}/{id}_t1.nii.gz``.
        label_pattern: the same for its label.
        test_image_pattern: the same for images set aside for testing, if there are any.
        unlabelled_image_pattern: the same for images that are kept without a label on purpose.
        channel: which of several channels methods take that look at one image (the text that ``{channel}``
            stands for); where it is not given, the first of ``channels``.
        channels: registered images of each case: name -> the text that ``{channel}`` stands for. The order
            counts. Empty where there is one image, or where the others do not matter.
        fold_borders: positions in the sorted cases at which the folds begin, and the number of cases.
        folds: number of folds, where ``fold_borders`` is not given.
        test_groups: label set -> label values that it tests (and that setting 2 hides in training).
        foreground_threshold: intensity above which a voxel may be patient; "otsu"; or
            "percentile:NN" of each volume.
        spacing: (x, y, z) in mm, where all cases share it.
        spacing_known: false where the files have a made-up spacing: evaluations then give no mm and ml.
        size: (x, y) voxels of a slice, where all cases share it.
        patients: patient of each case, by case id, where a patient may have several; a case that is not
            named here is a patient of its own.
        structures: colour and terminology of the labels, by name.
        not_annotated: case id -> names of the structures that nobody looked for in it: there, background
            means nothing.
        licence: the data's terms.
        citation: what to cite.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    modality: Literal["MR", "CT"]
    pictures: bool = False
    labels: dict[str, int]
    folder: str | None = None
    image_pattern: str = "image_{id}.nii.gz"
    label_pattern: str = "label_{id}.nii.gz"
    test_image_pattern: str | None = None
    unlabelled_image_pattern: str | None = None
    channel: str | None = None
    channels: dict[str, str] = Field(default_factory=dict)
    fold_borders: list[int] | None = None
    folds: int = Field(default=5, ge=1)
    test_groups: dict[str, list[int]] = Field(default_factory=dict)
    foreground_threshold: float | str = "otsu"
    spacing: tuple[float, float, float] | None = None
    spacing_known: bool = True
    size: tuple[int, int] | None = None
    patients: dict[str, str] = Field(default_factory=dict)
    structures: dict[str, StructureFacts] = Field(default_factory=dict)
    not_annotated: dict[str, list[str]] = Field(default_factory=dict)
    licence: Licence | None = None
    citation: str | None = None

    @field_validator("labels")
    @classmethod
    def _labels_are_distinct(cls, labels: dict[str, int]) -> dict[str, int]:
        if 0 not in labels.values():
            raise ValueError('no label has the value 0; add "background": 0')
        if len(set(labels.values())) != len(labels):
            raise ValueError(f"two labels share a value in {labels}")
        if min(labels.values()) < 0:
            raise ValueError("label values are 0 or more")
        return labels

    @field_validator("image_pattern", "label_pattern", "test_image_pattern", "unlabelled_image_pattern")
    @classmethod
    def _pattern_names_the_case(cls, pattern: str | None) -> str | None:
        if pattern is not None and "{id}" not in pattern:
            raise ValueError(f"'{pattern}' must hold {{id}} once or more, where the case's id is")
        return pattern

    @field_validator("foreground_threshold")
    @classmethod
    def _threshold_is_known(cls, threshold: float | str) -> float | str:
        if isinstance(threshold, str) and threshold != "otsu":
            match = PERCENTILE.fullmatch(threshold)
            if match is None or float(match[1]) > 100:
                raise ValueError(f"'{threshold}' is not a number, 'otsu' or 'percentile:NN' (0 to 100)")
        return threshold

    @model_validator(mode="after")
    def _groups_and_channel_fit(self) -> DatasetDescription:
        for group, values in self.test_groups.items():
            missing = sorted(set(values) - set(self.labels.values()))
            if missing:
                raise ValueError(
                    f"test group '{group}' names the label values {missing}, which 'labels' lacks"
                )
        for pattern in (self.image_pattern, self.test_image_pattern, self.unlabelled_image_pattern):
            if pattern and "{channel}" in pattern and self.main_channel is None:
                raise ValueError(f"'{pattern}' needs the field 'channel' (or 'channels')")
        if not self.channels:
            return self
        if "{channel}" not in self.image_pattern:
            raise ValueError(f"'{self.image_pattern}' must hold {{channel}}, as there are 'channels'")
        if len(set(self.channels.values())) < len(self.channels) or not all(self.channels.values()):
            raise ValueError(f"each of 'channels' needs a text of its own, not {self.channels}")
        if self.channel is not None and self.channel not in self.channels.values():
            raise ValueError(f"'channel' is {self.channel!r}, which is none of 'channels' {self.channels}")
        return self

    @property
    def main_channel(self) -> str | None:
        """Text of the channel that methods take that look at one image."""
        return self.channel or next(iter(self.channels.values()), None)

    @classmethod
    def parse(cls, values: Mapping[str, Any], source: str = "The data set description") -> DatasetDescription:
        """Build a description from plain values; ``source`` names their place in error sentences.

        Raises:
            SegToolkitError: a field that does not exist (with the nearest that does), is missing or wrong.
        """
        return validated(cls, values, source)

    @classmethod
    def load(cls, path: Path) -> DatasetDescription:
        """Read a description file.

        Raises:
            SegToolkitError: the file cannot be read, or as in ``parse``.
        """
        return cls.parse(read_json(path), str(path))

    def save(self, path: Path) -> None:
        """Write the description as JSON, atomically."""
        write_json(path, self.model_dump(mode="json", exclude_none=True))

    def borders(self, n: int) -> list[int]:
        """Return the fold borders for ``n`` cases: those given, else as even as possible.

        Raises:
            SegToolkitError: the borders given do not fit ``n``, or there are more folds than cases.
        """
        if self.fold_borders is None:
            return even_borders(n, self.folds)
        check_borders(self.fold_borders, n)
        return list(self.fold_borders)

    def unknown_labels(self, values: Iterable[int]) -> str | None:
        """Return a sentence about label values that the description does not name, or None."""
        unknown = sorted({int(value) for value in values} - set(self.labels.values()))
        if not unknown:
            return None
        known = ", ".join(f"{value} {name}" for name, value in self.labels.items())
        found = ", ".join(map(str, unknown))
        return f"the label values {found} are not described ('labels' has {known})"
