"""Overlay pictures: right way round for every orientation, right proportions, right colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.evaluation.overlay import MARK_COLOUR, overlay_picture
from SegToolkitLib.palette import label_colour
from SegToolkitLib.volume import Volume

# Columns: the world directions (LPS) of the axes i, j, k.
ORIENTATIONS = {
    "LPS": np.diag([1.0, 1.0, 1.0]),
    "RAS": np.diag([-1.0, -1.0, 1.0]),
    "LAS": np.diag([1.0, -1.0, 1.0]),
    "LPI": np.diag([1.0, 1.0, -1.0]),
    "PSR": np.array([[0.0, 0, -1], [1, 0, 0], [0, 1, 0]]),
    "SAL": np.array([[0.0, 0, 1], [0, -1, 0], [1, 0, 0]]),
}


def oriented(lps: np.ndarray, name: str, spacing_lps: tuple[float, float, float] = (1, 1, 1)) -> Volume:
    """The content of ``lps`` ([z, y, x] towards S, P, L) stored in another orientation."""
    direction = ORIENTATIONS[name]
    worlds = [int(np.argmax(np.abs(direction[:, axis]))) for axis in range(3)]  # of i, j, k
    signs = [direction[w, axis] for axis, w in enumerate(worlds)]
    voxels = np.transpose(lps, [2 - worlds[axis] for axis in (2, 1, 0)])
    voxels = voxels[tuple(slice(None, None, int(signs[axis])) for axis in (2, 1, 0))]
    spacing = tuple(float(spacing_lps[w]) for w in worlds)
    return Volume(
        voxels=np.ascontiguousarray(voxels), spacing=spacing, origin=(3.0, -4.0, 5.0), direction=direction
    )


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def pixels_like(rgb: np.ndarray, colour: tuple[int, int, int], tolerance: int = 6) -> np.ndarray:
    """Rows and columns [n, 2] of pixels of about this colour."""
    return np.argwhere(np.abs(rgb - np.asarray(colour)).max(axis=2) <= tolerance)


def filled(colour: tuple[int, int, int], grey: int) -> tuple[int, int, int]:
    r, g, b = (round(0.58 * grey + 0.42 * c) for c in colour)
    return r, g, b


def blank(shape: tuple[int, int, int]) -> np.ndarray:
    return np.zeros(shape, dtype=np.uint8)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_right_anterior_marker_appears_at_the_top_left(name: str, tmp_path: Path) -> None:
    image, labels = blank((6, 40, 40)).astype(np.int16), blank((6, 40, 40))
    image[3, 4:10, 4:12] = 1000  # small x and y: patient's right, front
    labels[3, 28:34, 24:30] = 2  # left and back
    image[0, 30:38, 4:12] = 500  # another slice, which must not be shown
    path = tmp_path / "o.png"
    overlay_picture(oriented(image, name), oriented(labels, name), path)
    tile = picture(path)[6 : 6 + 256, 6 : 6 + 256]
    tile[:24, :80] = 0  # the slice number
    scale = 256 / 40
    marker = pixels_like(tile, (255, 255, 255)).mean(axis=0)
    assert marker == pytest.approx([7 * scale, 8 * scale], abs=3)
    label = pixels_like(tile, filled(label_colour(2), 0)).mean(axis=0)
    assert label == pytest.approx([31 * scale, 27 * scale], abs=3)


@pytest.mark.parametrize(("name", "own_number"), [("LPS", 1), ("LPI", 4), ("PSR", 1)])
def test_slices_are_counted_along_the_volumes_own_axis(name: str, own_number: int, tmp_path: Path) -> None:
    labels = blank((6, 40, 40))
    labels[1] = 1
    labels[4] = 3
    image = labels.astype(np.int16)
    path = tmp_path / "o.png"
    overlay_picture(oriented(image * 0, name), oriented(labels, name), path, slices=[own_number])
    tile = picture(path)[6 : 6 + 256, 6 : 6 + 256]
    assert len(pixels_like(tile, filled(label_colour(1), 0))) > 0.9 * tile.shape[0] * tile.shape[1]


def test_pixels_are_as_large_as_their_spacing(tmp_path: Path) -> None:
    labels = blank((1, 20, 40))
    labels[0, 5:15, 10:30] = 1
    volume = oriented(labels, "LPS", (1.0, 3.0, 5.0))  # 40 mm wide, 60 mm high; the label 20 by 30 mm
    path = tmp_path / "o.png"
    overlay_picture(volume.with_voxels(labels * 0), volume, path)
    found = pixels_like(picture(path)[6 : 6 + 256, 6:177], filled(label_colour(1), 0))
    height, width = np.ptp(found, axis=0) + 1
    assert height / width == pytest.approx(30 / 20, rel=0.05)


def test_prediction_is_a_translucent_fill_and_truth_a_line_in_the_same_colour(tmp_path: Path) -> None:
    image = np.zeros((1, 64, 64), dtype=np.int16)
    image[0, :, 32:] = 100
    labels, truth = blank((1, 64, 64)), blank((1, 64, 64))
    labels[0, 40:56, 8:56] = 1
    truth[0, 8:24, 8:56] = 4
    path = tmp_path / "o.png"
    grid = oriented(image, "LPS")
    overlay_picture(grid, grid.with_voxels(labels), path, truth=grid.with_voxels(truth))
    tile = picture(path)[6 : 6 + 256, 6 : 6 + 256]
    assert tuple(tile[48 * 4, 16 * 4]) == pytest.approx(filled(label_colour(1), 0), abs=2)
    assert tuple(tile[48 * 4, 48 * 4]) == pytest.approx(filled(label_colour(1), 255), abs=2)
    line = pixels_like(tile, label_colour(4))
    assert line.min(axis=0) == pytest.approx([8 * 4, 8 * 4], abs=2)
    assert line.max(axis=0) == pytest.approx([24 * 4, 56 * 4], abs=2)
    assert tuple(tile[16 * 4, 16 * 4]) == (0, 0, 0)  # inside the line nothing is filled
    assert len(pixels_like(tile, label_colour(1))) == 0  # no line around a prediction


def test_default_slices_are_those_that_hold_labels_or_truth(tmp_path: Path) -> None:
    image, labels, truth = np.zeros((10, 32, 32), dtype=np.int16), blank((10, 32, 32)), blank((10, 32, 32))
    labels[4, 8:24, 8:24] = 1
    truth[7, 8:24, 8:24] = 1
    grid = oriented(image, "LAS")
    path = tmp_path / "o.png"
    overlay_picture(
        grid, oriented(labels, "LAS"), path, truth=oriented(truth, "LAS"), columns=2, mark_slices=[7]
    )
    rgb = picture(path)
    assert rgb.shape[1] == 2 * 256 + 3 * 6  # two slices beside each other
    first, second = rgb[6:262, 6:262], rgb[6:262, 268:524]
    assert len(pixels_like(first, filled(label_colour(1), 0))) == pytest.approx(128 * 128, rel=0.05)
    assert len(pixels_like(second, filled(label_colour(1), 0))) == 0
    assert len(pixels_like(second, label_colour(1))) > 4 * 120
    assert len(pixels_like(first, MARK_COLOUR)) == 0
    assert tuple(second[128, 1]) == MARK_COLOUR


@pytest.mark.parametrize("name", ["LPS", "PSR"])
def test_single_slice_volumes_are_shown_in_their_own_plane(name: str, tmp_path: Path) -> None:
    shape = {"LPS": (1, 30, 50), "PSR": (30, 50, 1)}[name]  # axial; sagittal
    labels = blank(shape)
    if name == "LPS":
        labels[0, 2:6, 2:10] = 1
    else:
        labels[24:28, 2:10, 0] = 1  # near the head and the front: top left of a sagittal view
    path = tmp_path / "o.png"
    overlay_picture(oriented(labels.astype(np.int16) * 0, name), oriented(labels, name), path)
    tile = picture(path)[6 : 6 + 154, 6 : 6 + 256]
    found = pixels_like(tile, filled(label_colour(1), 0))
    assert found.mean(axis=0) == pytest.approx([4 * 256 / 50, 6 * 256 / 50], abs=3)


def test_empty_labels_constant_image_and_non_finite_voxels_still_give_a_picture(tmp_path: Path) -> None:
    for n, fill in enumerate((0.0, np.nan)):
        grid = oriented(np.full((4, 16, 16), fill, dtype=np.float32), "RAS")
        path = tmp_path / f"{n}.png"
        overlay_picture(grid, grid.with_voxels(blank((4, 16, 16))), path, title="t", caption="c " * 300)
        assert picture(path).max() > 0


@pytest.mark.parametrize(("channels", "expected"), [(3, (200, 40, 90)), (4, (200, 40, 90)), (2, (0, 0, 0))])
def test_pictures_keep_their_colours(channels: int, expected: tuple[int, int, int], tmp_path: Path) -> None:
    image = np.zeros((1, 32, 32, channels), dtype=np.uint8)
    image[..., :] = (200, 40, 90, 255)[:channels]
    image[:, 16:] = 255
    volume = Volume(image, (1, 1, 1), (0, 0, 0), np.eye(3))
    path = tmp_path / "x.png"
    overlay_picture(volume, volume.with_voxels(np.zeros((1, 32, 32), dtype=np.uint8)), path)
    tile = picture(path)[6 : 6 + 256, 6 : 6 + 256]
    assert tuple(tile[64, 128]) == expected
    assert tuple(tile[192, 128]) == (255, 255, 255)


def test_names_the_structures_and_grows_with_title_and_caption(tmp_path: Path) -> None:
    labels = blank((2, 32, 32))
    labels[:, 4:20, 4:20] = 1
    grid = oriented(labels, "LPS")
    plain, named, full = (tmp_path / f"{n}.png" for n in ("plain", "named", "full"))
    overlay_picture(grid, grid, plain)
    overlay_picture(grid, grid, named, names={1: "liver"})
    overlay_picture(grid, grid, full, names={1: "liver"}, title="One", caption="line one\nline two")
    legend = slice(6 + 256 + 6, None)
    assert len(pixels_like(picture(plain)[legend], label_colour(1))) >= 12 * 12
    assert (picture(plain) != picture(named))[legend].any()
    assert picture(full).shape[0] > picture(named).shape[0] + 2 * 16


def test_refuses_another_grid_and_leaves_the_earlier_picture(tmp_path: Path) -> None:
    grid = oriented(blank((4, 16, 16)), "LPS")
    path = tmp_path / "o.png"
    path.write_bytes(b"earlier")
    other = oriented(blank((4, 16, 16)), "LPS", (1, 1, 2))
    for arguments in ({"labels": other}, {"labels": grid, "truth": other}):
        with pytest.raises(SegToolkitError) as caught:
            overlay_picture(grid, path=path, **arguments)
        assert caught.value.code == "overlay-grid"
    with pytest.raises(SegToolkitError) as caught:
        overlay_picture(grid, grid, path, slices=[4])
    assert caught.value.code == "overlay-slice"
    assert "0 to 3" in caught.value.message
    assert path.read_bytes() == b"earlier"


def test_colours_of_the_first_seven_labels_differ() -> None:
    assert len({label_colour(n) for n in range(1, 8)}) == 7
    assert MARK_COLOUR not in {label_colour(n) for n in range(1, 8)}
