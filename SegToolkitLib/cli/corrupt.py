"""``segtoolkit corrupt -i PATH -o FOLDER``: worse copies of images, to see how robust a model is."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegToolkitLib.automatic.inputs import find_images, listed
from SegToolkitLib.automatic.names import VOLUME_SUFFIXES, case_name
from SegToolkitLib.cli.options import count
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

if TYPE_CHECKING:
    from SegToolkitLib.evaluation.corruptions import CorruptionSettings

KINDS = ("bias", "spike", "ghosting", "motion")
RECORD = "corruptions.json"
FORMAT = 1


def _kinds(text: str) -> list[str]:
    """Parse "bias,motion"."""
    found = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in found if word not in KINDS]
    if unknown or not found:
        raise ArgumentTypeError(f"{text!r} names no kinds; there are {', '.join(KINDS)}")
    return list(dict.fromkeys(found))


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-i",
        "--image",
        action="append",
        required=True,
        type=Path,
        metavar="PATH",
        help="volume file, DICOM folder, or folder of volume files; repeatable",
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FOLDER", help="a folder a kind in it"
    )
    parser.add_argument(
        "--kind",
        type=_kinds,
        default=list(KINDS),
        metavar="KIND,...",
        help=f"{', '.join(KINDS)} (default: all)",
    )
    parser.add_argument("--repeats", type=count, default=1, help="copies of each image and kind (default: 1)")
    parser.add_argument(
        "--seed", type=int, default=0, help="another one draws other corruptions (default: 0)"
    )
    parser.add_argument(
        "--as-published",
        action="store_true",
        help="as the test set ACDC-C was made: the centre of 192 x 192 pixels, every slice from 0 to 1,"
        " motion in voxels about a corner",
    )
    parser.add_argument(
        "--format",
        default=".nii.gz",
        choices=VOLUME_SUFFIXES,
        metavar="SUFFIX",
        help=f"of the copies: {', '.join(VOLUME_SUFFIXES)} (default: .nii.gz)",
    )
    parser.add_argument("--settings", type=Path, metavar="FILE", help="JSON or YAML with other ranges")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one of them, such as motion.degrees=10",
    )


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.evaluation.corruptions import CorruptionSettings
    from SegToolkitLib.settings import load

    base = CorruptionSettings()
    base = base.as_published() if options.as_published else base
    settings = load(CorruptionSettings, base, options.settings, options.set)
    images, left_out = find_images(options.image)
    if left_out:
        reporter.warning(
            f"Left out, as label maps by their names: {listed([one.name for one in left_out])}.",
            "Name a file itself (-i FILE) to corrupt it all the same.",
        )
    _check_names(images, options)
    entries = _kept(options.out)
    written: list[str] = []
    failures: list[tuple[Path, SegToolkitError]] = []
    for done, image in enumerate(images):
        reporter.progress("corrupting", done, len(images))
        try:
            made = _copies(image, settings, options)
        except SegToolkitError as error:
            failures.append((image, error))
            reporter.warning(f"{image.name}: {error.message}", error.hint)
            continue
        entries |= made
        written += [str(options.out / name) for name in made]
        # At once: a copy without its record could not be explained.
        _keep(options.out, entries)
    reporter.progress("corrupting", len(images), len(images))
    if failures:
        image, first = failures[0]
        raise SegToolkitError(
            first.code,
            f"{len(failures)} of {len(images)} images failed; the first, {image.name}: {first.message}",
            first.hint,
        )
    record = str(options.out / RECORD)
    reporter.info(f"{options.out}: {len(written)} copies; what was drawn for them is in {RECORD}")
    return {"images": written, "record": record}


def _copies(image: Path, settings: CorruptionSettings, options: Namespace) -> dict[str, Any]:
    """Write all copies of an image; what the record says of each, by its file."""
    import numpy as np

    from SegToolkitLib.evaluation.corruptions import copy_seed, corrupted
    from SegToolkitLib.volume import read_volume, write_volume

    volume, entries = read_volume(image), {}
    for kind in options.kind:
        for repeat in range(options.repeats):
            rng = np.random.default_rng(copy_seed(options.seed, kind, case_name(image), repeat))
            copy = corrupted(volume, kind, settings, rng)
            name = _file(kind, image, repeat, options.format)
            write_volume(copy.volume, options.out / name)
            entries[name] = {
                "source": str(image.resolve()),
                "seed": options.seed,
                "canvas": settings.canvas,
                "drawn": copy.drawn.model_dump(mode="json"),
            }
    return entries


def _file(kind: str, image: Path, repeat: int, suffix: str) -> str:
    return f"{kind}/{case_name(image)}_{repeat}{suffix}"


def _check_names(images: list[Path], options: Namespace) -> None:
    """Copies must replace neither each other nor an input."""
    names = [case_name(image) for image in images]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise SegToolkitError(
            "same-name",
            f"Two images are called {doubled!r}, and their copies would overwrite each other.",
            "Corrupt them into different folders.",
        )
    inputs = {image.resolve() for image in images}
    for image in images:
        for kind in options.kind:
            for repeat in range(options.repeats):
                target = options.out / _file(kind, image, repeat, options.format)
                if target.resolve() in inputs:
                    raise SegToolkitError(
                        "would-overwrite",
                        f"{target} is an input and would be overwritten.",
                        "Choose another folder for the copies.",
                    )


def _kept(out: Path) -> dict[str, Any]:
    """What an earlier run has recorded of the copies that are still there."""
    from SegToolkitLib.validation import read_json

    path = out / RECORD
    if not path.is_file():
        return {}
    images = read_json(path).get("images")
    if not isinstance(images, dict):
        raise SegToolkitError(
            "not-a-record", f"{path} is no record of corrupted images.", "Choose another folder."
        )
    return {name: entry for name, entry in images.items() if (out / name).is_file()}


def _keep(out: Path, entries: dict[str, Any]) -> None:
    from SegToolkitLib.atomic import write_json

    write_json(out / RECORD, {"format": FORMAT, "images": dict(sorted(entries.items()))})


COMMAND = Command("make worse copies of images, to test how robust a model is", _add_arguments, _run)
