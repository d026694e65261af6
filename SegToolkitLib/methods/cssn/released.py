"""What the authors' released models are, besides their weights; checkpoints do not say it.

Source: released prediction settings of SemiSeg-CSSN (FLARE22) and EfficientSegmentation (FLARE21).
"""

from __future__ import annotations

from SegToolkitLib.dataset.flare import FLARE21_LABELS, FLARE22_LABELS
from SegToolkitLib.methods.cssn.plan import InferencePlan, Size
from SegToolkitLib.models.card import Licence
from SegToolkitLib.models.imported import labels_of_file
from SegToolkitLib.settings import Settings

KNOWN = ("flare22", "flare21")
EXAMPLE = '{"liver": 1, "spleen": 2}'
UNKNOWN_LICENCE = Licence(
    name="unknown",
    permissive=False,
    summary="Unknown: the authors' repository states no licence, so ask them. The terms of the"
    " challenge's data may bind, too.",
)


class Released(Settings):
    """A set of labels, and how the authors use a network that has them.

    Attributes:
        labels: name -> value; channels are in the order of the values.
        coarse_size, fine_size: voxels (z, y, x) of the networks' inputs when they predict.
        inference: the rules.
    """

    labels: dict[str, int]
    coarse_size: Size = (160, 160, 160)
    fine_size: Size = (160, 160, 160)
    inference: InferencePlan = InferencePlan()


FLARE22 = Released(labels=dict(FLARE22_LABELS))
FLARE21 = Released(
    labels=dict(FLARE21_LABELS),
    fine_size=(192, 192, 192),
    # Both kidneys share a label, and the region has no limit in z.
    inference=InferencePlan(components={2: 2}, half_height_mm=None),
)


def released(labels: str) -> Released:
    """One of the released sets, or that of a file.

    Args:
        labels: "flare22", "flare21", or a JSON file with an object: name -> value from 1 up. Sizes and rules
            are those of FLARE22 then.

    Raises:
        SegToolkitError: "unknown-labels", "bad-labels", or the file cannot be read.
    """
    if labels.lower() in KNOWN:
        return {"flare22": FLARE22, "flare21": FLARE21}[labels.lower()]
    return FLARE22.model_copy(update={"labels": labels_of_file(labels, ", ".join(KNOWN), EXAMPLE)})
