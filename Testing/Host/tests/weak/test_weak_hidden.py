"""What the panel does while another module is shown, and how little it does at each refresh."""

from __future__ import annotations

import pytest
import SegToolkitTestData as data
import slicer


@pytest.fixture
def outlined(panel, images):
    """A mask on the voxels of the first image."""
    node, ids = data.outline(images["FLAIR"], ("large organ",))
    panel.parameters.outputSegmentation = node
    panel.settle()
    return node, next(iter(ids.values()))


def paint(node, segmentId):
    """A stroke of the brush."""
    image = node.GetSegmentation().GetSegment(segmentId).GetRepresentation("Binary labelmap")
    image.GetPointData().GetScalars().Modified()
    image.Modified()
    node.GetSegmentation().InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)


def test_strokes_in_the_segment_editor_are_counted_when_the_panel_is_back(
    panel, images, outlined, monkeypatch
):
    from SegToolkitGui.weak import Review

    counted, voxels = [], Review.voxels
    monkeypatch.setattr(Review, "voxels", lambda *nodes: counted.append(1) or voxels(*nodes))
    paint(*outlined)
    panel.settle()
    assert len(counted) == 1
    panel.widget.exit()
    refreshed = []
    with monkeypatch.context() as patched:
        patched.setattr(panel.panel, "changed", lambda: refreshed.append(1))
        for _stroke in range(3):
            paint(*outlined)
            panel.application.processEvents(0.05)
        slicer.util.arrayFromVolumeModified(images["FLAIR"])
        assert not refreshed
    panel.settle()  # of the hidden panel, because a node was added, say
    assert len(counted) == 1
    panel.widget.enter()
    assert len(counted) == 2
    paint(*outlined)
    panel.settle()
    assert len(counted) == 3


def test_a_refresh_translates_nothing_for_each_slice(panel, images):
    from host.slicer_parts import i18n
    from SegToolkitGui.weak import SliceTable

    facts = {number: SliceTable.SliceFacts({"FLAIR": 0.9}, 0.1, None) for number in range(12)}
    before = len(i18n.translated)
    panel.panel.tags.table.show([None] * 12, facts)
    assert len(i18n.translated) == before
    assert panel.tagTable.item(3, 3).toolTip() == "Poor agreement: look at this slice."
    assert panel.tagTable.item(3, 4).toolTip().startswith("Nothing to compare")
    assert panel.tagTable.item(3, 1).toolTip() == "not said"


def test_no_run_is_looked_at_before_everything_is_installed(panel, monkeypatch):
    from SegToolkitGui.InstallLogic import InstallStatus

    train, setup = panel.panel.train, panel.panel.setup
    panel.parameters.run = "/runs/one"
    panel.settle()
    assert train._jobs is not None
    with monkeypatch.context() as patched:
        patched.setattr(setup, "status", InstallStatus(False, "", "", "", ""))
        panel.panel.refresh()
        assert train._jobs is None
    panel.parameters.run = ""
    panel.settle()
