"""What is written comes back: formats, types, pictures, thin and sheared volumes."""

import numpy as np
import pytest
import SimpleITK as sitk

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import (
    Volume,
    read_volume,
    write_volume,
)
from volume_cases import oblique

FORMATS = [".nii", ".nii.gz", ".nrrd", ".mha"]
TYPES = ["uint8", "int8", "int16", "uint16", "int32", "int64", "float32", "float64"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", TYPES)
def test_volume_comes_back_with_values_type_and_place(tmp_path, suffix, dtype):
    volume = oblique(dtype)
    write_volume(volume, tmp_path / f"a{suffix}")
    back = read_volume(tmp_path / f"a{suffix}")
    assert back.voxels.dtype == dtype
    assert np.array_equal(back.voxels, volume.voxels)
    assert back.same_grid(volume)
    assert back.name.endswith(f"a{suffix}")


@pytest.mark.parametrize(
    ("dtype", "stored"), [("bool", "uint8"), ("float16", "float32"), (">i2", "int16"), (">f8", "float64")]
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_unusual_types_are_stored_as_the_next_usual_one(tmp_path, suffix, dtype, stored):
    volume = oblique("int16").with_voxels((oblique().voxels > 50).astype(dtype))
    write_volume(volume, tmp_path / f"a{suffix}", compress=False)
    back = read_volume(tmp_path / f"a{suffix}")
    assert back.voxels.dtype == stored
    assert np.array_equal(back.voxels, volume.voxels)


@pytest.mark.parametrize("shape", [(1, 5, 6), (4, 1, 6), (4, 5, 1), (1, 1, 1)])
@pytest.mark.parametrize("suffix", FORMATS)
def test_thin_volumes_keep_their_geometry(tmp_path, suffix, shape):
    volume = oblique("int16", shape)
    write_volume(volume, tmp_path / f"a{suffix}")
    assert read_volume(tmp_path / f"a{suffix}").same_grid(volume)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "exact"),
    [
        ("a.png", (1, 6, 7), "uint8", True),
        ("a.png", (1, 6, 7), "uint16", True),
        ("a.png", (1, 6, 7, 3), "uint8", True),
        ("a.tif", (1, 6, 7), "float32", True),
        ("a.tif", (1, 6, 7, 3), "uint8", True),
        ("a.jpg", (1, 6, 7), "uint8", False),
        ("a.jpg", (1, 6, 7, 3), "uint8", False),
    ],
)
def test_pictures_are_volumes_of_one_slice(tmp_path, name, shape, dtype, exact):
    voxels = (np.arange(np.prod(shape)).reshape(shape) % 200).astype(dtype)
    write_volume(Volume(voxels, (2, 2, 2), (1, 1, 1), np.eye(3)), tmp_path / name)
    back = read_volume(tmp_path / name)
    assert back.shape == shape
    assert (back.spacing, back.origin) == ((1, 1, 1), (0, 0, 0))
    assert not exact or np.array_equal(back.voxels, voxels)


def test_two_dimensional_nrrd_is_one_slice(tmp_path):
    image = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    image.SetSpacing((0.5, 2))
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    back = read_volume(tmp_path / "a.nrrd")
    assert (back.shape, back.spacing) == ((1, 3, 4), (0.5, 2, 1))


def test_fourth_dimension_of_one_frame_is_dropped(tmp_path):
    image = sitk.GetImageFromArray(np.ones((1, 3, 4, 5), np.int16), isVector=False)
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    assert read_volume(tmp_path / "a.nii.gz").shape == (3, 4, 5)


def test_label_read_as_whole_numbers(tmp_path):
    volume = oblique("float32")
    volume.voxels[0, 0, 0] += 4e-4
    write_volume(volume, tmp_path / "a.nii.gz")
    back = read_volume(tmp_path / "a.nii.gz", label=True)
    assert back.voxels.dtype == np.uint8
    assert np.array_equal(back.voxels, np.rint(volume.voxels))


def test_sheared_volume_survives_nrrd_and_is_refused_elsewhere(tmp_path):
    direction = np.eye(3)
    direction[:, 2] = np.array([0, 0.3, 1]) / np.hypot(0.3, 1)
    volume = Volume(np.zeros((3, 4, 5), np.int16), (1, 2, 3), (4, 5, 6), direction)
    write_volume(volume, tmp_path / "a.nrrd")
    assert read_volume(tmp_path / "a.nrrd").same_grid(volume)
    for name in ("a.nii", "a.mha"):
        with pytest.raises(SegToolkitError, match=name) as caught:
            write_volume(volume, tmp_path / name)
        assert caught.value.code == "sheared-direction"


@pytest.mark.parametrize(
    "name",
    [
        "a.nii.gz.nii.gz",
        "a.nii.nii.gz",
        "a.hdr.nii.gz",
        "a.nii.gz.nii",
        "a.NII.GZ",
        "a.MHA",
        "a b.nii.gz.nrrd",
    ],
)
def test_any_name_with_a_usual_suffix_can_be_written(tmp_path, name):
    volume = oblique("int16")
    write_volume(volume, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read_volume(tmp_path / name).same_grid(volume)


@pytest.mark.parametrize("suffix", FORMATS)
def test_voxels_that_are_no_numbers_are_told_and_not_written(tmp_path, suffix):
    volume = oblique("float32")
    write_volume(volume, tmp_path / f"a{suffix}")
    before = (tmp_path / f"a{suffix}").read_bytes()
    volume.voxels[0, 0, 0] = np.nan
    with pytest.raises(SegToolkitError, match=r"a\.\w+.* 1 NaN and 0 infinite") as caught:
        write_volume(volume, tmp_path / f"a{suffix}")
    assert caught.value.code == "not-finite"
    assert "disk" not in str(caught.value)
    assert (tmp_path / f"a{suffix}").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
