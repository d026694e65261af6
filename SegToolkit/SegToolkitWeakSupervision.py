"""SegToolkit Weak Supervision: from slice tags to maps, from maps to masks, and a person's look at them."""

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
    "Say of each slice whether the object is visible. From such tags, and two or more registered images of"
    " each patient, networks learn maps of where the object is; the maps become masks, which you accept,"
    " correct or send back. See the"
    ' <a href="https://github.com/SegToolkit/SlicerSegToolkit/blob/main/docs/slicer-weak-supervision.md">guide</a>.'
)
THANKS = _(
    "Method: Patel and Dolz, Weakly supervised segmentation with cross-modality equivariant constraints,"
    " Medical Image Analysis 2022, 102374."
)


class SegToolkitWeakSupervision(ScriptedLoadableModule):
    """What the application shows of the module before its panel is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("SegToolkit: Weak Supervision")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation") + ".SegToolkit"]
        parent.dependencies = ["SegToolkitTraining"]
        parent.contributors = ["The SegToolkit developers"]
        parent.helpText = HELP
        parent.acknowledgementText = THANKS


def findPackages():
    """Let SegToolkitGui be imported where the extension runs un-built, from its folder."""
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)


class SegToolkitWeakSupervisionWidget(ScriptedLoadableModuleWidget):
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
        from SegToolkitGui.weak.Panel import Panel

        self.logic = SegToolkitWeakSupervisionLogic()
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


class SegToolkitWeakSupervisionLogic(ScriptedLoadableModuleLogic):
    """Tags, maps, masks and data sets, with or without the panel.

    Images are given as a dictionary, modality -> volume node; slices are those of the first one, counted
    from 0 across its clearly coarsest voxel axis (the third where none is).

    Example:
        >>> logic = slicer.util.getModuleLogic("SegToolkitWeakSupervision")
        >>> images = {"FLAIR": slicer.util.getNode("flair"), "T1c": slicer.util.getNode("t1c")}
        >>> logic.setTags(images["FLAIR"], {12: True, 13: True, 40: False})
        >>> result = logic.maps(images, model="tumour", acceptLicence=True).results[0]
        >>> print(result.slices[12]["modalities"], result.slices[12]["seeds"])
        >>> mask = logic.refine(images, thresholds={"FLAIR": 0.6}, structure="Tumour").results[0]
        >>> logic.accept(mask.segmentationId, [12, 13])
        >>> logic.exportMasks(images, mask.segmentationId, "/data/accepted")
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        findPackages()
        from SegToolkitGui.weak.Runner import WeakRunner

        self.runner = WeakRunner.shared()
        self.session = self.runner.session

    @property
    def tagHistory(self):
        """Undo and redo of tags (SegToolkitGui.weak.SliceTags.TagHistory)."""
        return self.runner.tags

    def endShared(self):
        """End run and worker, before the module is reloaded."""
        self.runner.endShared()

    def getParameterNode(self):
        """The module's choices in the scene (see SegToolkitGui/weak/Parameters.py)."""
        from SegToolkitGui.weak.Parameters import openParameters

        return openParameters(self.parameterNodeOfScene())

    def parameterNodeOfScene(self):
        """The MRML node that holds them."""
        return ScriptedLoadableModuleLogic.getParameterNode(self)

    # Tags

    def tags(self, volume):
        """The tags of a volume: slice -> True (visible) or False (not visible), of tagged slices only.

        Example:
            >>> logic.tags(slicer.util.getNode("flair"))
            {12: True, 40: False}
        """
        from SegToolkitGui.weak import Arguments, SliceTags

        return SliceTags.asDict(SliceTags.read(Arguments.image(volume, "volume")))

    def setTags(self, volume, tags, replace=False):
        """Tag slices of a volume; they are a table node of the scene, and can be undone in the panel.

        Args:
            volume: scalar volume node.
            tags: slice -> True (visible), False (not visible), or None (not said).
            replace: forget the tags of all other slices.

        Raises:
            SegToolkitGui.Errors.UserError: there is no such slice.
        """
        from SegToolkitGui.weak import Arguments, SliceTags

        node = Arguments.image(volume, "volume")
        old = SliceTags.read(node)
        new = SliceTags.fromDict(Arguments.tags(tags), len(old))
        if not replace:
            new = [new[number] if number in tags else tag for number, tag in enumerate(old)]
        self.tagHistory.write(node, new)

    # Maps and masks

    def models(self):
        """The models that make maps: dicts with name, title, modalities, thresholds, seeds, licence, ...

        Waits for the worker if nobody has asked it yet.

        Raises:
            SegToolkitGui.Errors.UserError: the worker could not tell.
        """
        from SegToolkitGui.run.Waiting import answer

        if not self.session.models:
            answer(self.session.askModels)
        return self.session.usableModels()

    def maps(
        self,
        images,
        model=None,
        resample=False,
        kind=None,
        gate=None,
        device=None,
        acceptLicence=False,
        waitForCompletion=True,
        eventCallback=None,
    ):
        """Make a map of each modality and the fused one, and a table of what the networks say of each slice.

        Args:
            images: modality -> volume node; maps lie on the voxels of the first.
            model: name of a model or path of a model folder; None takes the one used last.
            resample: bring the other images onto the voxels of the first, by where the scene says they lie.
            kind: "cam", "gradcam" or "gradcam++"; None as the model says.
            gate: whether slices that a network takes to be without the object have a blank map; None as the
                model says.
            device: "auto", "cpu", "cuda:0", ...; None takes the one chosen on this machine.
            acceptLicence: accept the model's terms (once; it is remembered).
            waitForCompletion: wait until the run is over, while the application's events go on being handled;
                False returns at once, and the returned run's ``finished`` signal tells the end.
            eventCallback: called with dicts {"t": "progress", "phase", "step", "total"} and
                {"t": "log", "text"}.

        Returns:
            The run (SegToolkitGui.weak.MapsRun.MapsRun): ``results[0]`` holds ``mapIds``, ``tableId``,
            ``thresholds``, ``axis``, ``slices`` and ``notes``.

        Raises:
            SegToolkitGui.Errors.UserError: the inputs cannot be used, or (when waiting) the run failed or was
                cancelled.
        """
        from SegToolkitGui.run.Waiting import follow
        from SegToolkitGui.weak import Arguments, Requests

        callback, device = Arguments.callback(eventCallback), device or self.session.device
        settings = Requests.maps(images, model, resample, kind, gate, device, acceptLicence)
        return follow(self.start(settings), waitForCompletion, callback)

    def start(self, settings):
        """Begin to make maps with complete settings (MapsSettings); see :meth:`maps`."""
        return self.runner.start(settings)

    def refine(
        self,
        images,
        thresholds=None,
        tags=None,
        structure="Lesion",
        outputSegmentation=None,
        outputMode=None,
        slices=None,
        resample=False,
        waitForCompletion=True,
        eventCallback=None,
        **settings,
    ):
        """Make one mask of the maps that were made last of the first image.

        Args:
            images: modality -> volume node, as for :meth:`maps`.
            thresholds: map -> threshold; None, and maps that are not named, as they are in the scene.
            tags: slice -> visible or not; None takes those of the first image, {} none.
            structure: name of the segment; lesion, tumour, oedema, necrosis, cyst and prostate get standard
                codes and colours.
            outputSegmentation: segmentation node to write into; None makes a new one.
            outputMode: into ``outputSegmentation``: "replace" the segment of the same name (the default),
                "add" one, or "merge" with it.
            slices: only these; None for all.
            resample, waitForCompletion, eventCallback: as for :meth:`maps`.
            settings: of the library's refinement (docs/cmer.md), such as consensus="vote".

        Returns:
            The run (SegToolkitGui.weak.RefineRun.RefineRun): ``results[0]`` holds ``segmentationId``,
            ``segmentId``, ``before``, ``after``, ``slices`` and ``notes``.

        Raises:
            SegToolkitGui.Errors.UserError: as :meth:`maps`.
        """
        from SegToolkitGui.run.Waiting import follow
        from SegToolkitGui.weak import Arguments, Requests

        callback, output = Arguments.callback(eventCallback), outputSegmentation
        request = Requests.refine(
            images, thresholds, tags, structure, output, outputMode, slices, resample, settings
        )
        return follow(self.runner.refine(request), waitForCompletion, callback)

    # Review and data sets

    def accepted(self, segmentation):
        """The slices of a segmentation that were accepted, in their order."""
        from SegToolkitGui.weak import Arguments, Review

        return Review.accepted(Arguments.segmentation(segmentation))

    def accept(self, segmentation, slices, replace=False):
        """Say that a mask is right in some slices.

        Args:
            segmentation: segmentation node, or its MRML ID.
            slices: their numbers.
            replace: only these, from now on.

        Raises UserError where there is no such slice.
        """
        from SegToolkitGui.weak import Arguments, Review

        node = Arguments.segmentation(segmentation)
        chosen = Review.checkSlices([Arguments.whole(one, "slices") for one in slices], node)
        Review.setAccepted(node, chosen if replace else [*Review.accepted(node), *chosen])

    def collect(
        self,
        images,
        folder,
        name="",
        modality="MR",
        tags=None,
        resample=False,
        keepNames=False,
        waitForCompletion=True,
        eventCallback=None,
    ):
        """Write a patient's images and tags into a data set; one that is there is added to.

        Args:
            images: modality -> volume node, named as in the data set.
            folder: of the data set.
            name, modality: of a new data set; the modality is "MR" or "CT".
            tags: slice -> visible or not; None takes those of the first image.
            keepNames: keep the patient's name; else patients become patient-1, patient-2, ...
            resample, waitForCompletion, eventCallback: as for :meth:`maps`.

        Returns:
            The run (SegToolkitGui.weak.CollectRun.CollectRun): ``cases`` holds the names of the cases.
        """
        from SegToolkitGui.run.Waiting import follow
        from SegToolkitGui.weak import Arguments, Requests

        callback = Arguments.callback(eventCallback)
        settings = Requests.collect(images, folder, name, modality, tags, resample, keepNames)
        return follow(self.runner.collect(settings), waitForCompletion, callback)

    def exportMasks(
        self,
        images,
        segmentation,
        folder,
        others="left",
        name="",
        modality="MR",
        resample=False,
        keepNames=False,
        waitForCompletion=True,
        eventCallback=None,
    ):
        """Write a patient's images and the accepted slices of a mask into a data set.

        Args:
            segmentation: segmentation node, or its MRML ID.
            others: slices that were not accepted are "left" out, but for those tagged as not visible (each
                run of neighbours becomes a case of its own, of the same patient), or taken for "background".
            images, folder, name, modality, resample, keepNames, waitForCompletion, eventCallback: as for
                :meth:`collect`.
        """
        from SegToolkitGui.run.Waiting import follow
        from SegToolkitGui.weak import Arguments, Requests

        callback = Arguments.callback(eventCallback)
        settings = Requests.masks(images, segmentation, folder, others, name, modality, resample, keepNames)
        return follow(self.runner.collect(settings), waitForCompletion, callback)

    def train(self, dataset, modalities, preset="default", seeds=1, **more):
        """Start a training on a data set of tagged patients; it outlives Slicer. Needs SegToolkit: Training.

        Args:
            dataset: folder of the data set.
            modalities: their names, in the order of the networks.
            preset: "quick", "default", or another one of the method cmer.
            seeds: how many trainings, of which the best is kept.
            more: name, device, settings, as startTraining of the module SegToolkitTraining takes them.

        Returns:
            The run (SegToolkitGui.training.TrainingRun.TrainingRun).
        """
        from SegToolkitGui.weak import Arguments
        from SegToolkitGui.weak.TrainPart import settingsOf, trainingLogic

        settings = {**settingsOf(modalities, seeds), **more.pop("settings", {})}
        training = Arguments.module(trainingLogic())
        return training.startTraining(dataset, method="cmer", preset=preset, settings=settings, **more)

    def waitFor(self, run):
        """Wait until a run is over, while the application goes on handling events.

        Raises:
            SegToolkitGui.Errors.UserError: it failed or was cancelled.
        """
        from SegToolkitGui.run.Waiting import waitFor

        waitFor(run)

    def undo(self):
        """Take the last maps or masks back; returns what was done, in a sentence."""
        return self.runner.undo()


class SegToolkitWeakSupervisionTest(ScriptedLoadableModuleTest):
    """What "Reload and Test" runs: the tests of Testing/Slicer."""

    def runTest(self, **_arguments):
        """Run them all."""
        findPackages()
        from SegToolkitGui.SelfTests import runSelfTests

        runSelfTests("SegToolkitWeakSupervision")
