"""Reading files into the scene as the application's readers do, with the real logics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
import vtk

from .file_types import withoutExtension

Properties = dict[str, Any]

VOLUME_OPTIONS = {
    "labelmap": 0x1,
    "center": 0x2,
    "singleFile": 0x4,
    "autoWindowLevel": 0x8,
    "discardOrientation": 0x10,
}


def readVolume(parts: Any, properties: Properties, messages: Any) -> list:
    """A volume, shown in the slice views unless the property "show" is False."""
    fileName = properties["fileName"]
    options = sum(bit for name, bit in VOLUME_OPTIONS.items() if properties.get(name))
    names = None
    if properties.get("fileNames"):
        names = vtk.vtkStringArray()
        for name in properties["fileNames"]:
            names.InsertNextValue(str(name))
    logic = parts.logics["Volumes"]
    node = logic.AddArchetypeVolume(
        fileName, properties.get("name") or withoutExtension(fileName), options, names
    )
    if node is None:
        return []
    if properties.get("colorNodeID") and node.GetDisplayNode():
        node.GetDisplayNode().SetAndObserveColorNodeID(properties["colorNodeID"])
    if properties.get("show", True):
        showVolume(parts.applicationLogic, node)
    return [node]


def showVolume(applicationLogic: Any, node: Any) -> None:
    """Make the volume the active one; all slice views show it."""
    selection = applicationLogic.GetSelectionNode()
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        selection.SetActiveLabelVolumeID(node.GetID())
    else:
        selection.SetActiveVolumeID(node.GetID())
    applicationLogic.PropagateVolumeSelection()


def readSegmentation(parts: Any, properties: Properties, messages: Any) -> list:
    colors = None
    if properties.get("colorNodeID"):
        colors = parts.scene.GetNodeByID(properties["colorNodeID"])
    node = parts.logics["Segmentations"].LoadSegmentationFromFile(
        properties["fileName"],
        bool(properties.get("autoOpacities", True)),
        properties.get("name", ""),
        colors,
        messages,
    )
    return [node] if node else []


def readScene(parts: Any, properties: Properties, messages: Any) -> list | None:
    """None means failure: a scene may hold no node that counts as loaded."""
    fileName = str(Path(properties["fileName"]).absolute())
    clear = bool(properties.get("clear", False))
    scene = parts.scene
    if fileName.lower().endswith(".mrb"):
        return [] if scene.ReadFromMRB(fileName, clear, messages) else None
    if not Path(fileName).is_file():
        return None
    scene.SetURL(fileName)
    return [] if (scene.Connect(messages) if clear else scene.Import(messages)) else None


def readTransform(parts: Any, properties: Properties, messages: Any) -> list:
    node = parts.logics["Transforms"].AddTransform(properties["fileName"], parts.scene)
    return [node] if node else []


def readModel(parts: Any, properties: Properties, messages: Any) -> list:
    node = parts.logics["Models"].AddModel(properties["fileName"])
    return [node] if node else []


def readMarkups(parts: Any, properties: Properties, messages: Any) -> list:
    nodeID = parts.logics["Markups"].LoadMarkups(
        properties["fileName"], properties.get("name") or withoutExtension(properties["fileName"]), messages
    )
    return [parts.scene.GetNodeByID(nodeID)] if nodeID else []


def readColors(parts: Any, properties: Properties, messages: Any) -> list:
    node = parts.logics["Colors"].LoadColorFile(
        properties["fileName"], properties.get("name") or withoutExtension(properties["fileName"])
    )
    return [node] if node else []


def readTable(parts: Any, properties: Properties, messages: Any) -> list:
    node = parts.logics["Tables"].AddTable(
        properties["fileName"], properties.get("name") or withoutExtension(properties["fileName"])
    )
    return [node] if node else []


def readSequence(parts: Any, properties: Properties, messages: Any) -> list:
    """A sequence with a browser that shows its first item, as the application does."""
    sequence = parts.logics["Sequences"].AddSequence(properties["fileName"], messages)
    if sequence is None:
        return []
    if properties.get("name"):
        sequence.SetName(properties["name"])
    if properties.get("show", True):
        browser = parts.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", sequence.GetName() + " browser")
        browser.AddSynchronizedSequenceNode(sequence)
        parts.logics["Sequences"].UpdateAllProxyNodes()
        proxy = browser.GetProxyNode(sequence)
        if proxy is not None and proxy.IsA("vtkMRMLVolumeNode"):
            showVolume(parts.applicationLogic, proxy)
    return [sequence]


READERS: dict[str, Callable[[Any, Properties, Any], list | None]] = {
    "VolumeFile": readVolume,
    "SegmentationFile": readSegmentation,
    "SceneFile": readScene,
    "TransformFile": readTransform,
    "ModelFile": readModel,
    "MarkupsFile": readMarkups,
    "ColorTableFile": readColors,
    "TableFile": readTable,
    "SequenceFile": readSequence,
}


def read(parts: Any, fileType: str, properties: Properties, messages: Any) -> list | None:
    """The nodes that were read, None if nothing could be read."""
    reader = READERS.get(fileType)
    if reader is None:
        return None
    messages = messages if messages is not None else slicer.vtkMRMLMessageCollection()
    nodes = reader(parts, properties, messages)
    return nodes if nodes or fileType == "SceneFile" else None
