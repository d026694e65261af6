"""Which images a command means, and where their results go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from SegToolkitLib.anatomy import structure_of
from SegToolkitLib.automatic.names import VOLUME_SUFFIXES, case_name, label_maps
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import ModelCard
from SegToolkitLib.volume.reading import PICTURE_SUFFIXES
from SegToolkitLib.volume.segmentation_file import is_segmentation_name

# PNG holds the label values of a picture or of a single slice.
FORMATS = (".seg.nrrd", *VOLUME_SUFFIXES, ".png")
# Of files that people ask for in vain; anything else, as "run.v2", may be a folder's name.
OTHER_SUFFIXES = (".gz", ".mhd", ".dcm", ".stl", ".obj", ".vtk", ".vtp", ".npy", ".npz", ".h5", ".csv")
MOST_NAMED = 5


@dataclass(frozen=True)
class Item:
    """An image to segment.

    Attributes:
        image: a volume file or a folder with one DICOM series.
        name: of its case, which the result is named after.
        target: file of the result.
    """

    image: Path
    name: str
    target: Path

    def map_file(self, name: str) -> Path:
        """File of a map that is made besides: next to the result."""
        return self.target.with_name(f"{self.name}_{name}.nii.gz")


def find_images(given: Sequence[Path], pictures: bool = False) -> tuple[list[Path], list[Path]]:
    """The images that paths mean: a file, a DICOM folder, or a folder of volume files (all of them, sorted).

    Args:
        given: the paths.
        pictures: a folder without volume files may be one of pictures.

    Returns:
        The images; and the files that were left out, because they are label maps by their names and lie in
        a folder instead of being named themselves.

    Raises:
        SegToolkitError: "missing-file", "no-image".
    """
    found: list[Path] = []
    left_out: list[Path] = []
    named = {path.resolve() for path in given}
    for path in given:
        if not path.exists():
            raise SegToolkitError("missing-file", f"{path} does not exist.", "Check the path.")
        if not path.is_dir():
            found.append(path)
            continue
        inside = [one for one in sorted(path.iterdir()) if _is_volume(one)]
        seen = [one for one in sorted(path.iterdir()) if _is_picture(one)]
        if not inside and pictures:
            inside = seen
        elif not inside and seen:
            raise SegToolkitError(
                "no-image",
                f"{path} holds pictures and no volume file ({', '.join(VOLUME_SUFFIXES)}).",
                "Name pictures one by one: -i FILE -i FILE ...",
            )
        labels = [one for one in label_maps(inside) if one.resolve() not in named]
        left_out += labels
        # A folder without volume files holds DICOM files, or reading it says what is wrong.
        found += [one for one in inside if one not in labels] if inside else [path]
    if left_out and not found:
        names = listed([one.name for one in left_out])
        raise SegToolkitError(
            "no-image",
            f"There is no image, as all volume files are label maps by their names: {names}.",
            "To segment them all the same, name them one by one: -i FILE -i FILE ...",
        )
    if not found:
        raise SegToolkitError("no-image", "No image was given.", "Give one with -i, or a folder of them.")
    return list(dict.fromkeys(found)), list(dict.fromkeys(left_out))


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def _is_volume(path: Path) -> bool:
    name = path.name.lower()
    usable = name.endswith((*VOLUME_SUFFIXES, ".mhd")) and not is_segmentation_name(path)
    return usable and not name.startswith(".") and path.is_file()


def read_ids(file: Path) -> list[str]:
    """Names of cases, one a line; empty lines and what follows a # are passed over.

    Raises:
        SegToolkitError: "unreadable".
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise SegToolkitError(
            "unreadable", f"{file} could not be read: {reason}.", "Give a text file with a name a line."
        ) from error
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def chosen(images: Sequence[Path], ids: Collection[str] | None) -> list[Path]:
    """The images of these cases; all for None.

    Raises:
        SegToolkitError: "unknown-case": a case has no image here.
    """
    if ids is None:
        return list(images)
    wanted = {case_name(Path(one)) for one in ids}
    if not wanted:
        raise SegToolkitError("no-image", "The list of cases is empty.", "Name one a line.")
    missing = sorted(wanted - {case_name(image) for image in images})
    if missing:
        raise SegToolkitError(
            "unknown-case",
            f"There is no image of {listed(missing)}.",
            "Name cases as their files, without suffix.",
        )
    return [image for image in images if case_name(image) in wanted]


