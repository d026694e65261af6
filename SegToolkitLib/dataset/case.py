"""One image of a data set, with or without a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from SegToolkitLib.volume import Volume, check_label, read_volume


@dataclass(frozen=True)
class Case:
    """One image of a data set.

    Attributes:
        id: what stands for ``{id}`` in the file name; "8" for ``image_08`` where all ids are integers.
        image: path of the image; of several channels that one which methods take that look at one.
        label: path of its label, or None.
        unlabelled: whether it has no label on purpose.
        images: path of each channel's image by its name, in the description's order; empty where there is
            one image.
    """

    id: str
    image: Path
    label: Path | None = None
    unlabelled: bool = False
    images: Mapping[str, Path] = field(default_factory=dict)

    @property
    def image_files(self) -> tuple[Path, ...]:
        """The images of all channels."""
        return tuple(self.images.values()) or (self.image,)


def read_case(case: Case) -> tuple[Volume, Volume | None]:
    """Read a case's image and, where there is one, its label.

    Raises:
        SegToolkitError: a file cannot be read, or the label lies on another grid than the image.
    """
    image = read_volume(case.image)
    if case.label is None:
        return image, None
    label = read_volume(case.label, label=True)
    check_label(label, image)
    return image, label


def case_key(id: str) -> str:
    """The id of a case as the data set spells it: "8" for the number "008", text as it is."""
    return str(int(id)) if id.isdecimal() else id
