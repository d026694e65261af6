"""From what a script hands to the logic to the settings of runs; mistakes are told in sentences."""

from __future__ import annotations

from SegToolkitGui.weak import Arguments, MapNodes, Review, SliceTags
from SegToolkitGui.weak.CollectRun import CollectSettings
from SegToolkitGui.weak.MapsSettings import MapsSettings
from SegToolkitGui.weak.RefineRun import RefineSettings


def tagsOf(images, tags) -> dict[int, bool]:
    """Tags as they were given; None takes those of the first image."""
    return SliceTags.asDict(SliceTags.read(images.node())) if tags is None else Arguments.tags(tags)


def maps(images, model, resample, kind, gate, device, acceptLicence) -> MapsSettings:
    """Of the logic's ``maps``."""
    return MapsSettings(
        images=Arguments.images(images),
        model=Arguments.text(model, "model"),
        device=Arguments.text(device, "device"),
        resample=bool(resample),
        kind=Arguments.text(kind, "kind") or None,
        gate=None if gate is None else bool(gate),
        acceptLicence=bool(acceptLicence),
    )


def refine(
    images, thresholds, tags, structure, output, outputMode, slices, resample, settings
) -> RefineSettings:
    """Of the logic's ``refine``."""
    found = Arguments.images(images)
    nodes = MapNodes.mapsOf(found.node())
    levels = {name: MapNodes.threshold(node) for name, node in nodes.items()}
    if output is not None:
        Arguments.node(output, Arguments.SEGMENTATION, "outputSegmentation")
    return RefineSettings(
        images=found,
        mapIds={name: node.GetID() for name, node in nodes.items()},
        thresholds={**levels, **Arguments.thresholds(thresholds, list(nodes))},
        tags=tagsOf(found, tags),
        slices=None if slices is None else [Arguments.whole(one, "slices") for one in slices],
        resample=bool(resample),
        values=dict(settings),
        structure=Arguments.text(structure, "structure"),
        outputMode=outputMode or ("replace" if output is not None else "new"),
        segmentationId=output.GetID() if output is not None else "",
    )


def collect(images, folder, name, modality, tags, resample, keepNames) -> CollectSettings:
    """Of the logic's ``collect``."""
    found = Arguments.images(images)
    return CollectSettings(
        images=found,
        folder=Arguments.folder(folder),
        name=Arguments.text(name, "name"),
        modality=Arguments.text(modality, "modality"),
        tags=tagsOf(found, tags),
        resample=bool(resample),
        keepNames=bool(keepNames),
    )


def masks(images, segmentation, folder, others, name, modality, resample, keepNames) -> CollectSettings:
    """Of the logic's ``exportMasks``."""
    node, found = Arguments.segmentation(segmentation), Arguments.images(images)
    return CollectSettings(
        images=found,
        folder=Arguments.folder(folder),
        name=Arguments.text(name, "name"),
        modality=Arguments.text(modality, "modality"),
        segmentationId=node.GetID(),
        accepted=Review.accepted(node),
        absent=SliceTags.notVisible(SliceTags.read(found.node())),
        others=Arguments.text(others, "others"),
        resample=bool(resample),
        keepNames=bool(keepNames),
    )
