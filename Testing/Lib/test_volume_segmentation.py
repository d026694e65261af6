"""Segmentations keep names, colours and terms, also where segments overlap."""

import numpy as np
import pytest
import SimpleITK as sitk

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.volume import (
    CropBox,
    Segment,
    Segmentation,
    onto_grid,
    read_segmentation,
    read_volume,
    write_segmentation,
    write_volume,
)
from volume_cases import oblique

LIVER = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
)


def _labels(maximum: int = 3):
    voxels = np.random.default_rng(1).integers(0, maximum + 1, (4, 5, 6)).astype(np.uint8)
    return oblique().with_voxels(voxels)


def _segments():
    return [
        Segment(1, "Liver", (0.86, 0.51, 0.39), LIVER, tags={"Segmentation.Status": "completed"}),
        Segment(3, "Linke Niere / Ä", (0.1, 0.2, 0.3)),
        Segment(2, "back\\slash", (1.0, 0.0, 0.0)),
    ]


@pytest.mark.parametrize("compress", [True, False])
def test_names_colours_terms_and_place_come_back(tmp_path, compress):
    given = Segmentation(_labels(), _segments())
    write_segmentation(given, tmp_path / "a.seg.nrrd", compress=compress)
    back = read_segmentation(tmp_path / "a.seg.nrrd")
    assert np.array_equal(back.labels.voxels, given.labels.voxels)
    assert back.labels.same_grid(given.labels)
    for before, after in zip(given.segments, back.segments, strict=True):
        assert (after.label, after.name, after.colour) == (before.label, before.name, before.colour)
        assert after.tags == before.tags
        assert after.terminology.count("~") == 6
    assert back.segments[0].terminology == LIVER
    assert np.array_equal(back.mask(back.named("liver")).voxels, given.labels.voxels == 1)


def test_overlapping_segments_come_back_whole(tmp_path):
    low, high = _labels(2), _labels(2)
    high = high.with_voxels(np.roll(high.voxels, 1, axis=2))
    segments = [Segment(1, "a", (1, 0, 0)), Segment(2, "b", (0, 1, 0)), Segment(3, "c", (0, 0, 1), layer=1)]
    segments.append(Segment(4, "d", (0, 1, 1), layer=1))
    over = high.with_voxels(np.where(high.voxels > 0, high.voxels + 2, 0).astype(np.uint8))
    merged = low.with_voxels(np.where(over.voxels > 0, over.voxels, low.voxels))
    given = Segmentation(merged, segments, (low, over))
    assert given.overlapping
    write_segmentation(given, tmp_path / "a.seg.nrrd")
    back = read_segmentation(tmp_path / "a.seg.nrrd")
    assert back.overlapping
    assert np.array_equal(back.labels.voxels, merged.voxels)
    for segment in segments:
        assert np.array_equal(back.mask(back.named(segment.name)).voxels, given.mask(segment).voxels)
    assert np.array_equal(read_volume(tmp_path / "a.seg.nrrd", label=True).voxels, merged.voxels)
    with pytest.raises(SegToolkitError, match=r"a\.nii\.gz") as caught:
        write_segmentation(given, tmp_path / "a.nii.gz")
    assert caught.value.code == "overlapping-segments"


@pytest.mark.parametrize("with_layer", [True, False])
def test_layers_that_share_label_values_get_labels_of_their_own(tmp_path, with_layer):
    """As Slicer writes overlaps: 1 in every layer; before 4.11 without saying which layer."""
    masks = (np.random.default_rng(5).random((4, 5, 6, 2)) > 0.5).astype(np.uint8)
    fields = "".join(
        f"Segment{n}_ID:=Segment_{n + 1}\nSegment{n}_Name:=S{n}\nSegment{n}_Color:=1 0.5 0\n"
        + (f"Segment{n}_Layer:={n}\nSegment{n}_LabelValue:=1\n" if with_layer else "")
        for n in range(2)
    )
    header = (
        "NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\nsizes: 2 6 5 4\n"
        "space directions: none (1,0,0) (0,1,0) (0,0,2)\nkinds: list domain domain domain\nencoding: raw\n"
        f"space origin: (1,2,3)\n{fields}\n"
    )
    (tmp_path / "a.seg.nrrd").write_bytes(header.encode() + masks.tobytes())
    back = read_segmentation(tmp_path / "a.seg.nrrd")
    assert [s.label for s in back.segments] == [1, 2]
    for number, segment in enumerate(back.segments):
        assert np.array_equal(back.mask(segment).voxels, masks[..., number] > 0)
    assert np.array_equal(back.labels.voxels, np.where(masks[..., 1] > 0, 2, masks[..., 0]))
    assert back.labels.spacing == (1, 1, 2)


