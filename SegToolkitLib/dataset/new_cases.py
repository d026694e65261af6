"""Cases on their way into a data set: an image, what was outlined on it, and the names of the outlines."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import Field

from SegToolkitLib.dataset.channels import on_one_grid
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.dataset.description import StructureFacts
from SegToolkitLib.dataset.nnunet import IGNORE
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import Volume, check_finite, check_label, onto_grid, read_segmentation, read_volume
from SegToolkitLib.volume.lattice import coincidence
from SegToolkitLib.volume.segmentation_file import is_segmentation_name

# Letters that every file system and nnU-Net's own parsing take; it must not look hidden either.
CASE_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
MOST_LABELS = 65535


class Structure(StructureFacts):
    """What a value of a mask is.

    Attributes:
        name: what people call it; structures of several cases are the same one if their names are, whatever
            the case of their letters.
    """

    name: str = Field(min_length=1, max_length=200)


@dataclass(frozen=True)
class NewCase:
    """A case that is to join a data set.

    Attributes:
        id: letters, digits, dots, hyphens and underscores.
        image: a volume, or its file.
        mask: label map on the image's grid, or its file; None for an image that is kept without a label.
        structures: value in the mask -> what it is. One that occurs in no voxel was looked for and not found.
        patient: whose image it is, where a patient may have several.
        channels: registered images by the data set's names of its channels, where it has several; ``image``
            is then the first of them, whose grid is the case's.
        tags: slice -> whether the object is visible in it, see :mod:`slice_tags`.
    """

    id: str
    image: Volume | Path
    mask: Volume | Path | None = None
    structures: Mapping[int, Structure] = field(default_factory=dict)
    patient: str | None = None
    channels: Mapping[str, Volume | Path] = field(default_factory=dict)
    tags: Mapping[int, bool] = field(default_factory=dict)


def case_id(text: str) -> str:
    """The nearest id that a case may have: "Müller CT (2)" becomes "Muller_CT_2"."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain)[:100].strip("._-") or "case"


def without_channel(id: str, channels: Iterable[str], taken: Collection[str] = ()) -> str:
    """The id of a case that is called after one of its images, without the name of that channel.

    Args:
        id: "anna_FLAIR".
        channels: names of the case's images.
        taken: ids that others have; where what is left is among them, the id stays as it is.

    Returns:
        "anna".
    """
    others = {one.casefold() for one in taken}
    for channel in channels:
        word = re.escape(case_id(channel))
        rest = re.sub(rf"[._-]+{word}$|^{word}[._-]+", "", id, count=1, flags=re.IGNORECASE)
        if rest != id and rest.casefold() not in others and CASE_ID.fullmatch(rest):
            return rest
    return id


def check_id(id: str) -> None:
    """Raise SegToolkitError "bad-case-id" unless a case may have this id."""
    if not CASE_ID.fullmatch(id):
        raise SegToolkitError(
            "bad-case-id",
            f"{id!r} cannot be the name of a case.",
            f"Use letters, digits, dots, hyphens and underscores: {case_id(id)!r}, for instance.",
        )


def check_structures(case: NewCase) -> None:
    """Raise SegToolkitError unless the structures of a case have names of their own that can be labels."""
    if case.mask is not None and not case.structures:
        raise SegToolkitError(
            "no-structures",
            f"Case {case.id} has a mask, but nothing says what is outlined in it.",
            "Name its values (--structures 1=liver,2=spleen), or add the image without the mask.",
        )
    seen: set[str] = set()
    for value, structure in case.structures.items():
        name = label_key(structure.name)
        if value < 1 or name in ("", "background", IGNORE):
            raise SegToolkitError(
                "bad-structure",
                f"Case {case.id} gives the value {value} the name {structure.name!r}.",
                "Values are 1 or more; 'background' and 'ignore' have a meaning of their own.",
            )
        if name in seen:
            raise SegToolkitError(
                "same-name",
                f"Case {case.id} has two structures with the name {structure.name!r}.",
                "Rename one of them, or join them.",
            )
        seen.add(name)


def label_key(name: str) -> str:
    """What two names of one structure have in common."""
    return " ".join(name.split()).casefold()


def read_image(case: NewCase) -> Volume:
    """The image of a case.

    Raises:
        SegToolkitError: "colour-volume" for a colour picture, "not-finite" for NaN, and what reading raises.
    """
    return _checked(case.id, case.image)


