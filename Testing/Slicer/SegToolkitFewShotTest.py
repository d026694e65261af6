"""Self-test of the few-shot module; runs in the application and in the host of Testing/Host."""

import sys
from pathlib import Path

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

sys.path.append(str(Path(__file__).resolve().parent))

import SegToolkitTestData as data


class SegToolkitFewShotTest(ScriptedLoadableModuleTest):
    """Panel and logic on a made-up volume."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.logic = slicer.util.getModuleLogic("SegToolkitFewShot")
        self.panel = slicer.util.getModuleWidget("SegToolkitFewShot").panel
        self.panel.enter()

    def tearDown(self):
        self.logic.runner.cancel()
        self.panel.exit()
        slicer.mrmlScene.Clear(0)

    def needsPackages(self):
        """Computing needs what the Install button brings; in a bare application only the panel is tested."""
        status = self.panel.setup.install.status()
        if not status.ready:
            self.skipTest(f"{status.text} {status.hint}")

    def runOn(self, kind="axial", **arguments):
        """Outline the large organ on one slice and process the volume."""
        volume = data.makeVolume(kind=kind)
        segmentation, ids = data.outline(volume)
        example = self.logic.example(volume, segmentation, list(ids.values()), sliceIndex=5)
        run = self.logic.process(volume, [example], acceptLicence=True, **arguments)
        return volume, run

    def test_panel_says_what_is_missing(self):
        self.panel.refresh()
        ui = self.panel.ui
        self.assertFalse(ui.applyButton.enabled)
        self.assertTrue(ui.reasonLabel.text)
        self.assertEqual(ui.applyButton.toolTip, ui.reasonLabel.text)

    def test_outline_on_one_slice_gives_the_volume(self):
        self.needsPackages()
        for kind in ("axial", "flipped", "oblique", "sagittal"):
            slicer.mrmlScene.Clear(0)
            volume, run = self.runOn(kind)
            segmentation = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
            found = data.maskOf(segmentation, run.results[0].segmentIds["large organ"], volume)
            score = data.dice(found, data.organMask("large organ"))
            self.assertGreater(score, 0.7, kind)

    def test_result_is_finished(self):
        self.needsPackages()
        volume, run = self.runOn()
        segmentation = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
        role = segmentation.GetReferenceImageGeometryReferenceRole()
        self.assertEqual(segmentation.GetNodeReferenceID(role), volume.GetID())
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        items = [hierarchy.GetItemByDataNode(node) for node in (volume, segmentation)]
        self.assertEqual(*(hierarchy.GetItemParent(item) for item in items))

    def test_result_can_be_taken_back(self):
        self.needsPackages()
        _volume, run = self.runOn()
        self.logic.undo()
        self.assertIsNone(slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId))

    def test_volume_under_a_transform(self):
        self.needsPackages()
        volume = data.makeVolume()
        segmentation, ids = data.outline(volume)
        moved = data.transformNode()
        for node in (volume, segmentation):
            node.SetAndObserveTransformNodeID(moved.GetID())
        example = self.logic.example(volume, segmentation, list(ids.values()), sliceIndex=5)
        run = self.logic.process(volume, [example], acceptLicence=True)
        result = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
        self.assertEqual(result.GetParentTransformNode(), moved)
        found = data.maskOf(result, run.results[0].segmentIds["large organ"], volume)
        self.assertGreater(data.dice(found, data.organMask("large organ")), 0.7)

    def test_mistakes_are_told_in_sentences(self):
        from SegToolkitGui.Errors import UserError

        volume = data.makeVolume()
        with self.assertRaises(UserError) as told:
            self.logic.process(volume, [])
        self.assertIn("Outline", str(told.exception))

    def test_examples_are_kept_with_the_scene(self):
        volume = data.makeVolume()
        segmentation, ids = data.outline(volume)
        self.logic.supports().add(volume, segmentation, list(ids.values()), 2, 5)
        path = Path(slicer.app.temporaryPath) / "SegToolkit-self-test.mrb"
        self.assertTrue(slicer.util.saveScene(str(path)))
        slicer.mrmlScene.Clear(0)
        self.assertEqual(self.logic.supports().items(), [])
        slicer.util.loadScene(str(path))
        path.unlink()
        examples = self.logic.supports().items()
        self.assertEqual([example.index for example in examples], [5])
        self.assertEqual(examples[0].structureNames(), ["large organ"])
        self.assertEqual(examples[0].problem(), "")
