"""Self-test of the training module; runs in the application and in the host of Testing/Host."""

import json
import shutil
import tempfile
from pathlib import Path

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest


class SegToolkitTrainingTest(ScriptedLoadableModuleTest):
    """Panel and logic, without a long training: runs are computed by a process of their own."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)
        self.logic = slicer.util.getModuleLogic("SegToolkitTraining")
        self.panel = slicer.util.getModuleWidget("SegToolkitTraining").panel
        self.session = self.logic.session
        self.folder = Path(tempfile.mkdtemp(prefix="SegToolkit-self-test-"))
        self.before = self.session.machine.runsFolder
        self.session.machine.runsFolder = str(self.folder / "runs")
        self.panel.enter()

    def tearDown(self):
        self.panel.exit()
        self.session.machine.runsFolder = self.before
        self.session.jobs.follow("")
        slicer.mrmlScene.Clear(0)
        shutil.rmtree(str(self.folder), ignore_errors=True)

    def needsPackages(self):
        """Computing needs what the Install button brings; in a bare application only the panel is tested."""
        status = self.panel.setup.install.status()
        if not status.ready:
            self.skipTest(f"{status.text} {status.hint}")

    def waitFor(self, condition, seconds=60):
        """Let the application handle events until the condition holds."""
        import qt

        loop, timer, clock = qt.QEventLoop(), qt.QTimer(), qt.QElapsedTimer()

        def look():
            if condition() or clock.elapsed() > seconds * 1000:
                loop.quit()

        timer.connect("timeout()", look)
        clock.start()
        timer.start(20)
        loop.exec()
        timer.stop()
        self.assertTrue(condition(), self.panel.ui.reasonLabel.text)

    def test_panel_says_what_is_missing(self):
        self.panel.refresh()
        ui = self.panel.ui
        self.assertFalse(ui.startButton.enabled)
        self.assertTrue(ui.reasonLabel.text)
        self.assertEqual(ui.startButton.toolTip, ui.reasonLabel.text)

    def test_methods_come_from_the_library(self):
        self.needsPackages()
        self.waitFor(lambda: self.session.methods)
        self.panel.refresh()
        self.assertGreater(self.panel.ui.methodCombo.count, 0)
        self.assertIn("alpnet", [one["name"] for one in self.session.methods])
        self.assertGreater(self.panel.ui.presetCombo.count, 2)

    def test_the_choice_is_kept_with_the_scene(self):
        self.logic.getParameterNode().dataset = str(self.folder)
        self.logic.getParameterNode().fold = "2"
        path = Path(slicer.app.temporaryPath) / "SegToolkit-self-test.mrb"
        self.assertTrue(slicer.util.saveScene(str(path)))
        slicer.mrmlScene.Clear(0)
        self.assertEqual(self.logic.getParameterNode().dataset, "")
        slicer.util.loadScene(str(path))
        path.unlink()
        self.assertEqual(self.logic.getParameterNode().dataset, str(self.folder))
        self.assertEqual(self.logic.getParameterNode().fold, "2")

    def test_mistakes_are_told_in_sentences(self):
        self.needsPackages()
        from SegToolkitGui.Errors import UserError

        for arguments, part in (
            ({"dataset": str(self.folder / "nowhere")}, "nowhere"),
            ({"dataset": str(self.folder), "method": "none"}, "none"),
            ({"dataset": str(self.folder), "preset": "none"}, "none"),
        ):
            run = self.logic.startTraining(**arguments)
            with self.assertRaises(UserError) as told:
                run.wait(60)
            self.assertIn(part, str(told.exception))

    def test_a_run_without_usable_data_fails_with_a_sentence(self):
        self.needsPackages()
        from SegToolkitGui.Errors import UserError

        described = {"name": "empty", "modality": "MR", "labels": {"background": 0}}
        (self.folder / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
        for number in range(4):
            (self.folder / f"image_{number}.nii.gz").write_bytes(b"no image")
        run = self.logic.startTraining(str(self.folder), preset="quick", device="cpu")
        with self.assertRaises(UserError) as told:
            run.wait(120)
        self.assertTrue(str(told.exception).rstrip().endswith("."))
        self.assertIn(run.name, [one["name"] for one in self.logic.runs()])
