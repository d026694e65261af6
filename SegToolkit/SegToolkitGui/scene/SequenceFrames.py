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


def frameCount(volumeNode) -> int:
    """How many frames the volume's sequence has; 0 if it belongs to none."""
    browser = browserOf(volumeNode) if volumeNode is not None else None
    master = browser.GetMasterSequenceNode() if browser is not None else None
    return master.GetNumberOfDataNodes() if master is not None else 0


def showFrame(volumeNode, frame: int) -> None:
    """Show another frame, from 0, wherever the sequence is shown."""
    browser = browserOf(volumeNode)
    if browser is not None and 0 <= frame < browser.GetNumberOfItems():
        browser.SetSelectedItemNumber(frame)


def indexValues(volumeNode) -> tuple[str, list[float]]:
    """What tells the frames apart, such as "time (ms)", and its value for each; ("", []) where these are no
    numbers, or only count the frames."""
    browser = browserOf(volumeNode)
    master = browser.GetMasterSequenceNode() if browser is not None else None
    if master is None:
        return "", []
    numbers = range(master.GetNumberOfDataNodes())
    try:
        values = [float(master.GetNthIndexValue(number)) for number in numbers]
    except ValueError:
        return "", []
    if values in (list(numbers), [number + 1 for number in numbers]):
        return "", []
    name, unit = master.GetIndexName() or _("index"), master.GetIndexUnit()
    return f"{name} ({unit})" if unit else name, values


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
