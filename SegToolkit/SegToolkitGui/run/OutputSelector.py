"""The selector of the segmentation that results go into; "none" makes a new one."""

from __future__ import annotations

from SegToolkitGui.NodeSelector import NodeSelector


class OutputSelector(NodeSelector):
    """Keeps what is chosen in the parameters' ``outputSegmentation``.

    Args:
        panel: the panel.
        selector: qMRMLNodeComboBox of segmentations.
    """

    def __init__(self, panel, selector) -> None:
        super().__init__(panel, selector, "outputSegmentation")
