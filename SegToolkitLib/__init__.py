"""SegToolkitLib: segmentation of medical volumes with few or no labels.

The library behind the SegToolkit extension for 3D Slicer. It never imports slicer, qt, ctk or vtk,
so it runs in Slicer's Python console, in a shell and on a cluster alike.
"""

__version__ = "0.1.0"
