"""All segments of one or several segmentations as a label map on the whole grid of a volume."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Appearance, Geometry, LabelLayers, NrrdFile
from SegToolkitGui.scene.LabelLayers import BINARY, SURFACE
from SegToolkitGui.scene.Steps import Steps

MOST_LABELS = 255
_counter = itertools.count()


class LabelMapExport(Steps):
    """Writes segments as one uint8 file on a volume's grid; 0 is background.

    The grids of the segmentations and the transforms of all nodes may be any; outlines come to the volume's
    grid by the nearest voxel. Segments of one name share a label; where others overlap, the later one counts.
    Nothing in the scene is changed.

    Args:
        segmentationNodes: their segments are taken in their order.
        volumeNode: gives the grid.
        path: of the file, which appears when it is complete.
        ijkToMm: index to mm [4, 4] that the file states; None: the volume's local grid.

    Attributes:
        values: name -> label, also of segments without voxels.
        structures: label -> {"name", "colour", "terminology"}, of labels that have voxels.
        overlaps: names that lost voxels to a later one.
        empty: names of segments without a voxel in the volume.

    Raises (from ``step``):
        UserError: "too-many", "changed", "segment-gone", "volume-deleted", "disk", "resample".
    """

    def __init__(
        self, segmentationNodes: list, volumeNode, path: Path, ijkToMm: np.ndarray | None = None
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.structures: dict[int, dict] = {}
        self.overlaps: list[str] = []
        self.empty: list[str] = []
        self._volume = volumeNode
        self._matrix = Geometry.ijkToLocal(volumeNode) if ijkToMm is None else ijkToMm
        self._size = Geometry.dimensions(volumeNode)
        self._nodes = list(segmentationNodes)
        self._segments = [
            (node, segmentId) for node in self._nodes for segmentId in node.GetSegmentation().GetSegmentIDs()
        ]
        names = [self._segment(*one).GetName() for one in self._segments]
        self.values = {name: number for number, name in enumerate(dict.fromkeys(names), 1)}
        if len(self.values) > MOST_LABELS:
            raise UserError(
                "too-many", _("More than {count} structures are outlined.").format(count=MOST_LABELS)
            )
        self._watches = [
            LabelLayers.Watch(node.GetSegmentation(), list(node.GetSegmentation().GetSegmentIDs()))
            for node in self._nodes
        ]

    def _work(self) -> Iterator[None]:
        sources = yield from self._sources()
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}-{next(_counter)}.part")
        try:
            with temporary.open("wb") as stream:
                stream.write(NrrdFile.header(self._size, np.uint8, self._matrix))
                yield from self._planes(sources, stream)
            temporary.replace(self.path)
        except OSError as error:
            raise UserError(
                "disk",
                _("{path} could not be written ({reason}).").format(
                    path=self.path, reason=error.strerror or error
                ),
                _("Make room on that disk."),
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    def _planes(self, sources: list, stream) -> Iterator[None]:
        """Fill and write the volume plane by plane."""
        width, height, depth = self._size
        present: set[int] = set()
        drawn: set[int] = set()
        lost: set[int] = set()
        for k in range(depth):
            labels = np.zeros((height, width), dtype=np.uint8)
            for value, source in sources:
                mask = source.plane(k)
                if mask is not None and mask.any():
                    drawn.add(value)
                    under = labels[mask]
                    if under.any():
                        lost |= set(np.unique(under).tolist()) - {0, value}
                    labels[mask] = value
                yield
            present |= set(np.unique(labels).tolist())
            stream.write(labels.tobytes())
            self.fraction = 0.5 + 0.5 * (k + 1) / depth
            yield
            self._check()
        names = {value: name for name, value in self.values.items()}
        self.overlaps = [names[value] for value in sorted(lost)]
        self.empty = [name for value, name in names.items() if value not in drawn]
        for node, segmentId in self._segments:
            segment = self._segment(node, segmentId)
            value = self.values[segment.GetName()]
            if value in present:
                one = {"name": segment.GetName(), **Appearance.appearanceOf(segment)}
                self.structures.setdefault(value, one)

    def _sources(self) -> Iterator[None]:
        """(label, where its voxels are) of each segment, layers brought to the volume's grid first."""
        found = []
        layers: dict[object, object] = {}
        for number, (node, segmentId) in enumerate(self._segments):
            segment = self._segment(node, segmentId)
            image, value = segment.GetRepresentation(BINARY), self.values[segment.GetName()]
            surface = segment.GetRepresentation(SURFACE)
            if image is None and surface is not None:
                transform = Geometry.transformBetween(node, self._volume)
                found.append((value, SurfacePlanes(surface, transform, self._volume)))
            elif not LabelLayers.isEmpty(image):
                if image not in layers:
                    layers[image] = Layer((yield from self._onGrid(image, node)), self._size)
                found.append((value, LayerPlanes(layers[image], segment.GetLabelValue())))
            self.fraction = 0.5 * (number + 1) / len(self._segments)
            yield
            self._check()
        return found

    def _onGrid(self, image, node) -> Iterator[None]:
        """A layer on the lattice of the volume; itself if it is there already."""
        extent = [value for last in self._size for value in (0, last - 1)]
        reference = Geometry.emptyImage(Geometry.ijkToLocal(self._volume), extent)
        transform = Geometry.transformBetween(node, self._volume)
        if transform is None and LabelLayers.onSameLattice(image, reference):
            return image
        work = LabelLayers.resampled(image, reference, transform)
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value
            yield
            self._check()

    def _check(self) -> None:
        if self._volume.GetScene() is None or any(node.GetScene() is None for node in self._nodes):
            raise UserError(
                "volume-deleted", _("A volume or segmentation was deleted meanwhile."), _("Start again.")
            )
        if any(watch.changed() for watch in self._watches):
            raise UserError("changed", _("The outlines were changed meanwhile."), _("Start again."))

    @staticmethod
    def _segment(node, segmentId: str):
        segment = node.GetSegmentation().GetSegment(segmentId)
        if segment is None:
            text = _("A segment of {name} was deleted meanwhile.").format(name=node.GetName())
            raise UserError("segment-gone", text, _("Start again."))
        return segment


