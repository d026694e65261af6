"""The raw CHAOS and Synapse layouts, on tiny DICOM series written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from SegToolkitLib.dataset.chaos import ChaosCase, chaos_cases, read_chaos
from SegToolkitLib.dataset.sabs import sabs_cases
from SegToolkitLib.errors import SegToolkitError

SPACING = (1.5, 1.25, 8.0)
ORIGIN = (-30.0, -40.0, 100.0)
OBLIQUE = [1, 0, 0, 0, float(np.cos(0.2)), -float(np.sin(0.2)), 0, float(np.sin(0.2)), float(np.cos(0.2))]


def scan(slices: int = 4) -> np.ndarray:
    """Each voxel's value tells its place [k, row, column] in the DICOM slices."""
    k, row, column = np.indices((slices, 12, 10))
    return (k * 1000 + row * 20 + column).astype(np.int16)


def write_scan(
    root: Path,
    grey: np.ndarray | None,
    image: np.ndarray | None = None,
    descending: bool = False,
    skip: int | None = None,
    direction: list[float] | None = None,
) -> ChaosCase:
    """Write ``MR/7/T2SPIR``; file numbers rise towards the head, or towards the feet (``descending``)."""
    folder = root / "MR" / "7" / "T2SPIR"
    (folder / "DICOM_anon").mkdir(parents=True)
    (folder / "Ground").mkdir()
    voxels = scan() if image is None else image
    whole = sitk.GetImageFromArray(voxels)
    whole.SetSpacing(SPACING)
    whole.SetOrigin(ORIGIN)
    whole.SetDirection(direction or [1, 0, 0, 0, 1, 0, 0, 0, 1])
    axes = np.array(whole.GetDirection()).reshape(3, 3)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(voxels.shape[0]):
        number = voxels.shape[0] - k if descending else k + 1
        one = whole[:, :, k]
        place = whole.TransformIndexToPhysicalPoint((0, 0, k))
        for tag, value in {
            "0008|0060": "MR",
            "0020|000e": "1.2.3.4.7",
            "0020|000d": "1.2.3.4",
            "0008|0018": f"1.2.3.4.7.{k + 1}",
            "0020|0013": str(number),
            "0020|0032": "\\".join(f"{x:.6f}" for x in place),
            "0020|0037": "\\".join(f"{x:.8f}" for x in (*axes[:, 0], *axes[:, 1])),
            "0018|0050": str(SPACING[2]),
        }.items():
            one.SetMetaData(tag, value)
        if k != skip:
            writer.SetFileName(str(folder / "DICOM_anon" / f"IMG-0004-{number:05d}.dcm"))
            writer.Execute(one)
        if grey is not None:
            Image.fromarray(grey[k]).save(folder / "Ground" / f"IMG-0004-{number:05d}.png")
    return chaos_cases(root)[0]


def organs(slices: int = 4, values: tuple[int, ...] = (63, 126, 189, 252)) -> np.ndarray:
    grey = np.zeros((slices, 12, 10), np.uint8)
    for k, value in enumerate(values):
        grey[k % slices, 2 + k : 5 + k, 1 : 3 + k] = value
    return grey


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("direction", [None, OBLIQUE])
def test_label_overlays_image_whatever_the_order_of_the_files(
    tmp_path: Path, descending: bool, direction: list[float] | None
) -> None:
    grey = organs()
    # Voxels of an organ carry its grey value in the image too, so that any shift or flip shows.
    image, label = read_chaos(
        write_scan(tmp_path, grey, grey.astype(np.int16) * 10, descending, direction=direction)
    )
    assert label is not None
    assert label.same_grid(image)
    assert np.array_equal(label.voxels.astype(np.int16) * 630, image.voxels)
    assert set(np.unique(label.voxels)) == {0, 1, 2, 3, 4}


def test_rows_run_from_posterior_to_anterior_and_nothing_moves(tmp_path: Path) -> None:
    image, _ = read_chaos(write_scan(tmp_path, None))
    assert image.orientation == "LAS"
    assert np.array_equal(image.voxels, scan()[:, ::-1])
    # The voxel that the DICOM file has in slice 2, row 3, column 4 keeps its place in the patient.
    k, j, i = np.argwhere(image.voxels == scan()[2, 3, 4])[0]
    place = np.array(ORIGIN) + np.array([4, 3, 2]) * SPACING
    assert image.world([[i, j, k]])[0] == pytest.approx(place, abs=1e-3)


def test_missing_ground_truth_is_no_error(tmp_path: Path) -> None:
    case = write_scan(tmp_path, None)
    assert case.ground is None
    assert read_chaos(case)[1] is None


def test_fixed_values_keep_the_numbers_where_ranks_shift_them(tmp_path: Path) -> None:
    case = write_scan(tmp_path, organs(values=(63, 189, 252)))  # no right kidney
    fixed, ranked = read_chaos(case)[1], read_chaos(case, ranks=True)[1]
    assert fixed is not None
    assert ranked is not None
    assert np.unique(fixed.voxels).tolist() == [0, 1, 3, 4]
    assert np.unique(ranked.voxels).tolist() == [0, 1, 2, 3]


def test_a_grey_value_without_meaning_is_refused(tmp_path: Path) -> None:
    case = write_scan(tmp_path, organs(values=(63, 100)))
    with pytest.raises(SegToolkitError, match=r"\[100\]"):
        read_chaos(case)


def test_a_missing_slice_is_noticed(tmp_path: Path) -> None:
    case = write_scan(tmp_path, None, scan(6), skip=2)
    with pytest.raises(SegToolkitError, match="slice"):
        read_chaos(case)


def test_a_missing_picture_is_noticed(tmp_path: Path) -> None:
    case = write_scan(tmp_path, organs())
    assert case.ground is not None
    next(iter(sorted(case.ground.glob("*.png")))).unlink()
    with pytest.raises(SegToolkitError, match=r"3 numbered pictures, the scan has 4"):
        read_chaos(case)


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    case = write_scan(tmp_path, organs())
    assert case.ground is not None
    Image.new("L", (5, 12)).save(case.ground / "IMG-0004-00002.png")
    with pytest.raises(SegToolkitError, match="5 x 12 pixels"):
        read_chaos(case)


def test_a_folder_without_scans_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SegToolkitError, match="no CHAOS MR scans"):
        chaos_cases(tmp_path)
    with pytest.raises(SegToolkitError, match="no Synapse scans"):
        sabs_cases(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels"), [("averaged-training-images", "averaged-training-labels"), ("img", "label")]
)
def test_synapse_scans_are_numbered_by_file_order(tmp_path: Path, images: str, labels: str) -> None:
    for folder, prefix, numbers in ((images, "img", (21, 1, 40)), (labels, "label", (1, 40))):
        (tmp_path / folder).mkdir()
        for number in numbers:
            (tmp_path / folder / f"{prefix}{number:04d}.nii.gz").touch()
    cases = sabs_cases(tmp_path)
    assert [(case.id, case.image.name) for case in cases] == [
        ("0", "img0001.nii.gz"),
        ("1", "img0021.nii.gz"),
        ("2", "img0040.nii.gz"),
    ]
    assert [case.label and case.label.name for case in cases] == [
        "label0001.nii.gz",
        None,
        "label0040.nii.gz",
    ]
