"""Where voxels lie, and that they stay there when axes, crops, pads and samples move."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SegToolkitLib.volume import (
    CropBox,
    CropPad,
    PadToMultiple,
    Reorient,
    Resample,
    Volume,
    onto_grid,
    prepare,
)
from volume_cases import (
    DIRECTIONS,
    codes,
    dice,
    directions,
    ellipsoid,
    label_volumes,
    origins,
    rotation,
    spacings,
)

FEW = settings(max_examples=60, deadline=None)
MANY = settings(max_examples=150, deadline=None)


def test_there_are_48_axis_directions_with_48_codes():
    found = {Volume(np.zeros((2, 3, 4)), (1, 1, 1), (0, 0, 0), d).orientation for d in DIRECTIONS}
    assert len(DIRECTIONS) == len(found) == 48


@pytest.mark.parametrize(
    ("direction", "code"),
    [
        (np.eye(3), "LPS"),
        (np.diag([-1.0, -1, 1]), "RAS"),
        (np.diag([1.0, -1, 1]), "LAS"),
        (np.eye(3)[:, [1, 2, 0]], "PSL"),
        (rotation((5, -8, 40)), "LPS"),
        # Each column alone would choose the same letter twice here.
        (rotation((0, 0, 45)) @ rotation((0, 45, 0)), "LPS"),
    ],
)
def test_orientation_names_where_indices_grow_towards(direction, code):
    assert Volume(np.zeros((2, 2, 2)), (1, 1, 1), (0, 0, 0), direction).orientation == code


@MANY
@given(label_volumes())
def test_world_coordinates_agree_with_simpleitk(volume):
    image = volume.to_sitk()
    indices = [(0, 0, 0), tuple(n - 1 for n in volume.grid.size), (volume.grid.size[0] // 2, 0, 0)]
    expected = [image.TransformIndexToPhysicalPoint(ijk) for ijk in indices]
    assert np.allclose(volume.world(indices), expected, atol=1e-9)
    assert np.allclose(volume.index(expected), indices, atol=1e-6)
    back = Volume.from_sitk(image)
    assert back.same_grid(volume)
    assert (back.voxels == volume.voxels).all()


@MANY
@given(label_volumes(), codes, st.data())
def test_label_comes_back_identical_where_only_axes_and_borders_move(volume, code, data):
    turned = Reorient(code).apply(volume)[0]
    pads = tuple(n + data.draw(st.integers(0, 5)) for n in turned.grid.size)
    prepared = prepare(volume, [Reorient(code), CropPad(pads), PadToMultiple((4, 1, 3))])
    sent = prepared.label(volume)
    assert sent.orientation == prepared.volume.orientation
    assert sent.same_grid(prepared.volume)
    back = prepared.restore(sent)
    assert back.same_grid(volume, 0)
    assert back.voxels.dtype == volume.voxels.dtype
    assert np.array_equal(back.voxels, volume.voxels)


@FEW
@given(label_volumes(), codes, st.data())
def test_cropped_label_comes_back_in_its_place_with_zeros_around(volume, code, data):
    turned = Reorient(code).apply(volume)[0]
    start = tuple(data.draw(st.integers(0, n - 1)) for n in turned.grid.size)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, turned.grid.size, strict=True))
    prepared = prepare(volume, [Reorient(code), CropBox(start, stop)])
    back = prepared.restore(prepared.label(volume))
    kept = np.argwhere(np.ones(volume.shape, bool))[:, ::-1]
    inside = turned.index(volume.world(kept)).round()
    inside = ((inside >= start) & (inside < stop)).all(axis=1).reshape(volume.shape)
    assert back.same_grid(volume, 0)
    assert np.array_equal(back.voxels, np.where(inside, volume.voxels, 0))


@MANY
@given(label_volumes(), codes)
def test_reorienting_gives_the_code_and_moves_no_voxel_in_the_patient(volume, code):
    turned = Reorient(code).apply(volume)[0]
    assert turned.orientation == code
    k, j, i = (n - 1 for n in volume.shape)
    for ijk in [(0, 0, 0), (i, j, k), (i, 0, 0), (0, j, 0), (0, 0, k)]:
        there = turned.index(volume.world([ijk]))[0]
        near = tuple(np.rint(there).astype(int))
        assert np.allclose(there, near, atol=1e-6)
        assert turned.voxels[near[::-1]] == volume.voxels[ijk[::-1]]


blobs = st.builds(
    lambda factors, spacing, origin, direction, shift: (
        ellipsoid(tuple(20 * max(1.0, f) for f in factors), tuple(spacing), origin, direction, shift),
        tuple(s * f for s, f in zip(spacing, factors, strict=True)),
    ),
    st.tuples(*[st.sampled_from([0.5, 0.8, 1.0, 1.25, 1.6, 2.0])] * 3),
    spacings,
    origins,
    directions,
    st.tuples(*[st.floats(-0.5, 0.5)] * 3),
)


@settings(max_examples=25, deadline=None)
@given(blobs, codes)
def test_smooth_blob_overlays_itself_after_resampling_and_back(blob, code):
    volume, spacing = blob
    prepared = prepare(volume, [Resample(spacing), Reorient(code), PadToMultiple((8, 8, 1))])
    back = prepared.restore(prepared.label(volume))
    assert back.same_grid(volume, 0)
    assert dice(back.voxels, volume.voxels) >= 0.99


@MANY
@given(spacings, origins, directions, spacings, codes, st.data())
def test_marker_stays_within_half_a_voxel(spacing, origin, direction, new, code, data):
    """A marker that the new voxels can see has its centre where it was, by world coordinates."""
    # Half widths in voxels: at least one new voxel, so that the marker is not lost between two.
    half = [int(np.ceil(n / s)) for s, n in zip(spacing, new, strict=True)]
    thin = data.draw(st.lists(st.booleans(), min_size=3, max_size=3))
    size = [1 if t else 4 * h + 3 for t, h in zip(thin, half, strict=True)]
    centre = [
        0 if t else data.draw(st.integers(h, n - 1 - h)) for t, h, n in zip(thin, half, size, strict=True)
    ]
    marked = np.zeros(size[::-1], np.uint8)
    box = [slice(max(c - h, 0), c + h + 1) for c, h in zip(centre, half, strict=True)]
    marked[tuple(box[::-1])] = 1
    label = Volume(marked, spacing, origin, direction)
    prepared = prepare(label, [Resample(new), Reorient(code)])
    sent = prepared.label(label)
    here, there, back = (
        v.world(np.argwhere(v.voxels)[:, ::-1]).mean(axis=0) for v in (label, sent, prepared.restore(sent))
    )
    coarse = np.maximum(new, spacing)
    assert (np.abs(direction.T @ (there - here)) <= 0.5 * coarse + 1e-6).all()
    # On the way back, which of the volume's voxels a coarse one covers is rounded to whole ones.
    assert (np.abs(direction.T @ (back - here)) <= 0.5 * (coarse + spacing) + 1e-6).all()


@FEW
@given(label_volumes(), spacings)
def test_resampled_grid_covers_the_volume_with_the_asked_spacing(volume, spacing):
    result = Resample(spacing).apply(volume)[0]
    assert result.spacing == pytest.approx(spacing)
    assert min(result.shape) >= 1
    middles = [v.world([[(n - 1) / 2 for n in v.grid.size]])[0] for v in (volume, result)]
    assert np.allclose(*middles, atol=1e-6)
    for n, s, new, new_s in zip(
        volume.grid.size, volume.spacing, result.grid.size, result.spacing, strict=True
    ):
        assert n * s - 0.01 * new_s <= new * new_s < n * s + new_s * 1.01


@pytest.mark.parametrize("spacing", [(2.0, 2.0, None), (2.0, 2.0, 5.0), (0.5, None, 10.0), (None, None, 1.0)])
def test_one_slice_can_be_resampled_and_comes_back(spacing):
    picture = ellipsoid((40, 40, 0.7), (1.0, 1.0, 5.0), (3, 4, 5), rotation((9, 8, 7)))
    slice_ = Volume(picture.voxels[2:3], picture.spacing, picture.origin, picture.direction)
    assert slice_.voxels.any()
    prepared = prepare(slice_, [Resample(spacing)])
    back = prepared.restore(prepared.label(slice_))
    assert back.same_grid(slice_, 0)
    assert dice(back.voxels, slice_.voxels) >= 0.99


def test_linear_image_values_are_where_they_belong_after_resampling():
    volume = Volume(np.zeros((20, 16, 12)), (1.5, 1.0, 2.0), (7, -3, 20), rotation((20, 10, -5)))
    every = np.argwhere(np.ones(volume.shape, bool))[:, ::-1]
    ramp = (volume.world(every) @ [0.3, -0.2, 0.5]).reshape(volume.shape)
    prepared = prepare(volume.with_voxels(ramp), [Reorient("RAS"), Resample((1.1, 1.3, 1.7))])
    inner = np.argwhere(np.ones(prepared.volume.shape, bool))[:, ::-1]
    inner = inner[((inner >= 2) & (inner < np.array(prepared.volume.grid.size) - 2)).all(axis=1)]
    values = prepared.volume.voxels[tuple(inner[:, ::-1].T)]
    assert np.allclose(values, prepared.volume.world(inner) @ [0.3, -0.2, 0.5], atol=1e-5)
    back = prepared.restore(prepared.volume, label=False).voxels
    assert np.allclose(back[3:-3, 3:-3, 3:-3], ramp[3:-3, 3:-3, 3:-3], atol=1e-5)


def test_touching_labels_leave_no_gap_and_keep_their_values():
    whole = ellipsoid((20, 20, 20), (1.0, 1.0, 1.0), (0, 0, 0), np.eye(3))
    voxels = whole.voxels.astype(np.int16)
    voxels[:, :, : voxels.shape[2] // 2] *= 300
    voxels[: voxels.shape[0] // 2] *= 2
    label = whole.with_voxels(voxels)
    prepared = prepare(label, [Resample((1.7, 1.7, 1.7))])
    back = prepared.restore(prepared.label(label)).voxels
    assert back.dtype == np.int16
    assert set(np.unique(back)) == set(np.unique(voxels)) == {0, 1, 2, 300, 600}
    inner = ellipsoid((18, 18, 18), (1.0, 1.0, 1.0), (0, 0, 0), np.eye(3)).voxels
    pad = (voxels.shape[0] - inner.shape[0]) // 2
    core = np.pad(inner, [(pad, voxels.shape[0] - inner.shape[0] - pad)] * 3).astype(bool)
    assert (back[core] != 0).all()
    for value in (1, 2, 300, 600):
        assert dice(back == value, voxels == value) > 0.97


def test_structure_one_voxel_thick_survives_the_way_back():
    voxels = np.zeros((12, 24, 24), np.uint8)
    voxels[:, 12, 3:20] = 1
    volume = Volume(np.zeros((24, 48, 48)), (0.5, 0.5, 0.5), (0, 0, 0), np.eye(3))
    prepared = prepare(volume, [Resample((1, 1, 1))])
    back = prepared.restore(prepared.volume.with_voxels(voxels)).voxels
    assert (back[:, 24:26, 6:40] == 1).all()
    assert back.sum() == 24 * 2 * 34


def test_each_voxel_centre_of_the_prepared_grid_keeps_its_label():
    label = np.random.default_rng(3).integers(0, 3, (6, 7, 8)).astype(np.uint8)
    volume = Volume(np.zeros((18, 21, 24)), (1, 1, 1), (0, 0, 0), np.eye(3))
    prepared = prepare(volume, [Resample((3, 3, 3))])
    back = prepared.restore(prepared.volume.with_voxels(label)).voxels
    assert np.array_equal(back[1::3, 1::3, 1::3], label)


def test_label_can_be_put_on_the_grid_of_an_image_by_place():
    whole = ellipsoid((9, 8, 7), (1.0, 1.2, 2.0), (5, 6, 7), rotation((0, 0, 20)))
    cropped = CropBox((3, 4, 2), (20, 21, 18)).apply(whole, label=True)[0]
    placed = onto_grid(Reorient("SAL").apply(cropped)[0], whole, label=True)
    assert placed.same_grid(whole, 0)
    expected = np.zeros_like(whole.voxels)
    expected[2:18, 4:21, 3:20] = whole.voxels[2:18, 4:21, 3:20]
    assert np.array_equal(placed.voxels, expected)