def test_header_is_as_slicer_writes_it(tmp_path):
    labels = _labels(0).voxels.copy()
    labels[1:3, 2, 4:6] = 1
    write_segmentation(Segmentation(oblique().with_voxels(labels), _segments()), tmp_path / "a.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
    expected = {
        "Segment0_ID": "Segment_1",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment0_Extent": "4 5 2 2 1 2",
        "Segment1_Extent": "0 -1 0 -1 0 -1",
        "Segment0_Tags": f"Segmentation.Status:completed|TerminologyEntry:{LIVER}|",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_SourceRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    assert {key: image.GetMetaData(key) for key in expected} == expected


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_plain_label_volume_gets_generated_names_and_colours(tmp_path, suffix):
    write_segmentation(Segmentation(_labels(), _segments()), tmp_path / f"a{suffix}")
    back = read_segmentation(tmp_path / f"a{suffix}")
    assert [(s.label, s.name) for s in back.segments] == [(n, f"Segment {n}") for n in (1, 2, 3)]
    assert len({s.colour for s in back.segments}) == 3
    assert np.array_equal(back.labels.voxels, _labels().voxels)


def test_labels_without_segment_get_one_when_written(tmp_path):
    write_segmentation(Segmentation(_labels(), _segments()[:1]), tmp_path / "a.seg.nrrd")
    assert [s.label for s in read_segmentation(tmp_path / "a.seg.nrrd").segments] == [1, 2, 3]


def test_segmentation_that_slicer_cropped_is_put_back_on_its_image(tmp_path):
    whole = _labels()
    write_segmentation(
        Segmentation(CropBox((1, 2, 0), (5, 5, 3)).apply(whole, label=True)[0], _segments()),
        tmp_path / "a.seg.nrrd",
    )
    placed = onto_grid(read_segmentation(tmp_path / "a.seg.nrrd").labels, oblique(), label=True)
    assert np.array_equal(placed.voxels[0:3, 2:5, 1:5], whole.voxels[0:3, 2:5, 1:5])
    assert placed.voxels[3].sum() == 0


def test_unusable_segmentations_are_refused(tmp_path):
    write_volume(oblique().with_voxels(oblique().voxels + 0.5), tmp_path / "image.nrrd")
    with pytest.raises(SegToolkitError, match=r"image\.nrrd") as caught:
        read_segmentation(tmp_path / "image.nrrd")
    assert caught.value.code == "label-values"
    image = _labels().to_sitk()
    image.SetMetaData("Segmentation_MasterRepresentation", "Fractional labelmap")
    sitk.WriteImage(image, str(tmp_path / "f.seg.nrrd"))
    with pytest.raises(SegToolkitError, match=r"f\.seg\.nrrd") as caught:
        read_segmentation(tmp_path / "f.seg.nrrd")
    assert caught.value.code == "fractional-segmentation"
    with pytest.raises(SegToolkitError, match="Liver") as caught:
        Segmentation(_labels(), _segments()).named("spleen")
    assert caught.value.code == "unknown-segment"


def test_failed_write_leaves_the_earlier_segmentation_alone(tmp_path):
    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(b"precious")
    labels = oblique().with_voxels(np.full((4, 5, 6), 1 << 40))
    with pytest.raises(SegToolkitError, match=r"a\.seg\.nrrd"):
        write_segmentation(Segmentation(labels, []), path)
    assert path.read_bytes() == b"precious"
