"""The scene and the module logics: all real, from the wheel; only what the application sets up around them
is done here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from .subject_hierarchy import SubjectHierarchyUpkeep

SHARE = Path(__file__).parent / "share"

# module name as in the application -> class of its logic, in the order in which the application starts them
LOGIC_CLASSES = {
    "Units": "vtkSlicerUnitsLogic",
    "Colors": "vtkSlicerColorLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Annotations": "vtkSlicerAnnotationModuleLogic",
    "Data": "vtkSlicerDataModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Reformat": "vtkSlicerReformatLogic",
    "ViewControllers": "vtkSlicerViewControllersLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SceneViews": "vtkSlicerSceneViewsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
}


class SceneParts:
    """The scene, the application logic and the module logics.

    Attributes:
        scene: the vtkMRMLScene.
        applicationLogic: a vtkSlicerApplicationLogic.
        logics: module name -> logic.
    """

    def __init__(self, folder: Path):
        self.scene = slicer.vtkMRMLScene()
        self.applicationLogic = slicer.vtkSlicerApplicationLogic()
        self._setUpFolders(folder)
        self._setUpRemoteAndCache(folder)
        self.applicationLogic.SetMRMLScene(self.scene)
        self.logics: dict[str, Any] = {}
        for moduleName, className in LOGIC_CLASSES.items():
            self._startLogic(moduleName, className)
        self.subjectHierarchy = SubjectHierarchyUpkeep(self.scene)

    def _setUpFolders(self, folder: Path) -> None:
        home = folder / "home"
        (home / "share" / "ColorFiles").mkdir(parents=True, exist_ok=True)
        self.applicationLogic.SetHomeDirectory(str(home))
        self.applicationLogic.SetShareDirectory("share")  # below the home directory
        self.applicationLogic.SetTemporaryPath(str(folder / "temporary"))
        self.scene.SetRootDirectory(str(folder / "data"))
        (folder / "data").mkdir(exist_ok=True)

    def _setUpRemoteAndCache(self, folder: Path) -> None:
        """Storage nodes ask the scene for these; without them every read warns."""
        cache = slicer.vtkCacheManager()
        (folder / "cache").mkdir(exist_ok=True)
        cache.SetRemoteCacheDirectory(str(folder / "cache"))
        cache.SetMRMLScene(self.scene)
        manager = slicer.vtkDataIOManager()
        manager.SetCacheManager(cache)
        self.scene.SetCacheManager(cache)
        self.scene.SetDataIOManager(manager)

    def _startLogic(self, moduleName: str, className: str) -> None:
        logic = getattr(slicer, className)()
        share = SHARE / moduleName
        if share.is_dir() and hasattr(logic, "SetModuleShareDirectory"):
            logic.SetModuleShareDirectory(str(share))
        logic.SetMRMLApplicationLogic(self.applicationLogic)
        logic.SetMRMLScene(self.scene)
        self.logics[moduleName] = logic
        self.applicationLogic.SetModuleLogic(moduleName, logic)
        if moduleName == "Colors":
            self.applicationLogic.SetColorLogic(logic)

    def close(self) -> None:
        """Close the scene as the application's menu does: singletons stay, everything else goes."""
        self.scene.Clear(0)
