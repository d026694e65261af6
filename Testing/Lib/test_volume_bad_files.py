"""Files that cannot be used are refused in one sentence, and nothing already written is damaged."""

import gzip
import os
import struct
from pathlib import Path

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


def _nifti(path: Path, **changes) -> Path:
    """A NIfTI file with header fields (name: struct format, offset) overwritten."""
    places = {"sform": ("<12f", 280), "codes": ("<2h", 252), "pixdim": ("<3f", 80)}
    write_volume(Volume(np.zeros((3, 4, 5), np.int16), (1, 1, 1), (0, 0, 0), np.eye(3)), path)
    data = bytearray(path.read_bytes())
    for key, values in changes.items():
        struct.pack_into(places[key][0], data, places[key][1], *values)
    path.write_bytes(data)
    return path


def _cut(name: str, part: float = 0.5):
    def make(folder: Path) -> Path:
        if name.endswith((".png", ".jpg", ".tif")):
            picture = np.random.default_rng(0).integers(0, 255, (1, 40, 50)).astype(np.uint8)
            write_volume(Volume(picture, (1, 1, 1), (0, 0, 0), np.eye(3)), folder / name)
        else:
            write_volume(oblique("int16", (9, 10, 11)), folder / name)
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * part)])
        return folder / name

    return make


def _image(name: str, array: np.ndarray, vector: bool = False):
    def make(folder: Path) -> Path:
        sitk.WriteImage(sitk.GetImageFromArray(array, isVector=vector), str(folder / name))
        return folder / name

    return make


