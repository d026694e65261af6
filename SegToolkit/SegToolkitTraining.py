"""SegToolkit Training: train a method on your own data, in the background, with the panel open or closed."""

import sys
from pathlib import Path

from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

HELP = _(
    "Train a segmentation method on a folder of cases or on what is in the scene. A training is a process of"
    " its own: it goes on when the scene is closed and when Slicer is closed, and is found again afterwards."
    " See the"
    ' <a href="https://github.com/SegToolkit/SlicerSegToolkit/blob/main/docs/slicer-training.md">guide</a>.'
)
THANKS = _(
    "Methods: Ouyang et al., Self-Supervision with Superpixels: Training Few-shot Medical Image Segmentation"
    " without Annotation, ECCV 2020. Zhang et al., Efficient Context-Aware Network for Abdominal Multi-organ"
    " Segmentation, arXiv 2109.10601, 2021. Chen et al., Semi-Supervised Semantic Segmentation with Cross"
    " Pseudo Supervision, CVPR 2021."
)


class SegToolkitTraining(ScriptedLoadableModule):
    """What the application shows of the module before its panel is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("SegToolkit: Training")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation") + ".SegToolkit"]
        parent.dependencies = []
        parent.contributors = ["The SegToolkit developers"]
        parent.helpText = HELP
        parent.acknowledgementText = THANKS


def findPackages():
    """Let SegToolkitGui be imported where the extension runs un-built, from its folder."""
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)


class SegToolkitTrainingWidget(ScriptedLoadableModuleWidget):
    """Holds the panel, whose life is SegToolkitGui.ModuleWidget's matter."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.logic = None
        self.panel = None
        self.uiWidget = None
        self.ui = None
        self.life = None

    def setup(self):
        """Build the panel; nothing is installed or started here."""
        ScriptedLoadableModuleWidget.setup(self)
        findPackages()
        from SegToolkitGui.ModuleWidget import ModuleLife
        from SegToolkitGui.training.Panel import Panel

        self.logic = SegToolkitTrainingLogic()
        self.life = ModuleLife(self, Panel)

    def enter(self):
        """The panel is shown."""
        self.life.enter()

    def exit(self):
        """Another module is shown; runs go on."""
        self.life.exit()

    def cleanup(self):
        """The application ends, or the module is reloaded."""
        if self.life is not None:
            self.life.cleanup()

    def onReload(self):
        """A developer's change is to be seen in our packages as well."""
        self.life.beforeReload()
        ScriptedLoadableModuleWidget.onReload(self)


class SegToolkitTrainingLogic(ScriptedLoadableModuleLogic):
    """Training in the background, with or without the panel.

    Example:
        >>> logic = slicer.util.getModuleLogic("SegToolkitTraining")
        >>> run = logic.startTraining("/data/Dataset001_Abdomen", preset="quick")
        >>> run.wait()  # or go on working; run.finished tells the end
        >>> print(run.state, run.model)
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        findPackages()
        from SegToolkitGui.training.Session import TrainingSession

        self.session = TrainingSession.shared()

    def endShared(self):
        """End the workers, before the module is reloaded; runs go on."""
        self.session.endShared()

    def getParameterNode(self):
        """The module's choices in the scene (see SegToolkitGui/training/Parameters.py)."""
        from SegToolkitGui.training.Parameters import openParameters

        return openParameters(self.parameterNodeOfScene())

    def parameterNodeOfScene(self):
        """The MRML node that holds them."""
        return ScriptedLoadableModuleLogic.getParameterNode(self)

    def startTraining(
        self,
        dataset,
        method="alpnet",
        preset="quick",
        settings=None,
        name=None,
        device=None,
        places=None,
        data=None,
    ):
        """Start a training; returns at once. It outlives the object returned, the scene and Slicer.

        Args:
            dataset: folder of a data set (nnU-Net's raw layout), or a description file.
            method: name of a method.
            preset: name of one of its presets.
            settings: what differs from the preset: {"optimiser": {"steps": 100}} or {"optimiser.steps": 100}.
            name: of the run; a number is added where it is taken. None makes one.
            device: "auto", "cpu", "cuda:0", ...; None takes the one chosen on this machine. Runs that do not
                fit on it together wait for each other.
            places: further inputs of the method, name -> path.
            data: folder of the data set's volumes, if they do not lie where its description says.

        Returns:
            The run (SegToolkitGui.training.TrainingRun.TrainingRun): ``state``, ``status``, ``error``,
            ``model``, ``stop(keep=False)``, ``kill()``, ``resume()``, ``wait(seconds=None)`` and the signals
            ``stateChanged`` and ``finished``. What is wrong with the arguments is told by ``wait`` and by
            ``error``.
        """
        from SegToolkitGui.training.TrainingRun import TrainingRun

        run = TrainingRun(self.session)
        run.prepare(dataset, method, preset, settings, name, device, places, data)
        return run

    def start(self, plan):
        """Begin a run with complete settings (SegToolkitGui.training.RunPlan.RunPlan); returns at once."""
        from SegToolkitGui.training.TrainingRun import TrainingRun

        run = TrainingRun(self.session)
        run.begin(plan)
        return run

    def runs(self):
        """The runs in the runs folder that are known now: dicts with name, folder, state, step, ..."""
        return list(self.session.jobs.jobs)


class SegToolkitTrainingTest(ScriptedLoadableModuleTest):
    """What "Reload and Test" runs: the tests of Testing/Slicer."""

    def runTest(self, **_arguments):
        """Run them all."""
        findPackages()
        from SegToolkitGui.SelfTests import runSelfTests

        runSelfTests("SegToolkitTraining")
