"""Stand-ins, as plain PySide6 classes, for the widgets that Slicer and ctk add to Qt.

Each class carries the name of the real one and offers in public only members that the real one offers.
`CLASSES` maps names to classes. Signals and slots whose C++ types Qt does not know are listed in
`_vtkSignatures` of the class (real signature -> name of the member); `boundSignal` finds the right overload.
"""

from __future__ import annotations

from . import boolcount
from .base import qMRMLWidget
from .buttons import (
    ctkCheckablePushButton,
    ctkCheckBox,
    ctkColorPickerButton,
    ctkDirectoryButton,
    ctkExpandButton,
    ctkMenuButton,
    ctkPushButton,
)
from .checkablenodecombo import qMRMLCheckableNodeComboBox, qMRMLColorTableComboBox
from .collapsible import ctkCollapsibleButton, ctkCollapsibleGroupBox, qMRMLCollapsibleButton
from .combos import ctkCheckableComboBox, ctkComboBox
from .declare import boundSignal
from .mrmlnumbers import qMRMLRangeWidget, qMRMLSliderWidget, qMRMLSpinBox, qMRMLVolumeThresholdWidget
from .nodecombo import qMRMLNodeComboBox
from .paths import ctkPathLineEdit
from .plots import qMRMLPlotView, qMRMLPlotViewControllerWidget, qMRMLPlotWidget
from .segmenteditor import paint, qMRMLSegmentEditorWidget
from .segmentselector import qMRMLSegmentSelectorWidget
from .segmentstable import qMRMLSegmentsTableView
from .show3d import qMRMLSegmentationShow3DButton
from .sliders import ctkDoubleRangeSlider, ctkDoubleSlider
from .sliderwidgets import ctkRangeWidget, ctkSliderWidget
from .spin import ctkDoubleSpinBox
from .subjecthierarchy import qMRMLListWidget, qMRMLSubjectHierarchyComboBox, qMRMLSubjectHierarchyTreeView
from .texts import ctkFileDialog, ctkFittedTextBrowser, ctkMessageBox, ctkSearchBox

boolcount.protect()

CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        ctkCheckBox,
        ctkCheckableComboBox,
        ctkCheckablePushButton,
        ctkCollapsibleButton,
        ctkCollapsibleGroupBox,
        ctkColorPickerButton,
        ctkComboBox,
        ctkDirectoryButton,
        ctkDoubleRangeSlider,
        ctkDoubleSlider,
        ctkDoubleSpinBox,
        ctkExpandButton,
        ctkFileDialog,
        ctkFittedTextBrowser,
        ctkMenuButton,
        ctkMessageBox,
        ctkPathLineEdit,
        ctkPushButton,
        ctkRangeWidget,
        ctkSearchBox,
        ctkSliderWidget,
        qMRMLCheckableNodeComboBox,
        qMRMLCollapsibleButton,
        qMRMLColorTableComboBox,
        qMRMLListWidget,
        qMRMLNodeComboBox,
        qMRMLPlotView,
        qMRMLPlotViewControllerWidget,
        qMRMLPlotWidget,
        qMRMLRangeWidget,
        qMRMLSegmentEditorWidget,
        qMRMLSegmentSelectorWidget,
        qMRMLSegmentationShow3DButton,
        qMRMLSegmentsTableView,
        qMRMLSliderWidget,
        qMRMLSpinBox,
        qMRMLSubjectHierarchyComboBox,
        qMRMLSubjectHierarchyTreeView,
        qMRMLVolumeThresholdWidget,
        qMRMLWidget,
    )
}

__all__ = ["CLASSES", "boundSignal", "paint"]