def _text(name: str, text: str):
    def make(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return make


def _flipped_bit(folder: Path) -> Path:
    path = folder / "a.nii.gz"
    voxels = np.random.default_rng(0).integers(0, 9999, (9, 9, 9)).astype(np.int16)
    write_volume(Volume(voxels, (1, 1, 1), (0, 0, 0), np.eye(3)), path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    return path


def _folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.txt").write_text("nothing here")
    return folder / "empty"


NRRD = "NRRD0004\ntype: unsigned char\ndimension: 3\nspace: left-posterior-superior\nsizes: 1 1 1\n"
BAD_FILES = {
    "missing": (lambda f: f / "a.nii.gz", "missing-file"),
    "empty": (_text("a.nii.gz", ""), "empty-file"),
    "folder without dicom": (_folder, "no-dicom"),
    **{
        f"truncated {n} {p}": (_cut(n, p), "truncated-file")
        for n in ("a.nii", "a.nii.gz", "a.nrrd", "a.mha")
        for p in (0.5, 0.97)
    },
    "truncated header": (_cut("a.nii", 0.05), "truncated-file"),
    "truncated meta header": (_text("a.mha", "ObjectType = Image\nNDims = 3\n"), "truncated-file"),
    "missing raw file": (
        _text("a.mhd", "NDims = 3\nDimSize = 2 2 2\nElementType = MET_SHORT\nElementDataFile = b.raw\n"),
        "truncated-file",
    ),
    "flipped bit": (_flipped_bit, "truncated-file"),
    "truncated png": (_cut("a.png"), "truncated-file"),
    "truncated jpg": (_cut("a.jpg"), "truncated-file"),
    "truncated tif": (_cut("a.tif"), "not-an-image"),
    **{
        f"text in {n}": (_text(n, "hello " * 99), "not-an-image")
        for n in ("a.nii", "a.nii.gz", "a.nrrd", "a.mha")
    },
    "text in a.png": (_text("a.png", "hello"), "not-an-image"),
    "text in a.txt": (_text("a.txt", "hello"), "not-an-image"),
    "four frames": (_image("a.nii.gz", np.zeros((4, 5, 6, 7), np.int16)), "four-dimensional"),
    "four frames nrrd": (_image("a.nrrd", np.zeros((4, 5, 6, 7), np.int16)), "four-dimensional"),
    "vectors": (_image("a.nrrd", np.zeros((4, 5, 6, 3), np.float32), vector=True), "vector-voxels"),
    "complex": (_image("a.nii", np.zeros((4, 5, 6), np.complex64)), "complex-voxels"),
    "nan": (_image("a.nii", np.array([[[1, np.nan, np.nan, np.inf]]])), "not-finite"),
    "nan nrrd": (_image("a.nrrd", np.array([[[1, np.nan]]], np.float32)), "not-finite"),
    "singular sform": (
        lambda f: _nifti(f / "a.nii", sform=(1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0)),
        "singular-direction",
    ),
    "zero sform": (lambda f: _nifti(f / "a.nii", sform=(0,) * 12), "singular-direction"),
    "singular mha": (
        _text(
            "a.mha",
            "ObjectType = Image\nNDims = 3\nBinaryData = False\nTransformMatrix = 1 0 0 0 1 0 0 1 0\n"
            "DimSize = 1 1 1\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n1\n",
        ),
        "singular-direction",
    ),
    "singular nrrd": (
        _text(
            "a.nrrd",
            NRRD + "space directions: (1,0,0) (0,1,0) (0,1,0)\nkinds: domain domain domain\n"
            "encoding: ascii\nspace origin: (0,0,0)\n\n1\n",
        ),
        "singular-direction",
    ),
    "sheared sform": (
        lambda f: _nifti(f / "a.nii", sform=(-1, -0.1, 0, 0, 0, -(0.99**0.5), 0, 0, 0, 0, 1, 0)),
        "sheared-direction",
    ),
    "two spacings": (
        lambda f: _nifti(f / "a.nii", sform=(-2, 0, 0, 0, 0, -2, 0, 0, 0, 0, 2, 0)),
        "contradictory-header",
    ),
    "zero spacing": (lambda f: _nifti(f / "a.nii", pixdim=(0, 1, 1)), "bad-spacing"),
    "nan spacing": (lambda f: _nifti(f / "a.nii", pixdim=(1, float("nan"), 1)), "bad-spacing"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_named_with_what_is_wrong_and_what_to_do(tmp_path, case, capfd):
    make, code = BAD_FILES[case]
    path = make(tmp_path)
    capfd.readouterr()
    with pytest.raises(SegToolkitError) as caught:
        read_volume(path)
    assert caught.value.code == code, caught.value
    assert str(path) in caught.value.message
    assert len(caught.value.hint) > 10
    assert "itk" not in caught.value.message.lower()
    assert capfd.readouterr() == ("", "")


def test_counts_of_nan_infinity_and_frames_are_told(tmp_path):
    for case, texts in {"nan": ["2 NaN", "1 infinite"], "four frames": ["4 frames", "7 x 6 x 5"]}.items():
        with pytest.raises(SegToolkitError) as caught:
            read_volume(BAD_FILES[case][0](tmp_path))
        assert all(text in caught.value.message for text in texts)


@pytest.mark.parametrize("how", ["access", "open"])
def test_file_without_read_permission_is_named(tmp_path, monkeypatch, how):
    # The tests may run as root, who may read everything.
    path = tmp_path / "a.nii.gz"
    write_volume(oblique(), path)
    if how == "access":
        monkeypatch.setattr(os, "access", lambda *_: False)
    else:

        def denied(*_args, **_kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(SegToolkitError, match=r"a\.nii\.gz") as caught:
        read_volume(path)
    assert caught.value.code == "unreadable-permission"
    assert caught.value.hint


def test_image_given_as_label_is_refused(tmp_path):
    write_volume(oblique().with_voxels(oblique().voxels + 0.25), tmp_path / "a.nrrd")
    with pytest.raises(SegToolkitError, match=r"a\.nrrd.*not whole") as caught:
        read_volume(tmp_path / "a.nrrd", label=True)
    assert caught.value.code == "label-values"


@pytest.mark.parametrize(
    ("name", "volume", "code"),
    [
        ("a.png", oblique("uint8"), "not-a-picture"),
        ("a.png", oblique("float32", (1, 4, 5)), "not-a-picture"),
        ("a.xyz", oblique(), "unknown-suffix"),
        ("a.nii.gz", oblique(), "write-failed"),
        ("a.nrrd", oblique(), "write-failed"),
    ],
)
def test_failed_write_leaves_the_earlier_file_alone(tmp_path, monkeypatch, name, volume, code):
    (tmp_path / name).write_bytes(b"precious")
    if code == "write-failed":

        def half(image, path, **_):
            Path(path).write_bytes(b"half a file")
            raise RuntimeError("sitk::ERROR: no space left")

        monkeypatch.setattr(sitk, "WriteImage", half)
    with pytest.raises(SegToolkitError, match=name) as caught:
        write_volume(volume, tmp_path / name)
    assert caught.value.code == code
    assert caught.value.hint
    assert (tmp_path / name).read_bytes() == b"precious"
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_incomplete_output_that_the_writer_did_not_notice_is_refused(tmp_path, monkeypatch):
    def short(image, path, **_):
        Path(path).write_bytes(whole[: len(whole) // 2])

    write_volume(oblique(), tmp_path / "a.nii")
    whole = (tmp_path / "a.nii").read_bytes()
    monkeypatch.setattr(sitk, "WriteImage", short)
    with pytest.raises(SegToolkitError) as caught:
        write_volume(oblique("float32"), tmp_path / "a.nii")
    assert caught.value.code == "write-failed"
    assert (tmp_path / "a.nii").read_bytes() == whole


def test_gzip_stream_in_a_nii_is_read(tmp_path):
    write_volume(oblique(), tmp_path / "a.nii")
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    assert np.array_equal(read_volume(tmp_path / "b.nii.gz").voxels, oblique().voxels)
