"""What the panel keeps in the scene."""

import logging

import slicer

# No "from __future__ import annotations" here: the wrapper reads the annotations as types.
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class TrainingParameters:
    """Choices of the panel that belong to the data.

    dataset: folder of the data set; "" while none is chosen.
    fold: number of the fold that is left out; "" as the preset says, "all" leaves out none.
    volumes, segmentations: of the scene, to be collected into a data set.
    collectFolder, collectName, collectModality: that data set.
    keepNames: whether names of patients go along.
    """

    dataset: str = ""
    fold: str = ""
    volumes: list[vtkMRMLScalarVolumeNode]
    segmentations: list[vtkMRMLSegmentationNode]
    collectFolder: str = ""
    collectName: str = ""
    collectModality: str = "MR"
    keepNames: bool = False


def openParameters(node) -> TrainingParameters:
    """The choices in a parameter node; those of a scene that cannot be read go back to their defaults."""
    try:
        parameters = TrainingParameters(node)
        for name in TrainingParameters.__annotations__:
            getattr(parameters, name)
        return parameters
    except Exception:  # which one is up to Slicer's serializers
        logging.warning("SegToolkit: the scene's choices cannot be read; they are reset", exc_info=True)
    with slicer.util.NodeModify(node):
        for name in node.GetParameterNames():
            node.UnsetParameter(name)
    return TrainingParameters(node)
