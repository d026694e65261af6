"""Self-test of the weak-supervision module; runs in the application and in the host of Testing/Host."""

import sys
import tempfile
from pathlib import Path

import numpy as np
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

sys.path.append(str(Path(__file__).resolve().parent))

import SegToolkitTestData as data


class SegToolkitWeakSupervisionTest(ScriptedLoadableModuleTest):
    """Panel and logic on made-up volumes, with the first model there is for computing."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.logic = slicer.util.getModuleLogic("SegToolkitWeakSupervision")
        self.panel = slicer.util.getModuleWidget("SegToolkitWeakSupervision").panel
        self.panel.enter()

    def tearDown(self):
        self.logic.runner.cancel()
        self.panel.exit()
        slicer.mrmlScene.Clear(0)

    def images(self, names=("FLAIR", "T1c")):
        """One volume for each modality, all on one grid."""
        return {name: data.makeVolume(name, seed=number) for number, name in enumerate(names)}

    def mapped(self):
        """Images with maps of the first model."""
        status = self.panel.setup.install.status()
        if not status.ready:
            self.skipTest(f"{status.text} {status.hint}")
        models = self.logic.models()
        if not models:
            self.skipTest("There is no model that makes maps here.")
        images = self.images(models[0]["modalities"])
        run = self.logic.maps(images, model=models[0]["name"], gate=False, acceptLicence=True)
        return images, run.results[0]

    def test_panel_says_what_is_missing(self):
        self.panel.refresh()
        ui = self.panel.ui
        self.assertFalse(ui.applyButton.enabled)
        self.assertTrue(ui.reasonLabel.text)
        self.assertEqual(ui.applyButton.toolTip, ui.reasonLabel.text)

    def test_tags_are_kept_in_the_scene(self):
        volume = self.images()["FLAIR"]
        self.logic.setTags(volume, {3: True, 4: False})
        self.logic.setTags(volume, {4: None, 5: False})
        self.assertEqual(self.logic.tags(volume), {3: True, 5: False})
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode"), 1)

    def test_maps_lie_on_the_first_image(self):
        images, result = self.mapped()
        first = next(iter(images.values()))
        for nodeId in result.mapIds.values():
            values = slicer.util.arrayFromVolume(slicer.mrmlScene.GetNodeByID(nodeId))
            self.assertEqual(values.shape, slicer.util.arrayFromVolume(first).shape)
            self.assertTrue(values.min() >= 0 and values.max() <= 1)
        self.assertEqual(len(result.slices), data.SIZE[result.axis])
        self.logic.undo()
        self.assertTrue(all(slicer.mrmlScene.GetNodeByID(one) is None for one in result.mapIds.values()))

    def test_a_mask_is_accepted_and_exported(self):
        images, result = self.mapped()
        first = next(iter(images.values()))
        for nodeId in result.mapIds.values():
            node = slicer.mrmlScene.GetNodeByID(nodeId)
            slicer.util.updateVolumeFromArray(node, data.organMask("large organ").astype(np.float32))
        run = self.logic.refine(images, thresholds=0.5, smoothing="none", supported=False)
        mask = run.results[0]
        segmentation = slicer.mrmlScene.GetNodeByID(mask.segmentationId)
        found = data.maskOf(segmentation, mask.segmentId, first)
        self.assertTrue(np.array_equal(found, data.organMask("large organ")))
        self.logic.accept(segmentation, [4, 5])
        with tempfile.TemporaryDirectory() as folder:
            written = self.logic.exportMasks(images, segmentation, f"{folder}/set")
            self.assertEqual(len(written.cases), 1)
            self.assertTrue(Path(folder, "set", "dataset.json").is_file())

    def test_mistakes_are_told_in_sentences(self):
        from SegToolkitGui.Errors import UserError

        images = self.images()
        for call in (
            lambda: self.logic.maps({}),
            lambda: self.logic.maps({"FLAIR": images["FLAIR"]}),
            lambda: self.logic.refine(images),
            lambda: self.logic.setTags(images["FLAIR"], {99: True}),
        ):
            with self.assertRaises(UserError) as told:
                call()
            self.assertTrue(str(told.exception))
