"""Self-test of the automatic-segmentation module; runs in the application and in the host of Testing/Host."""

import sys
from pathlib import Path

import numpy as np
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

sys.path.append(str(Path(__file__).resolve().parent))

import SegToolkitTestData as data


class SegToolkitAutoSegmentTest(ScriptedLoadableModuleTest):
    """Panel and logic on a made-up volume, with the first model there is."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.logic = slicer.util.getModuleLogic("SegToolkitAutoSegment")
        self.panel = slicer.util.getModuleWidget("SegToolkitAutoSegment").panel
        self.panel.enter()

    def tearDown(self):
        self.logic.runner.cancel()
        self.panel.exit()
        slicer.mrmlScene.Clear(0)

    def aModel(self):
        """A model; computing needs one, and what the Install button brings."""
        status = self.panel.setup.install.status()
        if not status.ready:
            self.skipTest(f"{status.text} {status.hint}")
        models = self.logic.models()
        if not models:
            self.skipTest("There is no automatic model here.")
        return models[0]

    def aVolume(self, kind="axial"):
        """Both organs, and air around the body as in a CT."""
        volume = data.makeVolume(kind=kind)
        voxels = slicer.util.arrayFromVolume(volume)
        voxels[voxels < 60] = -1000
        slicer.util.arrayFromVolumeModified(volume)
        return volume

    def runOn(self, volume, **arguments):
        return self.logic.process(volume, model=self.aModel()["name"], acceptLicence=True, **arguments)

    def test_panel_says_what_is_missing(self):
        self.panel.refresh()
        ui = self.panel.ui
        self.assertFalse(ui.applyButton.enabled)
        self.assertTrue(ui.reasonLabel.text)
        self.assertEqual(ui.applyButton.toolTip, ui.reasonLabel.text)

    def test_result_is_finished(self):
        volume = self.aVolume("oblique")
        run = self.runOn(volume)
        table = slicer.mrmlScene.GetNodeByID(run.tableId).GetTable()
        self.assertEqual(table.GetNumberOfRows(), len(run.results[0].rows))
        if not run.results[0].segmentIds:  # a model of real patients may find nothing here
            self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)
            return
        segmentation = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
        role = segmentation.GetReferenceImageGeometryReferenceRole()
        self.assertEqual(segmentation.GetNodeReferenceID(role), volume.GetID())
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        items = [hierarchy.GetItemByDataNode(node) for node in (volume, segmentation)]
        self.assertEqual(*(hierarchy.GetItemParent(item) for item in items))
        voxelMl = np.prod(data.SPACING) / 1000
        for row in run.results[0].rows:
            if row["name"] in run.results[0].segmentIds:
                found = data.maskOf(segmentation, run.results[0].segmentIds[row["name"]], volume)
                self.assertAlmostEqual(found.sum() * voxelMl, row["ml"], places=2)

    def test_one_organ_alone(self):
        name = self.aModel()["labels"][0]["name"]
        run = self.runOn(self.aVolume(), organs=name)
        self.assertEqual([row["name"] for row in run.results[0].rows], [name])

    def test_several_volumes_are_taken_back_in_one_step(self):
        run = self.runOn([self.aVolume(), self.aVolume("flipped")], maps=list(self.aModel()["maps"]))
        self.assertEqual(len(run.results), 2)
        self.logic.undo()
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"), 2)
        self.assertIsNone(slicer.mrmlScene.GetNodeByID(run.tableId))

    def test_a_segmentation_agrees_with_its_copy(self):
        self.aModel()
        volume = self.aVolume()
        pair = [data.outline(volume)[0] for _twice in range(2)]
        run = self.logic.compare(*pair)
        self.assertEqual([(row["name"], row["dsc"]) for row in run.rows], [("large organ", 1.0)])
        self.assertEqual(len(run.chartIds), 2)

    def test_mistakes_are_told_in_sentences(self):
        from SegToolkitGui.Errors import UserError

        for arguments in ({}, {"inputVolume": "no node"}, {"inputVolume": self.aVolume(), "organs": []}):
            with self.assertRaises(UserError) as told:
                self.logic.process(**arguments)
            self.assertTrue(str(told.exception))
