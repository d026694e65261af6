"""DICOM folders: series are listed, picked and stacked by place, or refused."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import (
    list_dicom_series,
    read_dicom_series,
    read_volume,
)
from volume_cases import write_dicom


def test_mixed_dicom_folder_is_listed_and_one_series_picked(tmp_path, capfd):
    first = write_dicom(tmp_path / "scan", "1.2.3.1", count=4, number=7, name="thin")
    second = write_dicom(
        tmp_path / "scan" / "deep", "1.2.3.2", count=3, gap=5.0, number=2, modality="MR", name="thick"
    )
    (tmp_path / "scan" / "notes.txt").write_text("not DICOM" * 30)
    (tmp_path / "scan" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"rubbish")
    capfd.readouterr()
    found = list_dicom_series(tmp_path)
    assert [(s.uid, s.description, s.modality, s.number, s.files, s.shape) for s in found] == [
        ("1.2.3.2", "thick", "MR", 2, 3, (3, 6, 5)),
        ("1.2.3.1", "thin", "CT", 7, 4, (4, 6, 5)),
    ]
    assert found[0].spacing == pytest.approx((0.7, 0.9, 5.0))
    for uid, voxels, gap in [("1.2.3.1", first, 2.5), ("1.2.3.2", second, 5.0)]:
        volume = read_dicom_series(tmp_path, uid)
        assert np.array_equal(volume.voxels, voxels)
        assert volume.spacing == pytest.approx((0.7, 0.9, gap), abs=1e-5)
        assert volume.world([[0, 0, 0]])[0] == pytest.approx([10, -20, 30])
        assert volume.voxels.dtype.kind == "i"
    assert capfd.readouterr() == ("", "")
    for uid, code in [(None, "dicom-several-series"), ("9.9", "dicom-unknown-series")]:
        with pytest.raises(SegToolkitError) as caught:
            read_dicom_series(tmp_path, uid)
        assert caught.value.code == code
        assert all(text in str(caught.value) for text in ("1.2.3.1", "1.2.3.2", "thick", str(tmp_path)))


def test_dicom_stack_lies_where_simpleitk_puts_it(tmp_path):
    write_dicom(tmp_path, "1.2.3.1")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path), "1.2.3.1")
    image = sitk.ReadImage(names)
    volume = read_volume(tmp_path)
    ends = [(0, 0, 0), (4, 5, 3), (4, 0, 0), (0, 5, 0)]
    assert np.allclose(volume.world(ends), [image.TransformIndexToPhysicalPoint(e) for e in ends], atol=1e-4)
    assert np.array_equal(volume.voxels, sitk.GetArrayFromImage(image))


def test_single_dicom_file_is_one_slice(tmp_path):
    voxels = write_dicom(tmp_path, "1.2.3.1", count=1)
    one = read_volume(next(tmp_path.iterdir()))
    assert np.array_equal(one.voxels, voxels)
    assert one.same_grid(read_volume(tmp_path), 1e-3)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda f: write_dicom(f, "1.2.3.1", count=6, skip=(3,)), "dicom-gaps"),
        (lambda f: (write_dicom(f, "1.2.3.1"), write_dicom(f, "1.2.3.1", name="echo")), "dicom-repeated"),
        (lambda f: (write_dicom(f, "1.2.3.1"), _localiser(f)), "dicom-mixed"),
        (lambda f: (write_dicom(f, "1.2.3.1"), _shorten(f)), "truncated-file"),
    ],
)
def test_dicom_files_that_make_no_volume_are_refused(tmp_path, spoil, code):
    spoil(tmp_path)
    with pytest.raises(SegToolkitError, match=str(tmp_path)) as caught:
        read_dicom_series(tmp_path)
    assert caught.value.code == code
    assert caught.value.hint


def _localiser(folder: Path) -> None:
    path = folder / "thin001.dcm"
    image = sitk.ReadImage(str(path))
    image.SetMetaData("0020|0037", "1\\0\\0\\0\\1\\0")
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)


def _shorten(folder: Path) -> None:
    path = folder / "thin002.dcm"
    path.write_bytes(path.read_bytes()[:-20])


def test_tilted_gantry_keeps_true_places(tmp_path):
    write_dicom(tmp_path, "1.2.3.1")
    for path in tmp_path.iterdir():
        image = sitk.ReadImage(str(path))
        position = [float(x) for x in image.GetMetaData("0020|0032").split("\\")]
        index = int(image.GetMetaData("0020|0013")) - 1
        position[0] += 0.5 * index
        image.SetMetaData("0020|0032", "\\".join(f"{p:.6f}" for p in position))
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(path))
        writer.Execute(image)
        if index == 3:
            last = position
    volume = read_volume(tmp_path)
    assert volume.grid.sheared
    assert volume.world([[0, 0, 3]])[0] == pytest.approx(last, abs=1e-4)
