"""What the panel keeps in the scene."""

# No "from __future__ import annotations" here: the wrapper reads the annotations as types.
import logging

import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper

from SegToolkitGui.fewshot.Supports import PARAMETER as EXAMPLES


@parameterNodeWrapper
class FewShotParameters:
    """Choices of the panel that belong to the data; support examples lie beside them (see Supports.py).

    supportVolume, supportSegmentation, supportSegmentIds: what the next example is taken from.
    viewName: slice view whose slice is taken.
    queryVolume, moreQueries: volumes in which to look.
    sliceRange: whether firstSlice and lastSlice (from 0, inclusive) limit the search.
    leftOut: names of outlined structures that are not looked for.
    outputSegmentation, outputMode: where results go; modes as in RunSettings.
    model: name of the model; "" takes this machine's.
    """

    supportVolume: vtkMRMLScalarVolumeNode
    supportSegmentation: vtkMRMLSegmentationNode
    supportSegmentIds: list[str]
    viewName: str = "Red"
    queryVolume: vtkMRMLScalarVolumeNode
    moreQueries: list[vtkMRMLScalarVolumeNode]
    sliceRange: bool = False
    firstSlice: int = 0
    lastSlice: int = 0
    leftOut: list[str]
    outputSegmentation: vtkMRMLSegmentationNode
    outputMode: str = "add"
    keepLargest: bool = False
    confidence: bool = False
    asPublished: bool = False
    model: str = ""


def openParameters(node) -> FewShotParameters:
    """The choices in a parameter node.

    A scene made by hand or by another version may hold texts that are no numbers. All choices go back to
    their defaults then, because without them there would be no panel; examples stay.
    """
    try:
        parameters = FewShotParameters(node)
        for name in FewShotParameters.__annotations__:
            getattr(parameters, name)
        return parameters
    except Exception:  # which one is up to Slicer's serializers
        logging.warning("SegToolkit: the scene's choices cannot be read; they are reset", exc_info=True)
    with slicer.util.NodeModify(node):
        for name in node.GetParameterNames():
            if name != EXAMPLES:
                node.UnsetParameter(name)
    return FewShotParameters(node)