def read_images(case: NewCase, channels: Sequence[str], *, resample: bool = False) -> list[Volume]:
    """The images of a case in the order of the data set's channels, all on one grid.

    Args:
        case: with an image for each.
        channels: names.
        resample: bring the others onto the first one's voxels.

    Raises:
        SegToolkitError: as :func:`read_image`, and "channel-grid", "no-overlap".
    """
    if not case.channels:
        return [read_image(case)]
    found = {name: _checked(case.id, case.channels[name]) for name in channels}
    return list(on_one_grid(found, f"case {case.id}", resample=resample).values())


def _checked(id: str, given: Volume | Path) -> Volume:
    image = given if isinstance(given, Volume) else read_volume(given)
    if image.voxels.ndim != 3:
        raise SegToolkitError(
            "colour-volume",
            f"The image of case {id} is a colour picture, but a data set takes one number a voxel.",
            "Convert it to grey values.",
        )
    return check_finite(image)


def read_mask(case: NewCase, image: Volume, numbers: Mapping[int, int]) -> Volume:
    """The mask of a case on the image's grid, its values replaced by the data set's.

    Args:
        case: with a mask.
        image: of the case.
        numbers: value in the mask -> label of the data set.

    Raises:
        SegToolkitError: "label-grid" where the mask lies elsewhere, "unknown-label" where it has a value
            without a name, and what ``read_volume`` raises.
    """
    assert case.mask is not None
    mask = case.mask if isinstance(case.mask, Volume) else read_volume(case.mask, label=True)
    mask = check_label(mask, image)
    values, places = np.unique(mask.voxels, return_inverse=True)
    unknown = [int(value) for value in values if value != 0 and int(value) not in numbers]
    if unknown:
        named = ", ".join(f"{value} {one.name}" for value, one in case.structures.items())
        raise SegToolkitError(
            "unknown-label",
            f"The mask of case {case.id} holds the value {unknown[0]}, which has no name ({named} have).",
            "Name all values of the mask, or remove the others from it.",
        )
    kind = np.uint8 if max(numbers.values(), default=0) < 256 else np.uint16
    codes = np.array([0 if value == 0 else numbers[int(value)] for value in values], kind)
    return image.with_voxels(codes[places.reshape(mask.voxels.shape)], mask.name)


def case_from_files(
    id: str,
    image: Path,
    label: Path | None = None,
    structures: Mapping[int, Structure] | None = None,
    patient: str | None = None,
) -> NewCase:
    """A case from files; segments of a .seg.nrrd bring their own names, colours and terms.

    Args:
        id: of the case.
        image: any file or folder that ``read_volume`` reads.
        label: a label map on the image's grid, or a .seg.nrrd, which Slicer may have cropped.
        structures: names of the label map's values; they replace those of a .seg.nrrd.
        patient: whose image it is.

    Raises:
        SegToolkitError: "overlapping-segments", "label-grid" where a .seg.nrrd lies on other voxels, and
            what reading raises.
    """
    if label is None or not is_segmentation_name(label):
        return NewCase(id, image, label, structures or {}, patient)
    segmentation = read_segmentation(label)
    if segmentation.overlapping:
        raise SegToolkitError(
            "overlapping-segments",
            f"Segments of {label} overlap, but a data set has one label a voxel.",
            "Remove the overlap (in Slicer: Masking, overwrite other segments) and save again.",
        )
    volume = read_volume(image)
    mask = segmentation.labels
    if coincidence(mask.grid, volume.grid) is None:
        # Resampling would move outlines that a person drew.
        raise SegToolkitError(
            "label-grid",
            f"The segmentation {label} was not drawn on the voxels of {image}.",
            "Give the image that it was drawn on, or export it with the image as reference volume.",
        )
    found = {
        one.label: Structure(name=one.name, colour=one.colour, terminology=one.terminology)
        for one in segmentation.segments
    }
    return NewCase(id, volume, onto_grid(mask, volume, label=True), structures or found, patient)


def cases_of(dataset: Dataset, ids: list[str] | None = None) -> Iterator[NewCase]:
    """The cases of any data set that can be opened, to be written into another one.

    Raises:
        SegToolkitError: "no-case" for an id that there is not.
    """
    facts = dataset.description.structures
    for case in dataset.cases if ids is None else [dataset.case(id) for id in ids]:
        skipped = {label_key(name) for name in dataset.not_annotated.get(case.id, ())}
        structures = {
            value: Structure(name=name, **facts[name].model_dump() if name in facts else {})
            for name, value in dataset.description.labels.items()
            if value != 0 and name != IGNORE and label_key(name) not in skipped
        }
        patient = dataset.patients[case.id]
        yield NewCase(
            case.id,
            next(iter(case.images.values()), case.image),
            case.label,
            structures if case.label else {},
            None if patient == case.id else patient,
            dict(case.images),
        )
