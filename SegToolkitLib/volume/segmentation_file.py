"""Read and write segmentations as 3D Slicer does (.seg.nrrd), and any label volume.

The fields are described in Slicer's developer guide, "Segmentations": keys ``Segmentation_*`` and
``Segment<n>_*`` of a NRRD file of three dimensions, or of four with the layers in the first (a list axis).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.checks import as_label, check_finite
from SegToolkitLib.volume.loading import load
from SegToolkitLib.volume.segmentation import Segment, Segmentation, generated_segment, with_generated
from SegToolkitLib.volume.segmentation_writer import write_seg_nrrd
from SegToolkitLib.volume.volume import Volume
from SegToolkitLib.volume.writing import write_volume

KEY = re.compile(r"^Segment(\d+)_(\w+)$")
SUFFIX = ".seg.nrrd"


def is_segmentation_name(path: Path) -> bool:
    """Whether the name says that Slicer wrote segments with names."""
    return path.name.lower().endswith(SUFFIX)


def read_segmentation(path: str | os.PathLike[str]) -> Segmentation:
    """Read segments with names, colours and terms; a plain label volume gets generated ones.

    The labels lie on the grid of the file, which Slicer may have cropped: put them on an image with
    ``onto_grid(segmentation.labels, image, label=True)``. Label values that two layers share are replaced
    by unused ones, so that every segment has its own.

    Raises:
        SegToolkitError: what :func:`read_volume` raises for labels.
    """
    source = Path(path)
    image = load(source)
    components = image.GetNumberOfComponentsPerPixel()
    _check_binary(image, source)
    found = _described(image, components)
    if components == 1 or not found:
        labels = as_label(check_finite(Volume.from_sitk(image, str(source))))
        return Segmentation(labels, with_generated(labels, [s for _, s in found]))
    layers = []
    for component in range(components):
        one = sitk.VectorIndexSelectionCast(image, component)
        layers.append(as_label(check_finite(Volume.from_sitk(one, str(source)))))
    return _separated(layers, found)


def write_segmentation(
    segmentation: Segmentation, path: str | os.PathLike[str], *, compress: bool = True
) -> None:
    """Write a segmentation; ``.seg.nrrd`` keeps everything, other suffixes the label values only.

    Raises:
        SegToolkitError: "overlapping-segments" if the format has one value a voxel but two segments share
            one; what :func:`write_volume` raises.
    """
    target = Path(path)
    if is_segmentation_name(target):
        write_seg_nrrd(segmentation, target, compress=compress)
        return
    if segmentation.overlapping:
        raise SegToolkitError(
            "overlapping-segments",
            f"{target} can hold one label a voxel, but the segments overlap.",
            f"Write them as {SUFFIX}, or remove the overlap first.",
        )
    write_volume(segmentation.labels, target, compress=compress)


def _check_binary(image: sitk.Image, source: Path) -> None:
    for key in ("Segmentation_SourceRepresentation", "Segmentation_MasterRepresentation"):
        if image.HasMetaDataKey(key) and "fractional" in image.GetMetaData(key).lower():
            raise SegToolkitError(
                "fractional-segmentation",
                f"{source} holds fractional labelmaps (a share of each voxel), not binary ones.",
                "In Slicer, make Binary labelmap the source representation and save again.",
            )


def _described(image: sitk.Image, components: int) -> list[tuple[int, Segment]]:
    """Segments in the order of their number, each with the label value that the file gives it."""
    fields: dict[int, dict[str, str]] = {}
    for key in image.GetMetaDataKeys():
        if match := KEY.match(key):
            fields.setdefault(int(match[1]), {})[match[2]] = image.GetMetaData(key)
    segments = []
    for number, values in sorted(fields.items()):
        # Slicer up to 4.10 wrote no layers: every segment was a 0/1 component of its own.
        layer = _whole(values.get("Layer"), number if components > 1 else 0)
        label = _whole(values.get("LabelValue"), 1)
        tags = dict(t.split(":", 1) for t in values.get("Tags", "").split("|") if ":" in t)
        terms = tags.pop("TerminologyEntry", "")
        plain = generated_segment(label)
        name = values.get("Name") or values.get("ID") or plain.name
        colour = _colour(values.get("Color", ""), plain.colour)
        segments.append((label, Segment(label, name, colour, terms, values.get("ID", ""), layer, tags)))
    return segments


def _separated(layers: list[Volume], found: list[tuple[int, Segment]]) -> Segmentation:
    """Layers with label values that are unique among all of them, and their union."""
    used = {int(v) for layer in layers for v in np.unique(layer.voxels)} | {label for label, _ in found}
    free = (n for n in range(1, 1 << 30) if n not in used)
    arrays = [layer.voxels.astype(np.int32) for layer in layers]
    taken: set[int] = set()
    segments = [s for _, s in found if s.layer < len(layers)]
    for number, layer in enumerate(layers):
        values = (
            set(np.unique(layer.voxels).tolist()) - {0} - {s.label for s in segments if s.layer == number}
        )
        for value in sorted(values):
            segments.append(generated_segment(int(value)))
            segments[-1].layer = number
    for segment in segments:
        where = layers[segment.layer].voxels == segment.label
        if segment.label in taken:
            segment.label = next(free)
            arrays[segment.layer][where] = segment.label
        taken.add(segment.label)
    merged = arrays[0].copy()
    for array in arrays[1:]:
        merged[array != 0] = array[array != 0]
    kind = np.uint8 if max(taken, default=0) < 256 else np.int16 if max(taken) < 1 << 15 else np.int32
    volumes = tuple(layers[0].with_voxels(a.astype(kind)) for a in arrays)
    return Segmentation(layers[0].with_voxels(merged.astype(kind)), segments, volumes)


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.strip().lstrip("-").isdigit() else otherwise


def _colour(text: str, otherwise: tuple[float, float, float]) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(x) for x in text.split())
    except ValueError:
        return otherwise
    return red, green, blue
