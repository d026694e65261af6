"""SegToolkit Few-Shot: outline a structure on a slice, get it in the whole volume."""

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
    "Outline a structure on one slice and get it in the whole volume, or in another patient's. The network"
    " was trained without labels. Paint on a slice, press <b>Add this slice</b>, choose the volume, press"
    " <b>Apply</b>. See the"
    ' <a href="https://github.com/SegToolkit/SlicerSegToolkit/blob/main/docs/slicer-few-shot.md">guide</a>.'
)
THANKS = _(
    "Method: Ouyang et al., Self-Supervision with Superpixels: Training Few-shot Medical Image Segmentation"
    " without Annotation, ECCV 2020."
)


class SegToolkitFewShot(ScriptedLoadableModule):
    """What the application shows of the module before its panel is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("SegToolkit: Few-Shot")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation") + ".SegToolkit"]
        parent.dependencies = ["Segmentations"]  # the segment editor in our panel is its widget
        parent.contributors = ["The SegToolkit developers"]
        parent.helpText = HELP
        parent.acknowledgementText = THANKS


def findPackages():
    """Let SegToolkitGui be imported where the extension runs un-built, from its folder."""
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)


class SegToolkitFewShotWidget(ScriptedLoadableModuleWidget):
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
        from SegToolkitGui.fewshot.Panel import Panel
        from SegToolkitGui.ModuleWidget import ModuleLife

        self.logic = SegToolkitFewShotLogic()
        self.life = ModuleLife(self, Panel)

    def enter(self):
        """The panel is shown."""
        self.life.enter()

    def exit(self):
        """Another module is shown; a run goes on."""
        self.life.exit()

    def cleanup(self):
        """The application ends, or the module is reloaded."""
        if self.life is not None:
            self.life.cleanup()

    def onReload(self):
        """A developer's change is to be seen in our packages as well."""
        self.life.beforeReload()
        ScriptedLoadableModuleWidget.onReload(self)


