"""The button "DICOM SEG...": from a study to a file that highdicom reads back."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from autosegment_panel import BANDS, ROOT

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def scan(panel, tmp_path, monkeypatch):
    """A CT of a study, as the DICOM browser loads it: a box of liver and one of spleen."""
    import slicer

    monkeypatch.syspath_prepend(str(ROOT / "Testing" / "Lib"))
    from dicom_study import make_series
    from SegToolkitLib.volume import Grid, read_dicom_series

    grid = Grid((12, 14, 10), (1.5, 1.5, 3.0), (-30.5, -20.25, 110), np.eye(3))
    voxels = np.full(grid.shape, -1000)
    voxels[2:6, 3:9, 2:7], voxels[5:9, 10:13, 6:11] = 450, 660
    files = make_series(tmp_path / "study", grid, voxels)
    uids = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): str(path) for path in files}
    database = types.SimpleNamespace(isOpen=True, fileForInstance=lambda uid: uids.get(uid, ""))
    utils = types.SimpleNamespace(importDicom=lambda *_arguments: True)
    monkeypatch.setitem(sys.modules, "DICOMLib", types.SimpleNamespace(DICOMUtils=utils))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    read = read_dicom_series(tmp_path / "study")
    volume = slicer.util.addVolumeFromArray(
        read.voxels.astype(np.int16), LPS_TO_RAS @ read.affine, name="portal"
    )
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    panel.choose(volume)
    return volume, voxels


def export(panel, path):
    from host import modal

    panel.settle()
    assert panel.dicomSegButton.isEnabled(), panel.dicomSegButton.toolTip()
    with modal.answering(lambda *_: str(path)):
        panel.dicomSegButton.click()
    panel.wait(lambda: not panel.panel.running.dicomSeg.busy, what="the export")
    panel.settle()


def test_the_result_is_a_dicom_segmentation_of_the_study(panel, scan, tmp_path):
    _volume, voxels = scan
    panel.apply()
    path = tmp_path / "out é.dcm"
    export(panel, path)
    assert "DICOM SEG written to" in panel.resultLabel.text(), panel.told()
    found = hd.seg.segread(str(path))
    names = {found.get_segment_description(n).segment_label: n for n in found.segment_numbers}
    assert set(names) == {"liver", "spleen"}
    liver = found.get_segment_description(names["liver"])
    assert liver.segmented_property_type.value == "10200004"
    assert "Abdomen, CT" in str(liver)
    planes = found.get_volume(combine_segments=True, relabel=False).array
    for organ, number in names.items():
        low, high = BANDS[organ]
        assert (planes == number).sum() == ((voxels >= low) & (voxels <= high)).sum()


def test_a_volume_from_a_file_cannot_be_exported_and_says_why(panel, volume):
    panel.apply()
    assert not panel.dicomSegButton.isEnabled()
    assert "was not loaded by the DICOM browser" in panel.dicomSegButton.toolTip()


def test_a_study_that_is_gone_is_told(panel, scan, tmp_path):
    panel.apply()
    for path in Path(tmp_path / "study").iterdir():
        path.unlink()
    export(panel, tmp_path / "out.dcm")
    assert "no longer there" in panel.resultLabel.text()
    assert panel.panel.running.strip.state == "failed"
    assert not (tmp_path / "out.dcm").exists()


def test_an_export_that_cannot_begin_is_told(panel, scan):
    from SegToolkitGui.Errors import UserError

    panel.apply()
    part = panel.panel.running.dicomSeg
    part._nodes = lambda: (None, None)
    with pytest.raises(UserError, match="Choose a segmentation"):
        part.start(None)
    assert not part.busy
    del part._nodes


def test_nothing_is_written_where_nobody_chose_a_file(panel, scan):
    panel.apply()
    export(panel, "")
    assert panel.panel.running.dicomSeg.export is None or panel.panel.running.dicomSeg.export.over


def test_outlines_by_hand_are_not_said_to_be_the_models(panel, scan, tmp_path):
    import slicer

    volume, _voxels = scan
    slicer.mrmlScene.RemoveNode(panel.segmentation(panel.apply()))
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "by hand")
    output.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    one = output.GetSegmentation().AddEmptySegment("", "liver")
    mask = (slicer.util.arrayFromVolume(volume) > 380).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, output, one, volume)
    panel.outputSelector.setCurrentNode(output)
    path = tmp_path / "out.dcm"
    export(panel, path)
    assert "Abdomen, CT" not in str(hd.seg.segread(str(path)).get_segment_description(1))
