"""Time sequences: a proxy node in the scene shows one frame; the frames lie in a sequence node."""

from __future__ import annotations

from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError


def browserOf(node):
    """The sequence browser that keeps this node as its proxy, or None."""
    scene = node.GetScene()
    if scene is None or node.GetID() is None:
        return None
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
        browser = scene.GetNthNodeByClass(number, "vtkMRMLSequenceBrowserNode")
        if browser.IsProxyNodeID(node.GetID()) and browser.GetSequenceNode(node) is not None:
            return browser
    return None


def currentFrame(volumeNode) -> int | None:
    """Item number, from 0, that the volume shows; None if it belongs to no sequence."""
    browser = browserOf(volumeNode) if volumeNode is not None else None
    if browser is None or browser.GetSelectedItemNumber() < 0:
        return None
    return browser.GetSelectedItemNumber()


def dataNodeOfFrame(volumeNode, frame: int | None):
    """The node that holds the data of a frame; the node itself if ``frame`` is None.

    A data node has no parent transform of its own: that of the proxy holds.

    Raises:
        UserError: "no-frame": the sequence is gone or shorter.
    """
    if frame is None:
        return volumeNode
    browser = browserOf(volumeNode)
    master = browser.GetMasterSequenceNode() if browser is not None else None
    if master is not None and 0 <= frame < master.GetNumberOfDataNodes():
        # Sequences of one browser are matched by index value, and a synchronised one may have fewer items.
        sequence = browser.GetSequenceNode(volumeNode)
        data = sequence.GetDataNodeAtValue(master.GetNthIndexValue(frame), False)
        if data is not None:
            return data
    raise UserError(
        "no-frame",
        _("Frame {frame} of {name} is no longer there.").format(frame=frame, name=volumeNode.GetName()),
        _("Choose the frame again."),
    )
