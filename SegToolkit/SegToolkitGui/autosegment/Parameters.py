"""What the panel keeps in the scene."""

# No "from __future__ import annotations" here: the wrapper reads the annotations as types.
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper

from SegToolkitGui.SceneChoices import readChoices


@parameterNodeWrapper
class AutoSegmentParameters:
    """Choices of the panel that belong to the data.

    inputVolume, moreVolumes: volumes to segment.
    model: name of the model; "" takes this machine's.
    leftOut: names of organs that are not wanted, of whatever model.
    mode: "full" or "quick".
    outputSegmentation, outputMode: where results go; modes as in AutoSegmentSettings.
    volumesTable: whether a table comes besides the segments; maps: names of the maps that do, of whatever
        model.
    reference, compared: segmentations to compare; toleranceMm: of the surface Dice.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    moreVolumes: list[vtkMRMLScalarVolumeNode]
    model: str = ""
    leftOut: list[str]
    mode: str = "full"
    outputSegmentation: vtkMRMLSegmentationNode
    outputMode: str = "replace"
    volumesTable: bool = True
    maps: list[str]
    reference: vtkMRMLSegmentationNode
    compared: vtkMRMLSegmentationNode
    toleranceMm: float = 2.0


def openParameters(node) -> AutoSegmentParameters:
    """The choices in a parameter node; all go back to their defaults where one of them cannot be read."""
    return readChoices(node, AutoSegmentParameters)
