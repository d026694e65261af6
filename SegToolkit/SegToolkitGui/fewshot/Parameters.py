"""What the panel keeps in the scene."""

# No "from __future__ import annotations" here: the wrapper reads the annotations as types.
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper

from SegToolkitGui.fewshot.Supports import PARAMETER as EXAMPLES
from SegToolkitGui.SceneChoices import readChoices


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
    """The choices in a parameter node; examples stay even if the choices cannot be read."""
    return readChoices(node, FewShotParameters, keep=(EXAMPLES,))
