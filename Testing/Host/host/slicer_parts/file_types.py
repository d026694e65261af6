"""Which kind of file a name or a node stands for, and the extensions that the storage nodes know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

# Longest extension first where one ends like another.
EXTENSIONS = (
    (".seg.nrrd", "SegmentationFile"),
    (".seg.nhdr", "SegmentationFile"),
    (".seg.vtm", "SegmentationFile"),
    (".seq.nrrd", "SequenceFile"),
    (".seq.nhdr", "SequenceFile"),
    (".seq.mrb", "SequenceFile"),
    (".mrk.json", "MarkupsFile"),
    (".nii.gz", "VolumeFile"),
    (".mrb", "SceneFile"),
    (".mrml", "SceneFile"),
    (".nrrd", "VolumeFile"),
    (".nhdr", "VolumeFile"),
    (".nii", "VolumeFile"),
    (".mha", "VolumeFile"),
    (".mhd", "VolumeFile"),
    (".mgz", "VolumeFile"),
    (".h5", "TransformFile"),
    (".tfm", "TransformFile"),
    (".vtk", "ModelFile"),
    (".vtp", "ModelFile"),
    (".stl", "ModelFile"),
    (".ply", "ModelFile"),
    (".obj", "ModelFile"),
    (".tsv", "TableFile"),
    (".csv", "TableFile"),
    (".ctbl", "ColorTableFile"),
    (".txt", "TextFile"),
)

# Class of a node -> kind of file that it is written to; the first class that fits counts.
NODE_TYPES = (
    ("vtkMRMLSegmentationNode", "SegmentationFile"),
    ("vtkMRMLVolumeNode", "VolumeFile"),
    ("vtkMRMLTransformNode", "TransformFile"),
    ("vtkMRMLModelNode", "ModelFile"),
    ("vtkMRMLMarkupsNode", "MarkupsFile"),
    ("vtkMRMLTableNode", "TableFile"),
    ("vtkMRMLTextNode", "TextFile"),
    ("vtkMRMLColorTableNode", "ColorTableFile"),
    ("vtkMRMLVolumeSequenceNode", "SequenceFile"),
    ("vtkMRMLSequenceNode", "SequenceFile"),
)


def typeOfFile(fileName: str) -> str:
    """The kind of file by its name, "NoFile" if unknown; a plain .nrrd is looked into for segments."""
    lower = str(fileName).lower()
    kind = next((kind for extension, kind in EXTENSIONS if lower.endswith(extension)), "NoFile")
    if kind == "VolumeFile" and lower.endswith((".nrrd", ".nhdr")) and Path(fileName).is_file():
        with Path(fileName).open("rb") as file:
            head = file.read(800)
        if b"Segment0_ID:=" in head or b"Segmentation_" in head:
            return "SegmentationFile"
    return kind


def typeOfNode(node: Any) -> str:
    """The kind of file that a node is written to."""
    return next((kind for className, kind in NODE_TYPES if node.IsA(className)), "NoFile")


def withoutExtension(fileName: str) -> str:
    """The file's name without folder and without its (possibly double) extension."""
    name = Path(fileName).name
    for extension, _ in EXTENSIONS:
        if name.lower().endswith(extension):
            return name[: -len(extension)]
    return Path(name).stem


def writeFormats(node: Any) -> tuple[str, ...]:
    """Formats a node can be written to, as "Description (.ext)"."""
    storage = defaultStorage(node)
    if storage is None:
        return ()
    types = storage.GetSupportedWriteFileTypes()
    return tuple(types.GetValue(i) for i in range(types.GetNumberOfValues()))


def knownExtension(fileName: str, node: Any) -> str:
    """The longest extension of the name that the node can be written to, "" if there is none."""
    formats = writeFormats(node)
    known = {slicer.vtkDataFileFormatHelper.GetFileExtensionFromFormatString(text) for text in formats}
    fitting = [extension for extension in known if extension and fileName.lower().endswith(extension)]
    return max(fitting, key=len, default="")


def defaultStorage(node: Any) -> Any:
    """A fresh storage node of the node's default class, outside the scene."""
    storage = node.CreateDefaultStorageNode()
    if storage is not None:
        storage.UnRegister(None)
        storage.SetScene(node.GetScene())
    return storage
