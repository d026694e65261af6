"""What the library calls the parts of its work, in the language of the application."""

from __future__ import annotations

from slicer.i18n import tr as _

# Every phase that SegToolkitLib tells by name, those of commands included; a test holds the two together.
PHASES = {
    "checking": _("checking"),
    "coarse": _("finding the organs"),
    "comparing": _("comparing"),
    "copying": _("copying"),
    "corrupting": _("corrupting"),
    "download": _("fetching"),
    "drawing": _("drawing"),
    "estimating": _("estimating"),
    "evaluating": _("evaluating"),
    "fine": _("outlining the organs"),
    "gathering": _("gathering"),
    "jobs": _("runs"),
    "judging": _("judging"),
    "labelling": _("labelling"),
    "loading model": _("loading the model"),
    "looking": _("looking"),
    "looking at held-out cases": _("looking at held-out cases"),
    "looking at training cases": _("looking at training cases"),
    "maps": _("making maps"),
    "measuring": _("measuring"),
    "packing": _("packing"),
    "planning": _("planning"),
    "prepare": _("preparing"),
    "preparing": _("preparing"),
    "preprocessing": _("preprocessing"),
    "reading": _("reading"),
    "reading held-out cases": _("reading held-out cases"),
    "reading labelled cases": _("reading labelled cases"),
    "reading masks": _("reading masks"),
    "reading training cases": _("reading training cases"),
    "reading unlabelled cases": _("reading unlabelled cases"),
    "refining": _("refining"),
    "restore": _("bringing the result to the volume"),
    "scoring": _("scoring"),
    "segmenting": _("segmenting"),
    "slices": _("segmenting slices"),
    "starting": _("starting"),
    "superpixels": _("making superpixels"),
    "superpixels of held-out scans": _("making superpixels of held-out scans"),
    "training": _("training"),
    "unpacking": _("unpacking"),
    "writing": _("writing"),
    "writing DICOM": _("writing DICOM"),
}


def phaseText(phase: str) -> str:
    """A phase as a person reads it; those of the panel itself are translated already and stay as they are."""
    return PHASES.get(phase, phase)
