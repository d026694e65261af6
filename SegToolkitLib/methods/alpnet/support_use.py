"""From support examples, as a window or an archive hands them over, to the support of a segmenter."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.alpnet.segment import FewShotSegmenter
from SegToolkitLib.methods.alpnet.slices import Plane, slice_axis
from SegToolkitLib.methods.alpnet.support_set import SupportItem, as_segmentation, placed_mask, unpack
from SegToolkitLib.volume import Volume, read_volume


@contextmanager
def open_support_sets(paths: Sequence[Path]) -> Iterator[list[SupportItem]]:
    """The examples of archives, unpacked as long as the block lasts.

    Raises:
        SegToolkitError: what :func:`support_set.unpack` raises.
    """
    with tempfile.TemporaryDirectory(prefix="segtoolkit-", ignore_cleanup_errors=True) as name:
        yield [item for n, path in enumerate(paths) for item in unpack(path, Path(name) / str(n))]


def plane_of(items: Sequence[SupportItem], asked: Plane) -> Plane:
    """The plane to slice in: the one that was asked for, or that of the examples.

    Raises:
        SegToolkitError: "planes-differ".
    """
    planes = sorted({item.plane for item in items if item.plane is not None})
    if asked != "acquired":
        planes = sorted({*planes, asked})
    if len(planes) > 1:
        raise SegToolkitError(
            "planes-differ",
            f"The examples are outlined on {planes[0]} slices, and {' and '.join(planes[1:])} slices are used"
            " besides.",
            "Use examples of one plane, and leave --plane out or give theirs.",
        )
    return cast(Plane, planes[0]) if planes else asked


def add_item(segmenter: FewShotSegmenter, item: SupportItem, image: Volume | None = None) -> None:
    """Give an example to a segmenter, whose plane has to be the example's.

    Args:
        segmenter: takes it beside what it has.
        item: the example.
        image: its volume, if it has been read already.

    Raises:
        SegToolkitError: "axis-differs", "mask-outside", "mask-place", or what ``add_support`` raises.
    """
    image = read_volume(item.image) if image is None else image
    check_axis(image, item.axis, segmenter.plane, item.name or "a support volume")
    labels = placed_mask(image, read_volume(item.mask, label=True), item)
    names = {value: structure.name for value, structure in item.structures.items()}
    segmenter.add_support(image, as_segmentation(labels, item.structures), item.slices, names)


def check_axis(volume: Volume, axis: int | None, plane: Plane, what: str) -> None:
    """Refuse a volume whose slices in the plane lie along another axis than the one it was outlined along.

    Raises:
        SegToolkitError: "axis-differs".
    """
    ours = slice_axis(volume, plane)
    if axis is not None and axis != ours:
        raise SegToolkitError(
            "axis-differs",
            f"{plane.capitalize()} slices of {what} ({volume.name}, orientation {volume.orientation}) lie"
            f" along its axis {'ijk'[ours]}, not along {'ijk'[axis]}.",
            "Choose the plane that the view shows, or turn the view to the volume's plane.",
        )
