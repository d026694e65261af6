"""A coloured volume over its image, in all slice views."""

from __future__ import annotations

import slicer

# Of a map; its low values are clearer still, see ColourRamps.
OPACITY = 0.6


def shown() -> str:
    """MRML ID of the volume over the image in the first slice view; "" for none."""
    scene = slicer.mrmlScene
    if not scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode"):
        return ""
    return scene.GetNthNodeByClass(0, "vtkMRMLSliceCompositeNode").GetForegroundVolumeID() or ""


def show(nodeId: str, imageId: str, opacity: float = OPACITY) -> None:
    """Lay a volume over the image that it belongs to; an image that is no longer there is not changed for.

    Args:
        nodeId, imageId: MRML IDs.
        opacity: of the volume, from 0 to 1.
    """
    if slicer.mrmlScene.GetNodeByID(imageId) is not None:
        slicer.util.setSliceViewerLayers(background=imageId)
    slicer.util.setSliceViewerLayers(foreground=nodeId, foregroundOpacity=opacity)


def hide() -> None:
    """Show the image alone."""
    slicer.util.setSliceViewerLayers(foreground=None)
