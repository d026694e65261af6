"""Volumes and segmentations of the scene as items of the worker's verb dataset_add."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Geometry
from SegToolkitGui.scene.CaseNames import Names
from SegToolkitGui.scene.LabelMapExport import LabelMapExport
from SegToolkitGui.scene.Steps import Steps
from SegToolkitGui.scene.VolumeExport import VolumeExport, checkVolume
from SegToolkitGui.training.ScenePairs import pairs

__all__ = ["collect", "pairs"]

# Of one piece of work on the main thread; the event loop turns in between.
PIECE_MS = 15
Told = Callable[[str], None]


def collect(
    volumes: list[Any],
    segmentations: list[Any],
    folder: Path,
    keepNames: bool = False,
    onNote: Told | None = None,
    taken: Iterable[str] = (),
) -> Generator[tuple[str, int, int], None, list[dict]]:
    """Write the files of dataset_add into a folder, in pieces of some 15 ms.

    Args:
        volumes, segmentations: MRML nodes; volumes without a segmentation become unlabelled cases.
        folder: made if it is not there; the files can go when dataset_add has answered.
        keepNames: keep the patients' names; else they become patient-1, patient-2, ...
        onNote: gets sentences the person should know (overlaps, empty segments).
        taken: names of cases and patients that the data set has already.

    Yields:
        (phase, step, total) as JobStrip.setProgress takes them.

    Returns:
        A list of {"image", "mask" (or None), "structures": {"1": {"name", "colour", "terminology"}}, "case",
        "patient" (or None)}; get it by ``items = yield from collect(...)``.

    Raises:
        UserError: see ``pairs``, ``checkVolume`` and LabelMapExport; "label-map", "nonlinear".
    """
    found = [(volume, own or []) for volume, own in pairs(volumes, segmentations)]
    for volume, _segmentations in found:
        _check(volume)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = Names(keepNames, taken)
    items: list[dict] = []
    files: list[Path] = []
    try:
        for number, (volume, own) in enumerate(found):
            patient = names.patient(volume, own)
            item = {"case": names.case(volume, patient), "patient": patient, "mask": None, "structures": {}}
            for progress in _case(item, volume, own, folder / f"{number + 1}", onNote or _ignore, files):
                yield _("collecting"), int(100 * (number + progress)), 100 * len(found)
            yield _("collecting"), 100 * (number + 1), 100 * len(found)
            items.append(item)
    except BaseException:
        for path in files:
            path.unlink(missing_ok=True)
        raise
    return items


def _case(
    item: dict, volume: Any, segmentations: list[Any], stem: Path, tell: Told, files: list[Path]
) -> Iterator[float]:
    """Write one case and fill in its item; yields how much of it is done, from 0 to 1."""
    image, mask = stem.with_name(f"{stem.name}-image.nrrd"), stem.with_name(f"{stem.name}-mask.nrrd")
    files += [image, mask]
    item["image"] = str(image)
    # Where it lies in the world, linear parent transforms included.
    work = VolumeExport(volume, image, Geometry.ijkToWorld(volume))
    yield from _steps(work, 0.0, 0.5)
    if not any(node.GetSegmentation().GetNumberOfSegments() for node in segmentations):
        return
    labels = LabelMapExport(segmentations, volume, mask, Geometry.ijkToWorld(volume))
    yield from _steps(labels, 0.5, 1.0)
    name = volume.GetName()
    if labels.overlaps:
        tell(
            _("{name}: segments overlap; {lost} lost voxels to a later one.").format(
                name=name, lost=", ".join(labels.overlaps)
            )
        )
    if labels.empty:
        tell(
            _("{name}: nothing is outlined of {segments}; left out.").format(
                name=name, segments=", ".join(labels.empty)
            )
        )
    if not labels.structures:
        mask.unlink()
        tell(_("{name} is taken as unlabelled: its segments are empty.").format(name=name))
        return
    item["mask"] = str(mask)
    item["structures"] = {str(value): one for value, one in sorted(labels.structures.items())}


def _steps(work: Steps, first: float, last: float) -> Iterator[float]:
    """Do work in pieces; given up cleanly if nobody wants the rest."""
    try:
        while not work.step(PIECE_MS):
            yield first + (last - first) * work.fraction
        yield last
    finally:
        work.close()


def _ignore(_text: str) -> None:
    """Nobody listens."""


def _check(volume: Any) -> None:
    """Whether a volume can be a case. Raises UserError."""
    name = volume.GetName()
    if volume.IsA("vtkMRMLLabelMapVolumeNode"):
        raise UserError(
            "label-map",
            _("{name} is a label map, not an image.").format(name=name),
            _("Import it into a segmentation, and tick that with the image it belongs to."),
        )
    checkVolume(volume)
    if Geometry.isSheared(Geometry.ijkToWorld(volume)):
        raise UserError(
            "sheared",
            _("The transform of {name} puts its axes askew.").format(name=name),
            _("Harden the transform and resample the volume to a straight grid."),
        )