def with_targets(
    images: Sequence[Path], out: Path, suffix: str, kept: Sequence[Path] = (), maps: Sequence[str] = ()
) -> list[Item]:
    """Where each result goes: ``out`` itself for one image, if it names a file; else files in that folder.

    Args:
        images: to segment.
        out: folder or file.
        suffix: of the files in the folder.
        kept: further files that no result may replace.
        maps: names of the maps that are made besides.

    Raises:
        SegToolkitError: "same-name", "would-overwrite" (a result would replace an input, or a map a result),
            "several-images", "unknown-suffix" (``out`` is the name of a file that cannot take them).
    """
    if len(images) == 1 and out.name.lower().endswith(FORMATS) and not out.is_dir():
        items = [Item(images[0], case_name(images[0]), out)]
    else:
        _refuse_file_name(out, len(images))
        names = [case_name(image) for image in images]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise SegToolkitError(
                "same-name",
                f"Two images are called {doubled!r}, and their results would overwrite each other.",
                "Segment them into different folders.",
            )
        items = [Item(i, name, out / f"{name}{suffix}") for i, name in zip(images, names, strict=True)]
    inputs = {image.resolve() for image in (*images, *kept)}
    results = {item.target.resolve() for item in items}
    for item in items:
        made = [item.target, *(item.map_file(name) for name in maps)]
        lost = next((path for path in made if path.resolve() in inputs), None)
        lost = lost or next((path for path in made[1:] if path.resolve() in results), None)
        if lost is not None:
            raise SegToolkitError(
                "would-overwrite",
                f"{lost} is among the inputs or results and would be overwritten.",
                "Choose another folder or name for the results.",
            )
    return items


def overlay_file(overlay: Path, item: Item, alone: bool) -> Path:
    """Where the picture of a result goes: the file itself for the only image, else into the folder."""
    is_file = alone and overlay.suffix and not overlay.is_dir()
    return overlay if is_file else overlay / f"{item.name}.png"


def check_overlays(overlay: Path, items: Sequence[Item], kept: Collection[Path] = ()) -> None:
    """Refuse to draw over an image or a result.

    Args:
        overlay: file or folder.
        items: all of them.
        kept: further files that must stay.

    Raises:
        SegToolkitError: "would-overwrite".
    """
    there = {path.resolve() for item in items for path in (item.image, item.target)}
    there |= {path.resolve() for path in kept}
    for item in items:
        picture = overlay_file(overlay, item, len(items) == 1)
        if picture.resolve() in there:
            raise SegToolkitError(
                "would-overwrite",
                f"The overlay {picture} would replace an image or a result.",
                "Give --overlay another folder or name.",
            )


def _refuse_file_name(out: Path, count: int) -> None:
    """A folder called "result.nii.gz" is not what a person meant."""
    if out.is_dir():
        return
    if out.name.lower().endswith(FORMATS):
        raise SegToolkitError(
            "several-images",
            f"{out} is one file, but there are {count} images.",
            "Give the name of a folder.",
        )
    if out.suffix.lower() in (*PICTURE_SUFFIXES, *OTHER_SUFFIXES):
        raise SegToolkitError(
            "unknown-suffix",
            f"A segmentation cannot be written as {out.name}.",
            f"End the name in {', '.join(FORMATS)}, or give a folder.",
        )


def organs(text: str | None, card: ModelCard) -> list[int] | None:
    """Label values of "liver,right kidney" or "1,2"; None for None.

    Raises:
        SegToolkitError: "unknown-structure"; "no-structure": none is named.
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise SegToolkitError(
            "no-structure",
            f"{text!r} names no structure.",
            f"{card.title} has {', '.join(label.name for label in card.labels)}.",
        )
    return [_value(word, card) for word in words]


def _value(word: str, card: ModelCard) -> int:
    known = structure_of(word)
    for label in card.labels:
        same = label.name.casefold() == word.casefold() or str(label.value) == word
        if same or (known is not None and structure_of(label.name) == known):
            return label.value
    raise SegToolkitError(
        "unknown-structure",
        f"{card.title} has no structure {word!r}.",
        f"It has {', '.join(label.name for label in card.labels)}.",
    )
