"""A volume node as an uncompressed NRRD file for the worker."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Geometry, NrrdFile
from SegToolkitGui.scene.SequenceFrames import dataNodeOfFrame
from SegToolkitGui.scene.Steps import CHUNK_BYTES, Steps

_counter = itertools.count()


def fingerprint(volumeNode) -> tuple:
    """Changes whenever voxels or grid change; the parent transform does not count."""
    image = volumeNode.GetImageData()
    stamp = (image.GetMTime(), tuple(image.GetDimensions())) if image is not None else None
    return stamp, tuple(Geometry.ijkToLocal(volumeNode).ravel())


def isPicture(volumeNode) -> bool:
    """Whether a volume is a picture in colour: one slice, and three or four values a pixel."""
    image = volumeNode.GetImageData()
    return image.GetNumberOfScalarComponents() in (3, 4) and image.GetDimensions()[2] == 1


def checkVolume(volumeNode, pictures: bool = False) -> None:
    """Whether a volume can be segmented.

    Args:
        volumeNode: to segment.
        pictures: whether it may be a picture in colour.

    Raises:
        UserError: "volume-deleted", "empty-volume", "colour-volume", "bad-type", "sheared".
    """
    if volumeNode is None or volumeNode.GetScene() is None:
        raise UserError(
            "volume-deleted", _("The volume is no longer in the scene."), _("Choose another one.")
        )
    name = volumeNode.GetName()
    image = volumeNode.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None or image.GetNumberOfPoints() == 0:
        raise UserError("empty-volume", _("{name} has no voxels.").format(name=name), _("Load it again."))
    if image.GetNumberOfScalarComponents() != 1 and not (pictures and isPicture(volumeNode)):
        raise UserError(
            "colour-volume",
            _("{name} has {count} values per voxel.").format(
                name=name, count=image.GetNumberOfScalarComponents()
            ),
            _("Make a grey volume of it with the module Vector to Scalar Volume."),
        )
    scalars = image.GetPointData().GetScalars()
    if scalars.GetDataTypeAsString() == "bit" or not NrrdFile.isSupported(vtk_to_numpy(scalars).dtype):
        text = _("The voxels of {name} have the type {type}.").format(
            name=name, type=scalars.GetDataTypeAsString()
        )
        raise UserError("bad-type", text, _("Convert them to short or float with Cast Scalar Volume."))
    if Geometry.isSheared(Geometry.ijkToLocal(volumeNode)):
        raise UserError(
            "sheared",
            _("The axes of {name} are not at right angles (a tilted gantry?).").format(name=name),
            _("Resample it to a straight grid first, for example with Resample Scalar Volume."),
        )


class VolumeExport(Steps):
    """Writes one volume, in its local grid (RAS without the parent transform, stored as LPS).

    The file appears under its name only when it is complete.

    Args:
        volumeNode, path: what is written where.
        matrix: index to RAS mm [4, 4] that the file states; None: the volume's local grid.
        pictures: whether it may be a picture in colour.

    Raises (from ``step`` too):
        UserError: see ``checkVolume``; "changed" if the volume changes while it is written; "disk".
    """

    def __init__(
        self, volumeNode, path: Path, matrix: np.ndarray | None = None, pictures: bool = False
    ) -> None:
        super().__init__()
        checkVolume(volumeNode, pictures)
        self.path = Path(path)
        self._node = volumeNode
        self._matrix = Geometry.ijkToLocal(volumeNode) if matrix is None else matrix
        self._name = volumeNode.GetName()
        self._fingerprint = fingerprint(volumeNode)

    def _work(self) -> Iterator[None]:
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}-{next(_counter)}.part")
        try:
            yield from self._written(temporary)
            temporary.replace(self.path)
        except OSError as error:
            raise UserError(
                "disk",
                _("{path} could not be written ({reason}).").format(
                    path=self.path, reason=error.strerror or error
                ),
                _("Make room on that disk, or choose another temporary folder in Slicer's settings."),
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    def _written(self, temporary: Path) -> Iterator[None]:
        image = self._node.GetImageData()
        # The array keeps the voxels alive even if the node goes.
        array = vtk_to_numpy(image.GetPointData().GetScalars())
        data = memoryview(array).cast("B")
        with temporary.open("wb") as stream:
            channels = image.GetNumberOfScalarComponents()
            stream.write(NrrdFile.header(image.GetDimensions(), array.dtype, self._matrix, channels))
            for start in range(0, len(data), CHUNK_BYTES):
                stream.write(data[start : start + CHUNK_BYTES])
                self.fraction = start / len(data)
                yield
                self._check()

    def _check(self) -> None:
        if self._node.GetScene() is None:
            text = _("{name} was deleted while it was prepared.").format(name=self._name)
            raise UserError("volume-deleted", text, _("Choose another volume."))
        if fingerprint(self._node) != self._fingerprint:
            text = _("{name} was changed while it was prepared.").format(name=self._name)
            raise UserError("changed", text, _("Start again."))


class ExportCache:
    """Exported volumes in a folder; a volume is written again only when it has changed.

    Args:
        folder: private to this application; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def pathFor(
        self,
        volumeNode,
        frame: int | None = None,
        matrix: np.ndarray | None = None,
        pictures: bool = False,
    ) -> tuple[Path, VolumeExport | None]:
        """Where the file is, and the work still to do (None if the file is as the volume is now).

        Args:
            volumeNode: the volume, or the proxy node of a sequence.
            frame: item of the sequence; None is what the node holds now.
            matrix, pictures: as of VolumeExport.

        Raises:
            UserError: see ``checkVolume``; "no-frame".
        """
        if volumeNode is None or volumeNode.GetScene() is None:
            checkVolume(None)
        source = dataNodeOfFrame(volumeNode, frame)
        checkVolume(source, pictures)
        key = re.sub(r"[^A-Za-z0-9]", "", volumeNode.GetID()) + ("" if frame is None else f"f{frame}")
        place = None if matrix is None else tuple(matrix.ravel())
        digest = hashlib.sha256(repr((fingerprint(source), place)).encode()).hexdigest()[:16]
        path = self.folder / f"{key}-{digest}.nrrd"
        if path.exists():
            return path, None
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob(f"{key}-*.nrrd"):
            self._remove(old)
        return path, VolumeExport(source, path, matrix, pictures)

    def clear(self) -> None:
        """Remove all files, for example when the scene was closed."""
        for path in self.folder.glob("*.nrrd"):
            self._remove(path)

    @staticmethod
    def _remove(path: Path) -> None:
        # Windows refuses while the worker reads it; the folder is removed at the end anyway.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