class Layer:
    """A label image that lies on the volume's lattice; its segments ask for one plane after the other."""

    def __init__(self, image, size) -> None:
        self._image = image
        self._extent = (0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
        self._k, self._plane = -1, None

    def plane(self, k: int) -> np.ndarray | None:
        """Labels [j, i]; None where the image does not reach."""
        first, last = self._image.GetExtent()[4:]
        if k != self._k:
            self._k = k
            self._plane = LabelLayers.plane(self._image, k, self._extent) if first <= k <= last else None
        return self._plane


class LayerPlanes:
    """One label of a layer, plane by plane."""

    def __init__(self, layer: Layer, label: int) -> None:
        self._layer, self._label = layer, label

    def plane(self, k: int) -> np.ndarray | None:
        """Voxels [j, i] of the label; None where the image does not reach."""
        plane = self._layer.plane(k)
        return None if plane is None else plane == self._label


class SurfacePlanes:
    """The inside of a surface on the volume's grid, plane by plane: a whole one takes seconds.

    Args:
        surface: vtkPolyData in the segmentation's mm.
        transform: to the volume's local mm, or None.
    """

    def __init__(self, surface, transform, volumeNode) -> None:
        size = Geometry.dimensions(volumeNode)
        self._shape = size[1], size[0]
        chain = vtk.vtkGeneralTransform()
        chain.PostMultiply()
        if transform is not None:
            chain.Concatenate(transform)
        chain.Concatenate(Geometry.toVtk(np.linalg.inv(Geometry.ijkToLocal(volumeNode))))
        triangles = vtk.vtkTriangleFilter()
        triangles.SetInputData(surface)
        mover = vtk.vtkTransformPolyDataFilter()
        mover.SetInputConnection(triangles.GetOutputPort())
        mover.SetTransform(chain)
        mover.Update()
        self._surface = mover.GetOutput()
        self._ends = self._surface.GetBounds()[4:] if self._surface.GetNumberOfCells() else (1.0, 0.0)
        self._stencil = vtk.vtkPolyDataToImageStencil()
        self._stencil.SetInputData(self._surface)
        self._stencil.SetTolerance(0)
        self._image = vtk.vtkImageStencilToImage()
        self._image.SetInputConnection(self._stencil.GetOutputPort())
        self._image.SetInsideValue(1)
        self._image.SetOutputScalarTypeToUnsignedChar()

    def plane(self, k: int) -> np.ndarray | None:
        """Voxels [j, i] inside; None above and below the surface."""
        if not self._ends[0] <= k <= self._ends[1]:
            return None
        self._stencil.SetOutputWholeExtent(0, self._shape[1] - 1, 0, self._shape[0] - 1, k, k)
        self._image.Update()
        return vtk_to_numpy(self._image.GetOutput().GetPointData().GetScalars()).reshape(self._shape) != 0