class SegToolkitFewShotLogic(ScriptedLoadableModuleLogic):
    """Few-shot segmentation of volumes of the scene, with or without the panel.

    Example:
        >>> logic = slicer.util.getModuleLogic("SegToolkitFewShot")
        >>> example = logic.example(volume, outlines, sliceIndex=12)
        >>> run = logic.process(volume, [example], acceptLicence=True)
        >>> segmentation = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        findPackages()
        from SegToolkitGui.fewshot.Runner import Runner

        self.runner = Runner.shared()
        self.session = self.runner.session

    def endShared(self):
        """End run and worker, before the module is reloaded."""
        self.runner.endShared()

    def getParameterNode(self):
        """The module's choices in the scene (see SegToolkitGui/fewshot/Parameters.py)."""
        from SegToolkitGui.fewshot.Parameters import openParameters

        return openParameters(self.parameterNodeOfScene())

    def parameterNodeOfScene(self):
        """The MRML node that holds them."""
        return ScriptedLoadableModuleLogic.getParameterNode(self)

    def supports(self):
        """The scene's list of support examples (SupportList)."""
        from SegToolkitGui.fewshot.Supports import SupportList

        return SupportList(self.parameterNodeOfScene())

    def example(self, volume, segmentation, segmentIds=None, sliceIndex=None, axis=2):
        """An example for :meth:`process` that is not kept in the scene's list.

        Args:
            volume: outlined scalar volume node.
            segmentation: segmentation node with the outlines.
            segmentIds: outlined segments; None takes all.
            sliceIndex: number of the outlined slice, from 0.
            axis: 0, 1 or 2: the slice lies across the volume's axis i, j or k.

        Raises:
            SegToolkitGui.Errors.UserError: an argument is not what it must be.
        """
        from SegToolkitGui.fewshot import Arguments
        from SegToolkitGui.fewshot.Supports import SupportExample
        from SegToolkitGui.scene.SequenceFrames import currentFrame

        Arguments.node(volume, Arguments.VOLUME, "volume")
        Arguments.node(segmentation, Arguments.SEGMENTATION, "segmentation")
        if segmentIds is None:
            segmentIds = segmentation.GetSegmentation().GetSegmentIDs()
        return SupportExample(
            uid="",
            volumeId=volume.GetID(),
            segmentationId=segmentation.GetID(),
            segmentIds=tuple(Arguments.texts(segmentIds, "segmentIds")),
            axis=Arguments.axis(axis),
            index=Arguments.whole(sliceIndex, "sliceIndex"),
            frame=currentFrame(volume),
        )

    def process(
        self,
        inputVolume,
        supports=None,
        outputSegmentation=None,
        mode=None,
        model=None,
        device=None,
        slices=None,
        structures=None,
        keepLargest=False,
        asPublished=False,
        confidence=False,
        acceptLicence=False,
        waitForCompletion=True,
        eventCallback=None,
    ):
        """Find the outlined structures in one or several volumes.

        Args:
            inputVolume: scalar volume node, or a list of them.
            supports: examples, of :meth:`example` or of the scene's list; None takes the scene's list.
            outputSegmentation: segmentation node to write into; None makes a new one for each volume.
            mode: into ``outputSegmentation``: "add" segments (the default), "replace" those of the same
                names, or "merge" with them.
            model: name of a model or path of a model folder; None takes the one used last.
            device: "auto", "cpu", "cuda:0", ...; None takes the one chosen on this machine.
            slices: first and last slice that hold the structures, inclusive, from 0; None looks everywhere.
            structures: names to look for; None takes all that are outlined.
            keepLargest: keep the largest connected component of each structure only.
            asPublished: the method as in the paper, without our cleaning.
            confidence: also make a volume with the confidence of each voxel, 0 to 1.
            acceptLicence: accept the model's terms (once; it is remembered).
            waitForCompletion: wait until the run is over, while the application's events go on being
                handled; False returns at once, and the returned run's ``finished`` signal tells the end.
            eventCallback: called with dicts {"t": "progress", "phase", "step", "total"} and
                {"t": "log", "text"}.

        Returns:
            The run (SegToolkitGui.fewshot.Run.FewShotRun); its ``results`` hold node IDs, segment IDs,
            the slice to outline next, and times.

        Raises:
            SegToolkitGui.Errors.UserError: the inputs cannot be used, or (when waiting) the run failed
                or was cancelled.
        """
        from SegToolkitGui.fewshot import Arguments
        from SegToolkitGui.fewshot.RunSettings import RunSettings

        output = outputSegmentation
        if output is not None:
            Arguments.node(output, Arguments.SEGMENTATION, "outputSegmentation")
        Arguments.callback(eventCallback)
        settings = RunSettings(
            supports=self.supports().items() if supports is None else Arguments.examples(supports),
            queryIds=[volume.GetID() for volume in Arguments.volumes(inputVolume)],
            model=Arguments.text(model, "model"),
            device=Arguments.text(device, "device") or self.session.device,
            slices=Arguments.sliceRange(slices) if slices is not None else None,
            structures=Arguments.texts(structures, "structures") if structures is not None else None,
            mode=mode or ("add" if output is not None else "new"),
            segmentationId=output.GetID() if output is not None else "",
            keepLargest=bool(keepLargest),
            asPublished=bool(asPublished),
            confidence=bool(confidence),
            acceptLicence=bool(acceptLicence),
        )
        return self.start(settings, waitForCompletion, eventCallback)

    def start(self, settings, waitForCompletion=False, eventCallback=None):
        """Begin a run with complete settings (RunSettings); see :meth:`process`."""
        from SegToolkitGui.run.Waiting import follow

        return follow(self.runner.start(settings), waitForCompletion, eventCallback)

    def waitFor(self, run):
        """Wait until a run is over, while the application goes on handling events.

        Raises:
            SegToolkitGui.Errors.UserError: it failed or was cancelled.
        """
        from SegToolkitGui.run.Waiting import waitFor

        waitFor(run)

    def undo(self):
        """Take the last result back; returns what was done, in a sentence."""
        return self.runner.undo()


class SegToolkitFewShotTest(ScriptedLoadableModuleTest):
    """What "Reload and Test" runs: the tests of Testing/Slicer."""

    def runTest(self, **_arguments):
        """Run them all."""
        findPackages()
        from SegToolkitGui.SelfTests import runSelfTests

        runSelfTests("SegToolkitFewShot")
