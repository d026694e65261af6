"""SegToolkit Auto Segment: a trained model finds the organs of a volume, or of a whole list of patients."""

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
    "Choose a volume and a model and press <b>Apply</b>: the organs come as finished segments with standard"
    " names and colours, and with a table of their volumes. Many volumes, or whole patients of the DICOM"
    " database, go in one run. See the"
    ' <a href="https://github.com/SegToolkit/SlicerSegToolkit/blob/main/docs/slicer-auto-segment.md">guide</a>.'
)
THANKS = _(
    "Methods: Zhang et al., Efficient Context-Aware Network for Abdominal Multi-organ Segmentation, arXiv"
    " 2109.10601; Chen et al., Semi-Supervised Semantic Segmentation with Cross Pseudo Supervision, CVPR"
    " 2021."
)


class SegToolkitAutoSegment(ScriptedLoadableModule):
    """What the application shows of the module before its panel is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("SegToolkit: Auto Segment")
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


class SegToolkitAutoSegmentWidget(ScriptedLoadableModuleWidget):
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
        from SegToolkitGui.autosegment.Panel import Panel
        from SegToolkitGui.ModuleWidget import ModuleLife

        self.logic = SegToolkitAutoSegmentLogic()
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


class SegToolkitAutoSegmentLogic(ScriptedLoadableModuleLogic):
    """Automatic segmentation of volumes of the scene or the DICOM database, with or without the panel.

    Example:
        >>> logic = slicer.util.getModuleLogic("SegToolkitAutoSegment")
        >>> run = logic.process(volume, organs=["liver", "spleen"], acceptLicence=True)
        >>> segmentation = slicer.mrmlScene.GetNodeByID(run.results[0].segmentationId)
        >>> print(run.results[0].rows)
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        findPackages()
        from SegToolkitGui.autosegment.Runner import AutoSegmentRunner

        self.runner = AutoSegmentRunner.shared()
        self.session = self.runner.session

    def endShared(self):
        """End run and worker, before the module is reloaded."""
        self.runner.endShared()

    def getParameterNode(self):
        """The module's choices in the scene (see SegToolkitGui/autosegment/Parameters.py)."""
        from SegToolkitGui.autosegment.Parameters import openParameters

        return openParameters(self.parameterNodeOfScene())

    def parameterNodeOfScene(self):
        """The MRML node that holds them."""
        return ScriptedLoadableModuleLogic.getParameterNode(self)

    def models(self):
        """The automatic models that can be used: dicts with name, title, labels, modes, licence, ...

        Waits for the worker if nobody has asked it yet.

        Raises:
            SegToolkitGui.Errors.UserError: the worker could not tell.
        """
        from SegToolkitGui.run.Waiting import answer

        if not self.session.models:
            answer(self.session.askModels)
        return self.session.usableModels()

    def process(
        self,
        inputVolume=None,
        model=None,
        organs=None,
        mode="full",
        outputSegmentation=None,
        outputMode=None,
        maps=None,
        uncertainty=False,
        volumesTable=True,
        series=None,
        allFrames=False,
        device=None,
        small=None,
        acceptLicence=False,
        waitForCompletion=True,
        eventCallback=None,
    ):
        """Find the organs of one or several volumes.

        Args:
            inputVolume: scalar volume node, or a list of them; None where ``series`` are given.
            model: name of a model or path of a model folder; None takes the one used last.
            organs: names (or label values) of what is wanted; None takes all that the model finds.
            mode: "full", or "quick" for a coarser result sooner.
            outputSegmentation: segmentation node to write into; None makes a new one for each volume.
            outputMode: into ``outputSegmentation``: "replace" segments of the same names (the default), "add"
                segments, or "merge" with them.
            maps: names of maps to make as volumes besides, with values from 0 to 1, such as ["uncertainty"];
                ``models()`` tells which a model has.
            uncertainty: short for ``maps=["uncertainty"]``.
            volumesTable: also make a table node with volume and mean intensity of each organ.
            series: UID, or a list of UIDs, of series of the DICOM database, loaded and segmented as well.
            allFrames: segment every frame of the sequence that the volume belongs to, into a sequence of its
                own beside it, with a table and a plot of the volumes; of ventricles, the ejection fraction.
            device: "auto", "cpu", "cuda:0", ...; None takes the one chosen on this machine.
            small: take less memory, and more time; None takes this machine's choice.
            acceptLicence: accept the model's terms (once; it is remembered).
            waitForCompletion: wait until the run is over, while the application's events go on being
                handled; False returns at once, and the returned run's ``finished`` signal tells the end.
            eventCallback: called with dicts {"t": "progress", "phase", "step", "total"} and
                {"t": "log", "text"}.

        Returns:
            The run (SegToolkitGui.autosegment.Run.AutoSegmentRun): ``results`` hold node IDs, segment IDs,
            the rows of the table and times; ``failures`` what did not work; ``tableId`` the table. A volume
            in which nothing was found gets no new segmentation: its ``segmentationId`` is "". Of all frames
            it is SegToolkitGui.autosegment.FramesRun.FramesRun: ``results`` has one for each frame,
            ``ventricles`` their figures.

        Raises:
            SegToolkitGui.Errors.UserError: the inputs cannot be used, or (when waiting) the run failed
                or was cancelled.
        """
        from SegToolkitGui.autosegment import Arguments
        from SegToolkitGui.autosegment.AutoSegmentSettings import AutoSegmentSettings

        output = outputSegmentation
        if output is not None:
            Arguments.node(output, Arguments.SEGMENTATION, "outputSegmentation")
        Arguments.callback(eventCallback)
        settings = AutoSegmentSettings(
            volumeIds=[node.GetID() for node in Arguments.volumes(inputVolume)]
            if inputVolume is not None
            else [],
            series=Arguments.texts(series, "series") if series is not None else [],
            model=Arguments.text(model, "model"),
            organs=Arguments.organs(organs) if organs is not None else None,
            mode=Arguments.text(mode, "mode"),
            device=Arguments.text(device, "device") or self.session.device,
            small=self.session.machine.small if small is None else bool(small),
            outputMode=outputMode or ("replace" if output is not None else "new"),
            segmentationId=output.GetID() if output is not None else "",
            volumesTable=bool(volumesTable),
            maps=Arguments.maps(maps, uncertainty),
            allFrames=bool(allFrames),
            acceptLicence=bool(acceptLicence),
        )
        return self.start(settings, waitForCompletion, eventCallback)

    def compare(
        self,
        reference,
        segmentation,
        toleranceMm=2.0,
        volume=None,
        waitForCompletion=True,
        eventCallback=None,
    ):
        """Compare a segmentation with a reference, organ by organ (matched by their names).

        Args:
            reference: segmentation node that counts as the truth.
            segmentation: segmentation node that is judged.
            toleranceMm: surfaces that are closer count as equal in the surface Dice (NSD).
            volume: volume node whose grid counts; None takes the one that the segmentation was made on.
            waitForCompletion, eventCallback: as in :meth:`process`.

        Returns:
            The run (SegToolkitGui.autosegment.Compare.CompareRun): ``rows``, ``tableId``, ``chartIds``.

        Raises:
            SegToolkitGui.Errors.UserError: as in :meth:`process`.
        """
        from SegToolkitGui.autosegment import Arguments
        from SegToolkitGui.autosegment.Compare import CompareSettings
        from SegToolkitGui.run.Waiting import follow

        Arguments.node(reference, Arguments.SEGMENTATION, "reference")
        Arguments.node(segmentation, Arguments.SEGMENTATION, "segmentation")
        if volume is not None:
            Arguments.node(volume, Arguments.VOLUME, "volume")
        settings = CompareSettings(
            referenceId=reference.GetID(),
            comparedId=segmentation.GetID(),
            volumeId=volume.GetID() if volume is not None else "",
            toleranceMm=Arguments.number(toleranceMm, "toleranceMm"),
        )
        return follow(self.runner.compare(settings), waitForCompletion, eventCallback)

    def start(self, settings, waitForCompletion=False, eventCallback=None):
        """Begin a run with complete settings (AutoSegmentSettings); see :meth:`process`."""
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


class SegToolkitAutoSegmentTest(ScriptedLoadableModuleTest):
    """What "Reload and Test" runs: the tests of Testing/Slicer."""

    def runTest(self, **_arguments):
        """Run them all."""
        findPackages()
        from SegToolkitGui.SelfTests import runSelfTests

        runSelfTests("SegToolkitAutoSegment")
