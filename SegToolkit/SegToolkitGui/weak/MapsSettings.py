"""What is asked of a run that makes maps, and why it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from SegToolkitGui.weak.Images import Images

KINDS = ("cam", "gradcam", "gradcam++")


@dataclass
class MapsSettings:
    """Settings of a run.

    Attributes:
        images: the volumes; maps lie on the voxels of the first.
        model: name of the model; "" takes this machine's.
        device: "auto", "cpu", "cuda:0", ...
        resample: bring the other images onto the voxels of the first.
        kind: of map; None as the model says.
        gate: whether slices that a network takes to be without the object have a blank map; None as the model
            says.
        acceptLicence: accept the terms of the model.
    """

    images: Images
    model: str = ""
    device: str = "auto"
    resample: bool = False
    kind: str | None = None
    gate: bool | None = None
    acceptLicence: bool = False

    segmentation = None  # maps make none

    def nodeIds(self) -> set[str]:
        """Nodes without which the run makes no sense."""
        return set(self.images.ids)

    def problem(self) -> str:
        """Why this cannot be run, in a sentence for the person; "" if it can."""
        problem = self.images.problem()
        if not problem and not self.resample:
            problem = self.images.gridProblem()
            if problem:
                problem += " " + _(
                    "If they are registered, tick that the others are brought onto it; if not, register them"
                    " first (General Registration)."
                )
        if not problem and self.kind is not None and self.kind not in KINDS:
            problem = _("There is no kind of map {kind!r}; there are {kinds}.").format(
                kind=self.kind, kinds=", ".join(KINDS)
            )
        return problem

    def modelProblem(self, model: dict) -> str:
        """Why the images do not fit the model, in a sentence; "" if they do."""
        wanted = list(model["modalities"])
        have = {name.casefold() for name in self.images.names}
        missing = [name for name in wanted if name.casefold() not in have]
        if missing:
            return _("The model {title} needs {wanted}; there is no image {missing}.").format(
                title=model["title"] or model["name"],
                wanted=", ".join(wanted),
                missing=", ".join(missing),
            )
        return ""
