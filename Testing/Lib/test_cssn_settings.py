"""CSSN's settings: which limits own trainings and released models have, and how long a run may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from SegToolkitLib.methods.cssn.plan import InferencePlan, ModelPlan
from SegToolkitLib.methods.cssn.presets import PRESETS
from SegToolkitLib.methods.cssn.regions import least_voxels
from SegToolkitLib.methods.cssn.released import FLARE21, FLARE22
from SegToolkitLib.methods.cssn.settings import CssnSettings
from SegToolkitLib.models.card import read_card
from SegToolkitLib.settings import load

SHIPPED = Path(__file__).parents[2] / "Resources" / "Models" / "organs-mr-t2"
SPACING = (3.0, 1.5, 1.5)
NETWORK = (160, 160, 160)


def true_mm3(rules: InferencePlan, stage: Any, crop: tuple[int, int, int]) -> float:
    """What a part must exceed, in mm3, in a crop of so many voxels (z, y, x)."""
    counted = 1.0 if stage == "fine" else (crop[0] * crop[1] * crop[2]) / (160 * 160 * 160)
    return least_voxels(rules, stage, SPACING, crop, NETWORK) * SPACING[0] * SPACING[1] * SPACING[2] * counted


def rules_of(name: str) -> InferencePlan:
    settings = PRESETS[name].settings
    assert isinstance(settings, CssnSettings)
    return settings.inference


@pytest.mark.parametrize("name", [name for name in PRESETS if not name.startswith("released")])
@pytest.mark.parametrize("stage", ["coarse", "fine"])
@pytest.mark.parametrize("crop", [(30, 160, 160), (100, 400, 400)], ids=["small", "large"])
def test_own_trainings_have_one_limit_in_mm3_whatever_the_crop(name: str, stage: str, crop: Any) -> None:
    # The smallest organs of the abdomen, the adrenal glands, have 1000 mm3 and more.
    assert true_mm3(rules_of(name), stage, crop) == pytest.approx(500)


@pytest.mark.parametrize(
    "rules",
    [
        rules_of("released"),
        rules_of("released-coarse"),
        FLARE22.inference,
        FLARE21.inference,
        ModelPlan.model_validate(read_card(SHIPPED).settings).inference,
        InferencePlan.model_validate({"margin_mm": 10}),
    ],
    ids=["preset", "coarse preset", "flare22", "flare21", "the shipped card", "a card that is silent"],
)
def test_the_release_keeps_its_limit_which_grows_in_small_crops(rules: InferencePlan) -> None:
    assert true_mm3(rules, "fine", (100, 400, 400)) == pytest.approx(512)
    assert true_mm3(rules, "fine", (30, 160, 160)) == pytest.approx(2000 * 160 / 30)
    assert true_mm3(rules, "coarse", (30, 160, 160)) == pytest.approx(1000)


def test_settings_that_name_other_rules_keep_the_limit() -> None:
    preset = PRESETS["published"].settings
    assert isinstance(preset, CssnSettings)
    for settings in (
        load(CssnSettings, preset, None, ["inference.components.2=2"]),
        CssnSettings.model_validate({"inference": {"components": {2: 2}}}),
    ):
        assert (settings.inference.least_rule, settings.inference.fine_least_mm3) == ("literal", 500)
        assert settings.inference.components == {2: 2}


def test_a_run_of_settings_that_say_released_stays_so() -> None:
    old = CssnSettings().model_dump(mode="json")
    old["inference"] = InferencePlan().model_dump(mode="json")
    kept = CssnSettings.model_validate(old).inference
    assert (kept.least_rule, kept.fine_least_mm3, kept.coarse_least_mm3) == ("released", 2000, 1000)


def test_half_a_million_steps_are_a_run() -> None:
    # "--steps N" means N epochs of a step.
    preset = PRESETS["quick"].settings
    steps = ["optimiser.epochs=500000", "optimiser.steps_per_epoch=1"]
    settings = load(CssnSettings, preset, None, steps)  # type: ignore[arg-type]
    assert settings.total_steps == 500_000
