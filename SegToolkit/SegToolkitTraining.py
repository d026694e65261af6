"""SegToolkit Training: train a method on your own data, in the background, with the panel open or closed."""

import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

HELP = _(
    "Train a segmentation method on a folder of cases or on what is in the scene. A training is a process of"
    " its own: it goes on when the scene is closed and when Slicer is closed, and is found again afterwards."
    " See the"
    ' <a href="https://github.com/SegToolkit/SlicerSegToolkit/blob/main/docs/slicer-training.md">guide</a>.'
)
THANKS = _(
    "Methods: Ouyang et al., Self-Supervision with Superpixels: Training Few-shot Medical Image Segmentation"
    " without Annotation, ECCV 2020."
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


class SegToolkitTrainingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Loads the panel, and keeps it and the scene together."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self.uiWidget = None
        self.ui = None

    def setup(self):
        """Build the panel; nothing is installed or started here."""
        ScriptedLoadableModuleWidget.setup(self)
        findPackages()
        from SegToolkitGui.training.Panel import Panel

        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/SegToolkitTraining.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SegToolkitTrainingLogic()
        self.panel = Panel(self.ui, self.logic)
        scene = slicer.mrmlScene
        # At the end of an import node selectors fill their lists anew and lose their check marks in between:
        # that is nobody's choice, so the panel has let go by then.
        for event in (scene.StartCloseEvent, scene.StartImportEvent):
            self.addObserver(scene, event, self.onSceneStartsChanging)
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        for event in (scene.EndCloseEvent, scene.EndImportEvent):
            self.addObserver(scene, event, self.onSceneChanged)
        self.panel.attach()
        if self.parent.isEntered:  # the module was reloaded while it is shown: nobody calls enter() then
            self.panel.enter()

    def enter(self):
        """The panel is shown."""
        self.panel.enter()

    def exit(self):
        """Another module is shown; runs go on."""
        self.panel.exit()

    def cleanup(self):
        """The application ends, or the module is reloaded; runs go on."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.tearDown()
            self.panel = None

    def onSceneStartClose(self, caller, event):
        """What is being collected goes."""
        self.panel.collect.sceneClosing()

    def onSceneStartsChanging(self, caller, event):
        """Forget the nodes before they go, or get other contents."""
        self.panel.detach()

    def onSceneChanged(self, caller, event):
        """Take the new scene's choices."""
        self.panel.detach()
        self.panel.attach()

    def onReload(self):
        """Drop our packages as well, so that a developer's change is seen."""
        from SegToolkitGui.training.Session import TrainingSession

        TrainingSession.endShared()
        for name in [one for one in sys.modules if one.split(".")[0] in ("SegToolkitGui", "SegToolkitLib")]:
            del sys.modules[name]
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

    def getParameterNode(self):
        """The module's choices in the scene (see SegToolkitGui/training/Parameters.py)."""
        from SegToolkitGui.training.Parameters import openParameters

        return openParameters(self.parameterNodeOfScene())

    def parameterNodeOfScene(self):
        """The MRML node that holds them."""
        return ScriptedLoadableModuleLogic.getParameterNode(self)

    def startTraining(
        self, dataset, method="alpnet", preset="quick", settings=None, name=None, device=None, places=None
    ):
        """Start a training; returns at once. It outlives the object returned, the scene and Slicer.

        Args:
            dataset: folder of a data set (nnU-Net's raw layout).
            method: name of a method.
            preset: name of one of its presets.
            settings: what differs from the preset: {"optimiser": {"steps": 100}} or {"optimiser.steps": 100}.
            name: of the run; a number is added where it is taken. None makes one.
            device: "auto", "cpu", "cuda:0", ...; None takes the one chosen on this machine. Runs that do not
                fit on it together wait for each other.
            places: further inputs of the method, name -> path.

        Returns:
            The run (SegToolkitGui.training.TrainingRun.TrainingRun): ``state``, ``status``, ``error``,
            ``model``, ``stop(keep=False)``, ``kill()``, ``resume()``, ``wait(seconds=None)`` and the signals
            ``stateChanged`` and ``finished``. What is wrong with the arguments is told by ``wait`` and by
            ``error``.
        """
        from SegToolkitGui.training.TrainingRun import TrainingRun

        run = TrainingRun(self.session)
        run.prepare(dataset, method, preset, settings, name, device, places)
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
