"""Who gets a blank: the keys of the tags leave it to whatever a person types into."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication


def keeps(widget, modifier):
    """Whether a widget with the focus keeps a blank from the shortcuts, as Qt asks it before they act."""
    event = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Space, modifier, " ")
    event.ignore()
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


@pytest.mark.parametrize("modifier", [Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier])
def test_text_fields_keep_their_blanks_and_nothing_else_does(panel, images, modifier):
    typed = [
        panel.panel.images.rows[0].name,
        panel.structureCombo.lineEdit(),
        panel.datasetEdit,
        panel.datasetNameEdit,
    ]
    assert all(keeps(widget, modifier) for widget in typed)
    others = [panel.tagTable, panel.reviewTable, panel.applyButton, panel.previewCheck]
    assert not any(keeps(widget, modifier) for widget in others)
