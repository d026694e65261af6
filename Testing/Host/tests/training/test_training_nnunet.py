"""nnU-Net in the panel, which does not know it: chosen, set, trained and used as any other method."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from training_panel import ROOT, Panel

LIB = ROOT / "Testing" / "Lib"
TINY = {
    "plan": {"memory_gb": 1, "batch": 2, "features": 4},
    "optimiser": {"epochs": 2, "steps_per_epoch": 2},
    "log_every": 1,
    "validate_every": 2,
}


def parsed(schema: dict):
    """As the form takes a schema; the panel's modules are there once the application is."""
    from SegToolkitGui.training.SettingsSchema import parsed

    return parsed(schema)


def choose(panel: Panel, preset: str) -> None:
    titles = [panel.methodCombo.itemText(row) for row in range(panel.methodCombo.count())]
    panel.methodCombo.setCurrentIndex(titles.index("nnU-Net"))
    panel.settle()
    names = [panel.presetCombo.itemText(row) for row in range(panel.presetCombo.count())]
    panel.presetCombo.setCurrentIndex(names.index(preset))
    panel.settle()


def test_its_settings_are_widgets_of_the_form_and_not_lines_of_json(real):
    panel = real
    choose(panel, "Quick check")
    (method,) = [one for one in panel.session.methods if one["name"] == "nnunet"]
    kinds = {spec.name: spec.kind for spec in parsed(method["schema"]).allFields()}
    assert {
        name: kinds[name] for name in ("trainer", "plan.configuration", "plan.planner", "validation.by")
    } == {
        "trainer": "choice",
        "plan.configuration": "choice",
        "plan.planner": "choice",
        "validation.by": "choice",
    }
    assert kinds["augment.mirror"] == "boolean"
    assert {name for name, kind in kinds.items() if kind == "json"} == {"data.cases"}
    values = panel.panel.plan.values()
    assert (values["trainer"], values["plan"]["features"]) == ("plain", 8)
    assert "PDCR" in panel.methodCombo.toolTip()


@pytest.mark.slow
def test_it_trains_from_the_panel_and_its_model_is_for_use(real, tmp_path):
    if importlib.util.find_spec("nnunetv2") is None:
        pytest.skip("nnunetv2 is not installed: nothing is trained with it; CI has it")
    sys.path.append(str(LIB))
    try:
        from nnunet_method_runs import made_dataset
    finally:
        sys.path.remove(str(LIB))
    panel = real
    panel.choose(made_dataset(tmp_path / "data"))
    choose(panel, "Quick check")
    panel.panel.plan.form.setValues(TINY)
    panel.panel.plan.form.changed.emit()
    panel.settle(0.5)
    panel.runNameEdit.setText("hippo")
    panel.runNameEdit.textEdited.emit("hippo")
    panel.settle()
    panel.wait(panel.startButton.isEnabled, 60, "Start")
    panel.startButton.click()

    def job() -> dict:
        return next((one for one in panel.jobs.jobs if one["name"] == "hippo"), {"state": ""})

    panel.wait(lambda: job()["state"] in ("finished", "failed"), 400, "the end")
    assert job()["state"] == "finished", panel.told()
    kinds = [event["t"] for event in panel.jobs.events]
    panel.wait(lambda: "finished" in [event["t"] for event in panel.jobs.events], 10, kinds)
    panel.settle()
    assert [event["step"] for event in panel.jobs.events if event["t"] == "metric"] == [1, 2, 3, 4]
    assert [step for step, _path in panel.panel.running._pictures] == [2, 4]
    assert "best dice" in panel.stateLabel.text()
    panel.select("hippo")
    assert panel.useModelButton.isEnabled()
