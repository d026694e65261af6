"""Parts below the limit: what own models keep of small crops, what is said of what they leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from SegToolkitLib.automatic.segmenter import AutomaticOptions
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import InferencePlan, ModelPlan, NetworkPlan, StagePlan
from SegToolkitLib.methods.cssn.prepare import Box, resample_array
from SegToolkitLib.methods.cssn.regions import paint_parts
from SegToolkitLib.methods.cssn.segment import CssnSegmenter, Scan
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.methods.cssn.weights import Stage, for_stage
from SegToolkitLib.models.card import Label
from SegToolkitLib.volume import Volume

pytestmark = pytest.mark.usefixtures("one_thread")

LIVER, SPLEEN = 1, 2
LABELS = [Label(value=LIVER, name="liver"), Label(value=SPLEEN, name="spleen")]
STAGES = {
    "coarse": StagePlan(network=NetworkPlan(kind="unet", channels=(4, 4, 4, 4)), size=(16, 32, 32)),
    "fine": StagePlan(network=NetworkPlan(channels=(4, 4, 4, 4), blocks=(1, 1, 1)), size=(32, 64, 64)),
}
OWN = CssnSettings().inference
# Near the liver, and far from it; in voxels of 2 mm (8 mm3), z, y, x.
NEAR, FAR = (14, 14, 24), (2, 34, 34)


class Seeing(CssnSegmenter):
    """Two stages of a network that is never wrong.

    Args:
        truth: label map [z, y, x] of the volume, whose axes are canonical.
        plan: stages and rules.
    """

    def __init__(self, truth: NDArray[np.uint8], plan: ModelPlan) -> None:
        state: dict[str, Tensor] = {}
        for stage, one in (("coarse", plan.coarse), ("fine", plan.fine)):
            if one is not None:
                state |= for_stage(build_network(one, 2, seed=1).state_dict(), stage)  # type: ignore[arg-type]
        super().__init__(plan, state, LABELS, torch.device("cpu"))
        self.truth = truth

    def _logits(self, scan: Scan, stage: Stage, box: Box) -> Tensor:
        size = self._stage(stage).size
        shares = [
            resample_array((self.truth[box.slices] == label.value).astype(np.float32), size)
            for label in LABELS
        ]
        return torch.from_numpy(np.stack(shares)) * 12 - 6


def truth(spleen: int = 6, at: tuple[int, int, int] = NEAR) -> NDArray[np.uint8]:
    """A liver of 20^3 voxels (64,000 mm3) and a spleen of so many along each axis."""
    labels = np.zeros((28, 44, 44), np.uint8)
    labels[4:24, 4:24, 2:22] = LIVER
    z, y, x = at
    labels[z : z + spleen, y : y + spleen, x : x + spleen] = SPLEEN
    return labels


def segmented(labels: NDArray[np.uint8], rules: InferencePlan, mode: Any = "full", **more: Any) -> Any:
    plan = ModelPlan(**{**STAGES, "inference": rules, **more})
    volume = Volume(labels.astype(np.int16), (2.0,) * 3, (0, 0, 0), np.diag([-1.0, -1.0, 1.0]))
    return Seeing(labels, plan).segment(volume, AutomaticOptions(mode=mode))


def test_an_own_model_keeps_small_organs_of_a_small_volume() -> None:
    # 1728 mm3. As released, the limit in this crop would be more than 5000 mm3.
    result = segmented(truth(), OWN)
    assert set(np.unique(result.labels.voxels)) == {0, LIVER, SPLEEN}
    assert not result.notes


@pytest.mark.parametrize("mode", ["full", "quick"])
def test_what_was_found_and_left_out_is_said_with_its_size_and_the_limit(mode: str) -> None:
    rules = OWN.model_copy(update={"fine_least_mm3": 3000, "coarse_least_mm3": 3000})
    result = segmented(truth(), rules, mode)
    assert set(np.unique(result.labels.voxels)) == {0, LIVER}
    (note,) = result.notes
    assert "spleen (largest part 1," in note
    assert "3,000 mm³" in note
    assert "liver" not in note
    assert ("coarse_least_mm3" if mode == "quick" else "fine_least_mm3") in note


def test_the_released_limit_is_told_in_true_mm3() -> None:
    result = segmented(truth(), InferencePlan(coarse_least_mm3=100))
    assert set(np.unique(result.labels.voxels)) == {0, LIVER}
    (note,) = result.notes
    limit = float(note.split("limit of ")[1].split(" mm³")[0].replace(",", ""))
    assert limit > 5000


def test_exclusive_results_are_told_of_as_well() -> None:
    rules = OWN.model_copy(update={"fine_least_mm3": 3000, "exclusive": True})
    (note,) = segmented(truth(), rules).notes
    assert "spleen" in note


def test_what_the_coarse_stage_saw_too_little_of_is_said_where_the_region_misses_it() -> None:
    rules = OWN.model_copy(update={"coarse_least_mm3": 3000, "margin_mm": 2})
    result = segmented(truth(at=FAR), rules)
    assert set(np.unique(result.labels.voxels)) == {0, LIVER}
    (note,) = result.notes
    assert note.startswith("Not in the result: spleen (largest part 1,")
    assert "3,000 mm³" in note
    # Within the region the fine stage finds it all the same, and there is nothing to say.
    near = segmented(truth(), rules.model_copy(update={"margin_mm": 20}))
    assert SPLEEN in near.labels.voxels
    assert not near.notes


@pytest.mark.parametrize("on_empty", ["whole", "empty"])
def test_a_region_that_was_not_found_for_small_parts_says_so_in_one_note(on_empty: str) -> None:
    rules = OWN.model_copy(update={"coarse_least_mm3": 1e6, "on_empty": on_empty})
    (note,) = segmented(truth(), rules).notes
    assert note.startswith("The coarse stage found no organ of more than 1,000,000 mm³ (liver (largest part ")


def test_a_stage_goes_by_rules_of_its_own() -> None:
    strict = OWN.model_copy(update={"coarse_least_mm3": 3000})
    far, rules = truth(at=FAR), OWN.model_copy(update={"margin_mm": 2})
    assert SPLEEN in segmented(far, rules).labels.voxels
    assert SPLEEN not in segmented(far, rules, coarse_inference=strict).labels.voxels
    assert SPLEEN not in segmented(far, rules, "quick", coarse_inference=strict).labels.voxels


def test_painting_tells_the_largest_part_only_where_all_are_too_small() -> None:
    mask = np.zeros((4, 9, 9), bool)
    mask[0, 0, :3] = mask[3, 8, :5] = True
    for least, keep, expected in ((5, 1, 5), (4, 1, 0), (9, None, 5), (0, 0, 0)):
        labels = np.zeros(mask.shape, np.uint8)
        assert paint_parts(labels, mask, 7, keep, least) == expected
    assert paint_parts(labels, np.zeros_like(mask), 7, 1, 0) == 0
