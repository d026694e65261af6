"""Keeps items of the subject hierarchy in step with the nodes of the scene, as the application's plugin
logic does."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from .observing import observe

# Class of a data node -> name of the plugin that owns its item in the application. Nodes of other classes
# get no item.
OWNERS = (
    ("vtkMRMLSegmentationNode", "Segmentations"),
    ("vtkMRMLLabelMapVolumeNode", "LabelMaps"),
    ("vtkMRMLVolumeNode", "Volumes"),
    ("vtkMRMLModelNode", "Models"),
    ("vtkMRMLMarkupsNode", "Markups"),
    ("vtkMRMLTransformNode", "Transforms"),
    ("vtkMRMLTableNode", "Tables"),
    ("vtkMRMLTextNode", "Texts"),
    ("vtkMRMLPlotChartNode", "Plots"),
    ("vtkMRMLPlotSeriesNode", "Plots"),
    ("vtkMRMLSequenceNode", "Default"),
    ("vtkMRMLSequenceBrowserNode", "Default"),
    ("vtkMRMLSceneViewNode", "SceneViews"),
    ("vtkMRMLLinearTransformNode", "Transforms"),
)


def ownerOf(node: Any) -> str:
    """Name of the plugin that would own the node's item, "" if the node gets none."""
    return next((owner for className, owner in OWNERS if node.IsA(className)), "")


def isExcluded(node: Any) -> bool:
    """Hidden nodes and nodes with the exclusion attribute never get an item."""
    attribute = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyExcludeFromTreeAttributeName()
    return bool(node.GetHideFromEditors()) or node.GetAttribute(attribute) is not None


class SubjectHierarchyUpkeep:
    """Observes a scene; adds an item for each data node, removes it with the node, keeps segments as items
    below."""

    def __init__(self, scene: Any):
        self._scene = scene
        self._segmentObservers: dict[str, list[tuple[Any, int]]] = {}
        observe(scene, scene.NodeAddedEvent, self._onNodeAdded)
        observe(scene, scene.NodeAboutToBeRemovedEvent, self._onNodeAboutToBeRemoved)
        scene.AddObserver(scene.EndImportEvent, self._onEndImport)
        scene.AddObserver(scene.EndCloseEvent, self._onEndClose)
        self._onEndClose(scene, "")

    def _hierarchy(self) -> Any:
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)

    def _onNodeAdded(self, scene: Any, node: Any) -> None:
        if node.IsA("vtkMRMLSubjectHierarchyNode"):
            self._hierarchy()  # merges a second one into the first
        elif not scene.IsImporting():  # an imported scene brings its own items
            self._add(node)

    def _add(self, node: Any) -> None:
        owner = ownerOf(node)
        hierarchy = self._hierarchy()
        if not owner or isExcluded(node) or hierarchy.GetItemByDataNode(node):
            return
        item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
        hierarchy.SetItemOwnerPluginName(item, owner)
        if node.IsA("vtkMRMLSegmentationNode"):
            self._observeSegments(node)

    def _onNodeAboutToBeRemoved(self, scene: Any, node: Any) -> None:
        if scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        self._forgetSegments(node)
        hierarchy = self._hierarchy()
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, node.IsA("vtkMRMLSegmentationNode"))

    def _onEndImport(self, scene: Any, _event: str) -> None:
        self._hierarchy()  # merges the imported hierarchy
        for index in range(scene.GetNumberOfNodes()):
            node = scene.GetNthNode(index)
            if node.IsA("vtkMRMLStorableNode"):
                self._add(node)
                if node.IsA("vtkMRMLSegmentationNode"):
                    self._observeSegments(node)

    def _onEndClose(self, _scene: Any, _event: str) -> None:
        self._segmentObservers.clear()
        self._hierarchy()  # closing removed it; the application makes a new one at once

    def _observeSegments(self, node: Any) -> None:
        if node.GetID() in self._segmentObservers:
            return
        segmentation = slicer.vtkSegmentation
        events = (segmentation.SegmentAdded, segmentation.SegmentRemoved, segmentation.SegmentModified)
        nodeID, tags = node.GetID(), []
        for event in events:
            tags.append((node, node.AddObserver(event, lambda *_: self._updateSegments(nodeID))))
        self._segmentObservers[nodeID] = tags
        self._updateSegments(nodeID)

    def _forgetSegments(self, node: Any) -> None:
        for subject, tag in self._segmentObservers.pop(node.GetID(), []):
            subject.RemoveObserver(tag)

    def _updateSegments(self, nodeID: str) -> None:
        """One child item for each segment, with its name and its ID as attribute."""
        node = self._scene.GetNodeByID(nodeID)
        hierarchy = self._hierarchy()
        parent = hierarchy.GetItemByDataNode(node) if node else 0
        if not parent or not node.GetSegmentation():
            return
        attribute = slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName()
        children = vtk.vtkIdList()
        hierarchy.GetItemChildren(parent, children)
        items = {}
        for index in range(children.GetNumberOfIds()):
            item = children.GetId(index)
            items[hierarchy.GetItemAttribute(item, attribute)] = item
        segmentation = node.GetSegmentation()
        present = set(segmentation.GetSegmentIDs())
        for segmentID in segmentation.GetSegmentIDs():
            name = segmentation.GetSegment(segmentID).GetName() or segmentID
            item = items.get(segmentID)
            if item is None:
                item = hierarchy.CreateHierarchyItem(parent, name, "Segments")
                hierarchy.SetItemAttribute(item, attribute, segmentID)
                hierarchy.SetItemOwnerPluginName(item, "Segments")
            elif hierarchy.GetItemName(item) != name:
                hierarchy.SetItemName(item, name)
        for segmentID, item in items.items():
            if segmentID and segmentID not in present:
                hierarchy.RemoveItem(item, False, False)
