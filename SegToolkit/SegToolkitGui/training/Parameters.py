"""What the panel keeps in the scene."""

# No "from __future__ import annotations" here: the wrapper reads the annotations as types.
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper

from SegToolkitGui.SceneChoices import readChoices


@parameterNodeWrapper
class TrainingParameters:
    """Choices of the panel that belong to the data.

    dataset: folder of the data set; "" while none is chosen.
    volumesFolder: folder of the data set's volumes; "" where its description says.
    fold: number of the fold that is left out; "" as the preset says, "all" leaves out none.
    volumes, segmentations: of the scene, to be collected into a data set.
    collectFolder, collectName, collectModality: that data set.
    keepNames: whether names of patients go along.
    """

    dataset: str = ""
    volumesFolder: str = ""
    fold: str = ""
    volumes: list[vtkMRMLScalarVolumeNode]
    segmentations: list[vtkMRMLSegmentationNode]
    collectFolder: str = ""
    collectName: str = ""
    collectModality: str = "MR"
    keepNames: bool = False


def openParameters(node) -> TrainingParameters:
    """The choices in a parameter node."""
    return readChoices(node, TrainingParameters)
