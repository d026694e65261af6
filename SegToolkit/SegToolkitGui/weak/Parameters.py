"""What the panel keeps in the scene."""

# No "from __future__ import annotations" here: the wrapper reads the annotations as types.
from slicer import vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper

from SegToolkitGui.SceneChoices import readChoices


@parameterNodeWrapper
class WeakParameters:
    """Choices of the panel that belong to the data.

    modalities: names of the images, in their order; the volumes are kept by ImageRows.
    resample: bring the other images onto the voxels of the first.
    view: name of the slice view that tags are given in.
    model: name of the model; "" takes this machine's.
    shownMap: name of the map whose threshold is looked at; "" for the fused one.
    opacity, colours: of the map over the image; colours is the key of a ramp, "" the map's own.
    preview: whether the outline above the threshold is shown.
    consensus, smoothing, component (the largest only), smallest (ml), holes (filled), supported (by tags):
        how masks are made, see docs/cmer.md; smoothing "" is the library's own choice.
    structure: name of the segment.
    outputSegmentation: where masks go; the last result, or None.
    dataset, datasetName, datasetModality: where this patient is collected.
    keepNames: whether names of patients go along.
    others: what becomes of slices that were not accepted, "left" or "background".
    run: folder of the training that was begun here.
    """

    modalities: list[str]
    resample: bool = False
    view: str = "Red"
    model: str = ""
    shownMap: str = ""
    opacity: float = 0.6
    colours: str = ""
    preview: bool = True
    consensus: str = "mean"
    smoothing: str = ""
    component: bool = False
    smallest: float = 0.1
    holes: bool = True
    supported: bool = True
    structure: str = "Lesion"
    outputSegmentation: vtkMRMLSegmentationNode
    dataset: str = ""
    datasetName: str = ""
    datasetModality: str = "MR"
    keepNames: bool = False
    others: str = "left"
    run: str = ""


def openParameters(node) -> WeakParameters:
    """The choices in a parameter node; all go back to their defaults where one of them cannot be read."""
    return readChoices(node, WeakParameters)
