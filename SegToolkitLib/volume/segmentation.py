"""A segmentation: labels that have names, colours and standard terms, and may overlap."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field

import numpy as np

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume.volume import Volume

Colour = tuple[float, float, float]
# Steps of the golden ratio around the colour circle never come close to an earlier hue.
GOLDEN_RATIO = 0.61803398875


@dataclass
class Segment:
    """One named structure.

    Args:
        label: its value in the label volume, above 0 and its own among the segments.
        name: what people call it.
        colour: red, green, blue in 0..1.
        terminology: Slicer's string of seven fields with ``~`` between them; "" for none.
        id: Slicer's identifier; "" lets the writer make one.
        layer: which layer of ``Segmentation.layers`` it is in.
        tags: further tags of the file, kept as they are.
    """

    label: int
    name: str
    colour: Colour
    terminology: str = ""
    id: str = ""
    layer: int = 0
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Segmentation:
    """Segments and the voxels that belong to them.

    Args:
        labels: integers [k, j, i], 0 for background; where segments overlap, the later layer's.
        segments: in the order of the file.
        layers: all layers [k, j, i], if there are several (segments overlap); empty for one.
    """

    labels: Volume
    segments: list[Segment]
    layers: tuple[Volume, ...] = ()

    def mask(self, segment: Segment) -> Volume:
        """Where the segment is (bool), also where another one lies over it."""
        source = self.layers[segment.layer] if self.layers else self.labels
        return source.with_voxels(source.voxels == segment.label, segment.name)

    def named(self, name: str) -> Segment:
        """The segment of that name, in any case of letters.

        Raises:
            SegToolkitError: "unknown-segment", listing what there is.
        """
        for segment in self.segments:
            if segment.name.casefold() == name.casefold():
                return segment
        listing = ", ".join(f"“{s.name}”" for s in self.segments) or "no segments"
        raise SegToolkitError(
            "unknown-segment",
            f"{self.labels.name or 'The segmentation'} has no segment “{name}”.",
            f"It has {listing}.",
        )

    @property
    def overlapping(self) -> bool:
        """Whether any voxel belongs to two segments."""
        if not self.layers:
            return False
        return bool((np.sum([layer.voxels != 0 for layer in self.layers], axis=0) > 1).any())


def generated_segment(label: int) -> Segment:
    """A name and a colour for a label that has none; the same ones every time."""
    colour = colorsys.hsv_to_rgb((label * GOLDEN_RATIO) % 1, 0.65, 0.9)
    return Segment(label, f"Segment {label}", colour)


def with_generated(labels: Volume, segments: list[Segment] | None = None) -> list[Segment]:
    """The segments, and a generated one for each label in the voxels that none of them has."""
    known = list(segments or [])
    values = set(np.unique(labels.voxels[labels.voxels != 0]).tolist()) - {s.label for s in known}
    return known + [generated_segment(int(value)) for value in sorted(values)]
