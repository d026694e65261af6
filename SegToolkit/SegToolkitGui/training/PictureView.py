"""The pictures that a validation leaves: the latest one, and a slider back through the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

# Pixels. A tall picture is made smaller than the panel is wide.
MOST_HEIGHT = 420
# A scroll bar that comes or goes is not to change the height, which would make it go or come.
SCROLL_BAR = 30


class PictureLabel(qt.QLabel):
    """A picture as wide as there is room, never larger than it is, with its own aspect ratio."""

    def setPicture(self, pixmap: Any) -> None:
        """Show another picture; None shows nothing."""
        self.full = pixmap
        self.atWidth = -2 * SCROLL_BAR
        self.fit()

    def fit(self) -> None:
        """Scale the picture to the label's width."""
        pixmap = self.full
        if pixmap is None:
            self.clear()
            return
        width = min(self.width, pixmap.width())
        if abs(self.width - self.atWidth) > SCROLL_BAR:
            self.atWidth = self.width
            self.setFixedHeight(max(1, min(MOST_HEIGHT, pixmap.height() * width // max(1, pixmap.width()))))
        size = qt.QSize(max(1, width), self.maximumHeight)
        self.setPixmap(pixmap.scaled(size, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation))

    def resizeEvent(self, _event: Any) -> None:
        """Follow the panel's width."""
        if getattr(self, "full", None) is not None:
            self.fit()


class PictureView:
    """Shows one picture at a time.

    Args:
        parentLayout: a box layout; picture, slider and line of text are added at its end.
    """

    def __init__(self, parentLayout: Any) -> None:
        self._pictures: list[tuple[int, str]] = []
        self._shown: tuple[int, str] | None = None
        self._stamp: tuple | None = None
        self.pictureLabel = PictureLabel()
        self.pictureLabel.objectName = "pictureViewLabel"
        self.pictureLabel.setAlignment(qt.Qt.AlignCenter)
        # The picture follows the panel's width; the panel never follows the picture's.
        self.pictureLabel.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        self.stepSlider = qt.QSlider(qt.Qt.Horizontal)
        self.stepSlider.objectName = "pictureViewStepSlider"
        self.stepSlider.setPageStep(1)
        self.stepSlider.setToolTip(_("Pictures of earlier validations."))
        self.stepLabel = qt.QLabel()
        self.stepLabel.objectName = "pictureViewStepLabel"
        self.stepLabel.setWordWrap(True)
        self.stepLabel.setTextFormat(qt.Qt.PlainText)
        row = qt.QHBoxLayout()
        row.addWidget(self.stepSlider, 1)
        row.addWidget(self.stepLabel, 1)
        parentLayout.addWidget(self.pictureLabel)
        parentLayout.addLayout(row)
        self.stepSlider.connect("valueChanged(int)", self._onSlider)
        self.clear()

    def cleanup(self) -> None:
        """Let go of the widgets."""
        self.stepSlider.disconnect("valueChanged(int)", self._onSlider)

    @property
    def shown(self) -> tuple[int, str] | None:
        """(step, path) of the picture that is shown, or None."""
        return self._shown

    def setPictures(self, pictures: list[tuple[int, str]]) -> None:
        """Offer these (step, absolute path of a PNG).

        The latest is shown, unless the person went back to another one, which stays while it is offered.
        """
        wasLatest = not self._pictures or self._shown == self._pictures[-1]
        known = self._shown
        self._pictures = sorted((int(step), str(path)) for step, path in pictures)
        last = len(self._pictures) - 1
        index = last if wasLatest or known not in self._pictures else self._pictures.index(known)
        slider = self.stepSlider
        blocked = slider.blockSignals(True)
        slider.setRange(0, max(0, last))
        slider.setValue(max(0, index))
        slider.blockSignals(blocked)
        slider.setVisible(last > 0)
        self._show(self._pictures[index] if index >= 0 else None)

    def clear(self) -> None:
        """No picture."""
        self.setPictures([])

    def _onSlider(self, index: int) -> None:
        if 0 <= index < len(self._pictures):
            self._show(self._pictures[index])

    def _show(self, picture: tuple[int, str] | None) -> None:
        stamp = stampOf(picture[1]) if picture is not None else None
        if picture is not None and (picture, stamp) == (self._shown, self._stamp):
            return
        self._shown, self._stamp = picture, stamp
        if picture is None:
            self._set(None, _("No pictures yet: they come with each validation."))
            return
        step, path = picture
        pixmap = read(path) if stamp is not None else None
        text = _("Step {step}").format(step=step)
        if pixmap is None:
            text = _("Step {step}: the picture {name} is no longer there.").format(
                step=step, name=Path(path).name
            )
        elif pixmap.isNull():
            pixmap = None
            text = _("Step {step}: {name} cannot be read as a picture.").format(
                step=step, name=Path(path).name
            )
        self._set(pixmap, text)
        self.pictureLabel.setToolTip(path)

    def _set(self, pixmap: Any, text: str) -> None:
        self.pictureLabel.setPicture(pixmap)
        self.pictureLabel.setVisible(pixmap is not None)
        self.stepLabel.setText(text)


def read(path: str) -> Any:
    """The picture; a null one where the file holds none."""
    image = qt.QImage()  # a QPixmap would take a file written anew for the one it remembers
    image.load(path)
    return qt.QPixmap.fromImage(image)


def stampOf(path: str) -> tuple | None:
    """What changes when the file does; None if there is none."""
    try:
        facts = Path(path).stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size
