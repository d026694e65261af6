"""Where a result belongs in the scene, and taking it out again."""

from __future__ import annotations


def placeBeside(node, volumeNode) -> None:
    """Put a new node under the same parent transform and the same patient and study as a volume."""
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    underSamePatient(node, volumeNode)


def underSamePatient(node, volumeNode) -> None:
    """Put a new node under the same patient and study as a volume; a table has no place in space."""
    hierarchy = volumeNode.GetScene().GetSubjectHierarchyNode()
    if hierarchy is None:
        return
    volumeItem = hierarchy.GetItemByDataNode(volumeNode)
    if not volumeItem:
        return
    parent = hierarchy.GetItemParent(volumeItem)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        # The application makes items by itself; without its plug-ins nobody does.
        hierarchy.CreateItem(parent, node)


def removeWithDisplay(scene, node) -> None:
    """Remove a node and what only it needs; the scene would leave its display nodes and files behind."""
    displayed = node.GetNumberOfDisplayNodes() if node.IsA("vtkMRMLDisplayableNode") else 0
    for number in reversed(range(displayed)):
        display = node.GetNthDisplayNode(number)
        if display is not None:
            scene.RemoveNode(display)
    if node.IsA("vtkMRMLStorableNode") and node.GetStorageNode() is not None:
        scene.RemoveNode(node.GetStorageNode())
    scene.RemoveNode(node)
