"""The layout: slice views over the real slice logics and nodes, a minimal 3D view. Nothing is drawn."""
# ruff: noqa: N801  (names of the real classes)

from __future__ import annotations

from typing import Any

import slicer
import vtk

from .observing import nodesOfClass
from .pythonqt import ScriptObject, ScriptSignal

VIEW_SIZE = (400, 300)  # pixels of a slice view; FitSliceToBackground and convertRASToXYZ work with it


class qMRMLSliceView(ScriptObject):
    """The area of a slice view; coordinates work, drawing does not exist."""

    def __init__(self, sliceNode: Any):
        super().__init__()
        self._sliceNode = sliceNode
        self._renderRequests = 0

    def mrmlSliceNode(self) -> Any:
        return self._sliceNode

    def forceRender(self) -> None:
        self._renderRequests += 1

    def scheduleRender(self) -> None:
        self._renderRequests += 1

    def convertRASToXYZ(self, ras: Any) -> tuple:
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self._sliceNode.GetXYToRAS(), inverse)
        return tuple(inverse.MultiplyPoint((*ras, 1.0))[:3])

    def convertXYZToRAS(self, xyz: Any) -> tuple:
        return tuple(self._sliceNode.GetXYToRAS().MultiplyPoint((*xyz, 1.0))[:3])


class qMRMLSliceControllerWidget(ScriptObject):
    """The bar above a slice view."""

    def __init__(self, logic: Any):
        super().__init__()
        self._logic = logic

    def sliceLogic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()

    def rotateSliceToLowestVolumeAxes(self) -> None:
        self._logic.RotateSliceToLowestVolumeAxes()

    def setSliceOffsetValue(self, offset: float) -> None:
        self._logic.SetSliceOffset(offset)

    def setSliceVisible(self, visible: bool) -> None:
        self._logic.GetSliceNode().SetSliceVisible(int(visible))

    def setSliceLink(self, linked: bool) -> None:
        for node in nodesOfClass(self._logic.GetMRMLScene(), "vtkMRMLSliceCompositeNode"):
            node.SetLinkedControl(int(linked))


class qMRMLSliceWidget(ScriptObject):
    """A slice view with its bar."""

    def __init__(self, name: str, logic: Any):
        super().__init__()
        self._name = name
        self._logic = logic
        self._view = qMRMLSliceView(logic.GetSliceNode())
        self._controller = qMRMLSliceControllerWidget(logic)

    def sliceLogic(self) -> Any:
        return self._logic

    def logic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlAbstractViewNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def mrmlScene(self) -> Any:
        return self._logic.GetMRMLScene()

    def sliceView(self) -> qMRMLSliceView:
        return self._view

    def sliceController(self) -> qMRMLSliceControllerWidget:
        return self._controller

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()

    @property
    def sliceViewName(self) -> str:
        return self._name

    @property
    def sliceOrientation(self) -> str:
        return self._logic.GetSliceNode().GetOrientation()

    @sliceOrientation.setter
    def sliceOrientation(self, orientation: str) -> None:
        self._logic.GetSliceNode().SetOrientation(orientation)

    def setSliceOrientation(self, orientation: str) -> None:
        self._logic.GetSliceNode().SetOrientation(orientation)


class qMRMLThreeDView(ScriptObject):
    """The 3D area; only what scripts commonly call."""

    def __init__(self, viewNode: Any):
        super().__init__()
        self._viewNode = viewNode

    def mrmlViewNode(self) -> Any:
        return self._viewNode

    def forceRender(self) -> None:
        """Nothing is drawn."""

    def scheduleRender(self) -> None:
        """Nothing is drawn."""

    def resetFocalPoint(self) -> None:
        """There is no camera."""

    def resetCamera(self, *_: bool) -> None:
        """There is no camera."""


class qMRMLThreeDWidget(ScriptObject):
    """A 3D view with its bar."""

    def __init__(self, viewNode: Any):
        super().__init__()
        self._view = qMRMLThreeDView(viewNode)

    def mrmlViewNode(self) -> Any:
        return self._view.mrmlViewNode()

    def threeDView(self) -> qMRMLThreeDView:
        return self._view


class qSlicerLayoutManager(ScriptObject):
    """slicer.app.layoutManager()."""

    layoutChanged = ScriptSignal("layoutChanged(int)")
    selectModule = ScriptSignal("selectModule(QString)")

    def __init__(self, parts: Any):
        super().__init__()
        self._parts = parts
        self._layoutLogic = slicer.vtkMRMLLayoutLogic()
        self._layoutLogic.SetMRMLScene(parts.scene)
        self._sliceLogics = vtk.vtkCollection()
        self._sliceWidgets: dict[str, qMRMLSliceWidget] = {}
        self._threeDWidgets: list[qMRMLThreeDWidget] = []
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        parts.applicationLogic.SetSliceLogics(self._sliceLogics)

    def _createViews(self) -> None:
        for node in nodesOfClass(self._parts.scene, "vtkMRMLSliceNode"):
            if node.GetLayoutName() not in self._sliceWidgets:
                self._sliceWidgets[node.GetLayoutName()] = self._createSliceWidget(node)
        for node in nodesOfClass(self._parts.scene, "vtkMRMLViewNode"):
            if all(widget.mrmlViewNode() is not node for widget in self._threeDWidgets):
                self._threeDWidgets.append(qMRMLThreeDWidget(node))

    def _createSliceWidget(self, node: Any) -> qMRMLSliceWidget:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._parts.applicationLogic)
        logic.SetMRMLScene(self._parts.scene)
        logic.SetSliceNode(node)
        logic.ResizeSliceNode(*VIEW_SIZE)
        self._sliceLogics.AddItem(logic)
        return qMRMLSliceWidget(node.GetLayoutName(), logic)

    def mrmlScene(self) -> Any:
        return self._parts.scene

    def mrmlSliceLogics(self) -> Any:
        return self._sliceLogics

    def mrmlColorLogic(self) -> Any:
        return self._parts.logics["Colors"]

    def layoutLogic(self) -> Any:
        return self._layoutLogic

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._sliceWidgets)

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        return self._sliceWidgets.get(name)

    def threeDWidget(self, indexOrName: int | str) -> qMRMLThreeDWidget | None:
        if isinstance(indexOrName, str):
            found = [w for w in self._threeDWidgets if w.mrmlViewNode().GetLayoutName() == indexOrName]
            return found[0] if found else None
        return self._threeDWidgets[indexOrName] if 0 <= indexOrName < len(self._threeDWidgets) else None

    @property
    def threeDViewCount(self) -> int:
        return len(self._threeDWidgets)

    @property
    def tableViewCount(self) -> int:
        return 0

    @property
    def plotViewCount(self) -> int:
        return 0

    @property
    def layout(self) -> int:
        return self._layoutLogic.GetLayoutNode().GetViewArrangement()

    @layout.setter
    def layout(self, arrangement: int) -> None:
        self.setLayout(arrangement)

    def setLayout(self, arrangement: int) -> None:
        self._layoutLogic.GetLayoutNode().SetViewArrangement(int(arrangement))
        self._createViews()
        self.layoutChanged.emit(int(arrangement))

    def resetSliceViews(self) -> None:
        for widget in self._sliceWidgets.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """There is no camera."""

    def pauseRender(self) -> None:
        """Nothing is drawn."""

    def resumeRender(self) -> None:
        """Nothing is drawn."""

    def setRenderPaused(self, paused: bool) -> None:
        """Nothing is drawn."""
