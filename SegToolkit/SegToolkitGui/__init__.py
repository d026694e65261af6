"""What SegToolkit's modules in 3D Slicer share: the worker process, installation, the job strip, the scene.

Nothing here imports torch or SegToolkitLib. Their work happens in another process, see WorkerClient.
"""
