"""The pictures of validations."""

from __future__ import annotations

import gc
import weakref

import pytest

from SegToolkitGui.training.PictureView import MOST_HEIGHT, PictureView


@pytest.fixture
def view(panel, turn) -> PictureView:
    view = PictureView(panel.layout())
    panel.layout().addStretch(1)
    turn()
    yield view
    view.cleanup()


@pytest.fixture
def picture(tmp_path):
    """picture(step, width, height) -> (step, path) of a PNG of one colour."""
    from PySide6.QtGui import QColor, QImage

    def make(step, width=640, height=320, colour=(200, 30, 30)):
        image = QImage(width, height, QImage.Format.Format_RGB32)
        image.fill(QColor(*colour))
        path = tmp_path / f"schritt é {step}.png"
        assert image.save(str(path))
        return step, str(path)

    return make


def size(view):
    pixmap = view.pictureLabel.pixmap()
    return pixmap.width(), pixmap.height()


def test_without_pictures_it_says_so(view) -> None:
    assert not view.pictureLabel.isVisible()
    assert view.stepLabel.text() == "No pictures yet: they come with each validation."


def test_the_latest_is_shown_and_the_slider_goes_back(view, picture, turn) -> None:
    pictures = [picture(300), picture(100), picture(200)]
    view.setPictures(pictures)
    turn()
    assert view.shown == pictures[0]
    assert view.stepLabel.text() == "Step 300"
    assert (view.stepSlider.maximum(), view.stepSlider.value()) == (2, 2)
    view.stepSlider.setValue(0)
    assert view.shown == pictures[1]
    # The person looks at an old one: a new one does not take it away.
    view.setPictures([*pictures, picture(400)])
    assert view.shown == pictures[1]
    view.stepSlider.setValue(3)
    view.setPictures([*pictures, picture(400), picture(500)])
    assert view.stepLabel.text() == "Step 500"
    view.setPictures([picture(7)])  # another run
    assert view.stepLabel.text() == "Step 7"
    assert not view.stepSlider.isVisible()


@pytest.mark.parametrize(
    ("given", "panelWidth", "most"),
    [((640, 320), 300, 300), ((640, 320), 480, 480), ((100, 50), 480, 100), ((400, 4000), 480, 42)],
)
def test_pictures_keep_their_shape_and_are_never_wider_than_the_panel(
    view, panel, picture, turn, given, panelWidth, most
) -> None:
    panel.setFixedWidth(panelWidth)
    view.setPictures([picture(1, *given)])
    turn()
    width, height = size(view)
    assert width <= most
    assert width > most - 30
    assert height <= MOST_HEIGHT
    assert width / height == pytest.approx(given[0] / given[1], rel=0.03)
    assert panel.width() == panelWidth


def test_pictures_follow_the_panels_width_both_ways(view, panel, picture, turn) -> None:
    view.setPictures([picture(1, 640, 320)])
    seen = []
    for width in (480, 250, 700):
        panel.setFixedWidth(width)
        turn()
        seen.append(size(view))
    assert seen[1] < seen[0] < seen[2]
    assert seen[2] == (640, 320)


def test_a_file_that_is_gone_or_no_picture_is_told(view, picture, tmp_path, turn) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    view.setPictures([(10, str(tmp_path / "gone.png"))])
    turn()
    assert view.stepLabel.text() == "Step 10: the picture gone.png is no longer there."
    assert not view.pictureLabel.isVisible()
    view.setPictures([(20, str(bad))])
    assert view.stepLabel.text() == "Step 20: bad.png cannot be read as a picture."
    view.setPictures([picture(30)])
    turn()
    assert view.pictureLabel.isVisible()


def test_a_file_that_was_written_anew_is_read_anew(view, picture, turn) -> None:
    first = picture(1, colour=(250, 0, 0))
    view.setPictures([first])
    turn()
    before = view.pictureLabel.pixmap().toImage().pixelColor(5, 5).name()
    assert picture(1, width=642, colour=(0, 0, 250)) == first
    view.setPictures([first])
    assert before == "#fa0000"
    assert view.pictureLabel.pixmap().toImage().pixelColor(5, 5).name() == "#0000fa"


def test_after_cleanup_nothing_holds_the_view(panel) -> None:
    view = PictureView(panel.layout())
    view.cleanup()
    gone = weakref.ref(view)
    del view
    gc.collect()
    assert gone() is None
