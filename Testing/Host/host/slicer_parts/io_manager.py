"""slicer.app.coreIOManager() and ioManager(): which reader or writer does it, and the signals around."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import file_types, readers, writers
from .pythonqt import ScriptObject, ScriptSignal


class qSlicerIOManager(ScriptObject):
    """Reads and writes by kind of file ("VolumeFile", "SceneFile", ...)."""

    newFileLoaded = ScriptSignal("newFileLoaded(qSlicerIO::IOProperties)")
    fileSaved = ScriptSignal("fileSaved(qSlicerIO::IOProperties)")

    def __init__(self, parts: Any):
        super().__init__()
        self._parts = parts
        self._defaultSceneFileType = "MRB (Medical Reality Bundle) (.mrb)"

    @property
    def defaultSceneFileType(self) -> str:
        return self._defaultSceneFileType

    @defaultSceneFileType.setter
    def defaultSceneFileType(self, text: str) -> None:
        self._defaultSceneFileType = str(text)

    def fileType(self, fileName: Any) -> str:
        return file_types.typeOfFile(str(fileName))

    def fileTypes(self, fileName: Any) -> tuple[str, ...]:
        return (self.fileType(fileName),)

    def fileWriterFileType(self, node: Any, preferredExtension: str = "") -> str:
        return file_types.typeOfNode(node)

    def fileWriterExtensions(self, node: Any) -> tuple[str, ...]:
        return file_types.writeFormats(node)

    def extractKnownExtension(self, fileName: str, node: Any) -> str:
        return file_types.knownExtension(fileName, node)

    def stripKnownExtension(self, fileName: str, node: Any) -> str:
        extension = file_types.knownExtension(fileName, node)
        return fileName[: len(fileName) - len(extension)]

    def loadNodes(
        self, fileType: str, properties: dict, loadedNodes: Any = None, userMessages: Any = None
    ) -> bool:
        nodes = readers.read(self._parts, fileType, dict(properties), userMessages)
        if nodes is None:
            return False
        for node in nodes:
            if loadedNodes is not None:
                loadedNodes.AddItem(node)
        self.newFileLoaded.emit({**properties, "fileType": fileType})
        return True

    def loadFile(self, fileName: str, userMessages: Any = None) -> bool:
        return self.loadNodes(self.fileType(fileName), {"fileName": str(fileName)}, None, userMessages)

    def loadScene(self, fileName: str, clear: bool = True, userMessages: Any = None) -> bool:
        properties = {"fileName": str(fileName), "clear": clear}
        return self.loadNodes("SceneFile", properties, None, userMessages)

    def saveNodes(self, fileType: str, properties: dict, userMessages: Any = None, scene: Any = None) -> bool:
        if fileType == "SceneFile":
            success = writers.saveScene(self._parts, properties, userMessages)
        else:
            success = writers.saveNode(scene or self._parts.scene, properties, userMessages)
        if success:
            self.fileSaved.emit({**properties, "fileType": fileType})
        return success

    def saveScene(self, fileName: str, screenShot: Any = None, userMessages: Any = None) -> bool:
        return self.saveNodes("SceneFile", {"fileName": str(fileName)}, userMessages)

    def exportNodes(
        self,
        nodeIDs: Sequence[str],
        fileNames: Sequence[str],
        properties: dict,
        hardenTransforms: bool,
        userMessages: Any = None,
    ) -> bool:
        scene = self._parts.scene
        results = [
            writers.exportNode(scene, nodeID, fileName, properties, hardenTransforms, userMessages)
            for nodeID, fileName in zip(nodeIDs, fileNames, strict=True)
        ]
        return all(results)

    def createAndAddDefaultStorageNode(self, node: Any) -> Any:
        node.AddDefaultStorageNode()
        return node.GetStorageNode()

    def emitNewFileLoaded(self, properties: dict) -> None:
        self.newFileLoaded.emit(properties)

    def emitFileSaved(self, properties: dict) -> None:
        self.fileSaved.emit(properties)
