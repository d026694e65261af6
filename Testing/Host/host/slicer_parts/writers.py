"""Writing nodes and scenes as the application's writers do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
import vtk

from .file_types import defaultStorage

Properties = dict[str, Any]


def saveNode(scene: Any, properties: Properties, messages: Any) -> bool:
    """Write one node; its storage node (made if missing) keeps the file's name."""
    node = scene.GetNodeByID(properties.get("nodeID", ""))
    if node is None or not node.IsA("vtkMRMLStorableNode"):
        return False
    storage = node.GetStorageNode()
    if storage is None:
        node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
    if storage is None:
        return False
    if "useCompression" in properties:
        storage.SetUseCompression(bool(properties["useCompression"]))
    storage.SetFileName(str(properties["fileName"]))
    return _write(storage, node, messages)


def _write(storage: Any, node: Any, messages: Any) -> bool:
    success = bool(storage.WriteData(node))
    if messages is not None and storage.GetUserMessages().GetNumberOfMessages():
        messages.AddMessages(storage.GetUserMessages())
    return success


def saveScene(parts: Any, properties: Properties, messages: Any) -> bool:
    """To .mrb (bundle), .mrml (the scene file alone) or else a folder with scene and data."""
    fileName = str(Path(properties["fileName"]).absolute())
    scene = parts.scene
    if fileName.lower().endswith(".mrb"):
        return bool(scene.WriteToMRB(fileName, None, messages))
    if fileName.lower().endswith(".mrml"):
        scene.SetURL(fileName)
        scene.SetRootDirectory(str(Path(fileName).parent))
        return bool(scene.Commit(fileName, messages))
    Path(fileName).mkdir(parents=True, exist_ok=True)
    return bool(scene.SaveSceneToSlicerDataBundleDirectory(fileName, None, messages))


def exportNode(
    scene: Any, nodeID: str, fileName: str, properties: Properties, harden: bool, messages: Any
) -> bool:
    """Write a node without touching it or its storage node; with `harden` in world coordinates."""
    node = scene.GetNodeByID(nodeID)
    if node is None or not node.IsA("vtkMRMLStorableNode"):
        return False
    temporary = slicer.vtkMRMLScene()
    temporary.SetCacheManager(scene.GetCacheManager())
    temporary.SetDataIOManager(scene.GetDataIOManager())
    copy = temporary.AddNode(_copyOf(node))
    if harden and node.IsA("vtkMRMLTransformableNode") and node.GetParentTransformNode():
        _harden(copy, node.GetParentTransformNode())
    storage = defaultStorage(copy)
    storage.SetFileName(str(fileName))
    if "useCompression" in properties:
        storage.SetUseCompression(bool(properties["useCompression"]))
    return _write(storage, copy, messages)


def _harden(copy: Any, transformNode: Any) -> None:
    if transformNode.IsTransformToWorldLinear():
        matrix = vtk.vtkMatrix4x4()
        transformNode.GetMatrixTransformToWorld(matrix)
        copy.ApplyTransformMatrix(matrix)
    else:
        toWorld = vtk.vtkGeneralTransform()
        transformNode.GetTransformToWorld(toWorld)
        copy.ApplyTransform(toWorld)


def _copyOf(node: Any) -> Any:
    copy = node.CreateNodeInstance()
    copy.UnRegister(None)
    copy.CopyContent(node, True)
    copy.SetName(node.GetName())
    return copy
