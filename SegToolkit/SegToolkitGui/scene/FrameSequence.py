"""Results of single frames as a sequence beside the volume's: one browser shows both."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.scene import Placement
from SegToolkitGui.scene.SequenceFrames import browserOf


class FrameSequence:
    """A sequence that is filled frame by frame, in any order.

    The first node that is put in becomes the proxy, which shows the frame that the browser shows; frames that
    are still missing are shown empty.

    Args:
        keepEdits: what a person changes in the proxy is kept for that frame.

    Attributes:
        sequenceId, proxyId: MRML IDs, "" before the first frame.
    """

    def __init__(self, keepEdits: bool) -> None:
        self.sequenceId = ""
        self.proxyId = ""
        self._keepEdits = keepEdits

    def put(self, volumeNode, frame: int, node) -> list:
        """Take a result over for a frame; its node leaves the scene, or becomes the proxy.

        Args:
            volumeNode: the proxy of the volume's sequence.
            frame: item number, from 0.
            node: of the scene, and of the same class each time.

        Returns:
            The nodes that were made; [] after the first frame.

        Raises:
            UserError: "no-frame": the volume's sequence is gone or shorter; "output-deleted": ours is gone.
        """
        scene = volumeNode.GetScene()
        browser = browserOf(volumeNode)
        master = browser.GetMasterSequenceNode() if browser is not None else None
        if master is None or frame >= master.GetNumberOfDataNodes():
            Placement.removeWithDisplay(scene, node)
            text = _("Frame {frame} of {name} is no longer there.")
            raise UserError("no-frame", text.format(frame=frame + 1, name=volumeNode.GetName()))
        if not self.sequenceId:
            return self._begun(scene, browser, master, frame, node)
        sequence = scene.GetNodeByID(self.sequenceId)
        if sequence is not None and scene.GetNodeByID(self.proxyId) is not None:
            sequence.SetDataNodeAtValue(node, master.GetNthIndexValue(frame))
        Placement.removeWithDisplay(scene, node)
        if sequence is None or scene.GetNodeByID(self.proxyId) is None:
            text = _("The sequence of results was deleted while it was filled.")
            raise UserError("output-deleted", text, _("Start again."))
        _show(browser)
        return []

    def _begun(self, scene, browser, master, frame: int, node) -> list:
        name = scene.GenerateUniqueName(_("{name} sequence").format(name=node.GetName()))
        sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
        sequence.SetIndexName(master.GetIndexName())
        sequence.SetIndexUnit(master.GetIndexUnit())
        sequence.SetIndexType(master.GetIndexType())
        sequence.SetDataNodeAtValue(node, master.GetNthIndexValue(frame))
        with slicer.util.NodeModify(browser):  # else the application makes a proxy of its own in between
            browser.AddSynchronizedSequenceNode(sequence)
            browser.SetMissingItemMode(sequence, slicer.vtkMRMLSequenceBrowserNode.MissingItemSetToDefault)
            browser.SetOverwriteProxyName(sequence, False)
            early = browser.GetProxyNode(sequence)
            browser.AddProxyNode(node, sequence, False)
        if early is not None and early is not node:
            Placement.removeWithDisplay(scene, early)
        _show(browser)
        # Not before: until here the proxy may hold another frame than the one that is shown.
        browser.SetSaveChanges(sequence, self._keepEdits)
        if node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(True)
        self.sequenceId, self.proxyId = sequence.GetID(), node.GetID()
        return [sequence, node]


def _show(browser) -> None:
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
