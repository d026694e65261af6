"""The application's Segment Editor as far as other modules know it: a widget with an editor."""

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget


class SegmentEditor(ScriptedLoadableModule):
    """What the application shows of the module."""

    def __init__(self, parent):
        super().__init__(parent)
        self.parent.title = "Segment Editor"
        self.parent.categories = ["", "Segmentation"]
        self.parent.contributors = ["nobody"]


class SegmentEditorWidget(ScriptedLoadableModuleWidget):
    """Holds the editor."""

    def setup(self):
        super().setup()
        self.editor = slicer.qMRMLSegmentEditorWidget()
        self.editor.setMRMLScene(slicer.mrmlScene)
        self.layout.addWidget(self.editor)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.editor.setMRMLSegmentEditorNode(node)
