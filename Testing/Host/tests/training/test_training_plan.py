"""Section 2: method, preset, settings, estimate; nothing of a method is known beforehand."""

from __future__ import annotations

import pytest


def settingOf(panel, path):
    value = panel.panel.plan.values()
    for name in path.split("."):
        value = value[name]
    return value


def change(panel, values):
    """As if the person changed fields of the form."""
    panel.panel.plan.form.setValues(values)
    panel.panel.plan.form.changed.emit()
    panel.settle(0.6)


def test_presets_bring_their_help_and_settings(panel):
    assert panel.presetLabel.text() == "A few minutes."
    assert settingOf(panel, "optimiser.steps") == 20
    panel.presetCombo.setCurrentIndex(1)
    panel.settle()
    assert panel.presetLabel.text() == "As good as it gets."
    assert settingOf(panel, "optimiser.steps") == 1000


def test_differences_from_the_preset_are_counted_and_taken_back(panel):
    assert panel.settingsSection.property("text") == "Settings"
    change(panel, {"optimiser": {"steps": 30}, "seed": 5})
    assert panel.settingsSection.property("text") == "Settings (2 differ from the preset)"
    panel.resetSettingsButton.click()
    panel.settle()
    assert settingOf(panel, "optimiser.steps") == 20
    assert panel.settingsSection.property("text") == "Settings"


def test_settings_the_method_does_not_take_block_start(panel, world, dataset):
    panel.choose(dataset)
    panel.wait(panel.startButton.isEnabled, what="Start")
    change(panel, {"optimiser": {"steps": 13}})
    panel.wait(lambda: not panel.startButton.isEnabled(), what="the refusal")
    assert "13 steps are unlucky." in panel.reasonLabel.text()
    assert "13 steps are unlucky." in panel.settingsLabel.text()
    change(panel, {"optimiser": {"steps": 14}})
    panel.wait(panel.startButton.isEnabled, what="Start")


def test_method_preset_and_places_are_remembered_on_this_machine(panel, tmp_path):
    panel.presetCombo.setCurrentIndex(1)
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"")
    panel.panel.plan._places["coco"].setCurrentPath(str(weights))
    panel.methodCombo.setCurrentIndex(1)
    panel.settle()
    assert panel.panel.plan.places() == {}
    assert panel.session.machine.method == "other"
    panel.methodCombo.setCurrentIndex(0)
    panel.settle()
    assert panel.presetCombo.currentText() == "Default"
    assert panel.panel.plan.places() == {"coco": str(weights)}


def test_a_place_that_is_not_there_is_told(panel, dataset, tmp_path):
    panel.choose(dataset)
    panel.panel.plan._places["coco"].setCurrentPath(str(tmp_path / "none.pth"))
    panel.settle()
    assert "none.pth does not exist" in panel.reasonLabel.text()
    panel.panel.plan.method["places"][0]["made"] = True  # the run makes it where it is missing
    panel.settle()
    panel.wait(panel.startButton.isEnabled, what="Start")
    del panel.panel.plan.method["places"][0]["made"]


def test_the_device_belongs_to_the_machine(panel):
    panel.trainingDeviceCombo.setCurrentIndex(2)
    panel.settle()
    assert panel.session.machine.device == "cuda:0"
    panel.application.closeScene()
    panel.settle()
    assert panel.trainingDeviceCombo.currentText() == "A graphics card, 8 GB"


# Estimates


def test_an_estimate_comes_by_itself_and_again_after_a_change(panel, world, dataset):
    panel.choose(dataset)
    panel.wait(lambda: "About 14 s" in panel.estimateLabel.text(), what="the estimate")
    assert "2.1 GB of the device's 8.0 GB" in panel.estimateLabel.text()
    change(panel, {"optimiser": {"steps": 1000}})
    panel.wait(lambda: "About 12 min" in panel.estimateLabel.text(), what="the second estimate")
    panel.startButton.click()
    panel.wait(lambda: world.asked("job_start"), what="the start")
    assert world.asked("job_start")[0]["memory_mb"] == 2100


def test_too_little_memory_is_told(panel, dataset):
    panel.trainingDeviceCombo.setCurrentIndex(1)
    panel.choose(dataset)
    panel.wait(lambda: "2.1 GB" in panel.estimateLabel.text(), what="the estimate")
    assert "more than there is" in panel.estimateLabel.text()
    assert "#c0392b" in panel.estimateLabel.styleSheet()


def test_nothing_is_tried_by_itself_while_something_trains(panel, world, dataset):
    world.run("one", state="running")
    panel.polled()
    panel.choose(dataset)
    panel.settle(0.8)
    assert not world.asked("estimate")
    panel.estimateButton.click()
    panel.wait(lambda: "About" in panel.estimateLabel.text(), what="the estimate")


def test_an_estimate_can_be_cancelled_and_does_not_come_back_by_itself(panel, world, dataset):
    world.set("seconds", "estimate", 30)
    panel.choose(dataset)
    panel.wait(lambda: "/600" in panel.estimateLabel.text(), what="the estimate's progress")
    panel.cancelEstimateButton.click()
    panel.settle(0.8)
    assert not panel.cancelEstimateButton.isVisible()
    assert "cancelled" in panel.estimateLabel.text()
    assert len(world.asked("estimate")) == 1
    world.set("seconds", "estimate", 0)
    panel.estimateButton.click()
    panel.wait(lambda: "About 14 s" in panel.estimateLabel.text(), what="the estimate")


@pytest.mark.parametrize("what", ["a change", "a start", "leaving"])
def test_an_estimate_gives_way_to(panel, world, dataset, what):
    world.set("seconds", "estimate", 30)
    panel.choose(dataset)
    panel.wait(lambda: world.asked("estimate"), what="the estimate")
    if what == "a change":
        world.set("seconds", "estimate", 0)
        change(panel, {"optimiser": {"steps": 40}})
        panel.wait(lambda: "About 28 s" in panel.estimateLabel.text(), what="the second estimate")
    elif what == "a start":
        panel.startButton.click()
        panel.wait(lambda: world.asked("job_start"), what="the start")
        assert not panel.panel.estimate.busy
    else:
        panel.widget.exit()
        assert not panel.panel.estimate.busy
        panel.widget.enter()


def test_files_to_be_written_do_not_wait_for_an_estimate(panel, world, dataset):
    world.set("seconds", "estimate", 30)
    panel.choose(dataset)
    panel.wait(lambda: world.asked("estimate"), what="the estimate")
    done: list[dict] = []
    body = {"path": "/a/b/c"}
    panel.session.slow.ask("model", "add_model", body, None, lambda outputs, error: done.append(outputs))
    panel.wait(lambda: done, 5, "the model")
    # The estimate was set back, not lost.
    panel.wait(lambda: len(world.asked("estimate")) == 2, 5, "the second try")
    panel.cancelEstimateButton.click()


def test_an_estimate_that_fails_is_told_and_start_stays_possible(panel, world, dataset):
    told = {"code": "out-of-gpu-memory", "text": "The GPU ran out of memory.", "hint": "Choose the CPU."}
    world.set("errors", "estimate", told)
    panel.choose(dataset)
    panel.wait(lambda: "The GPU ran out of memory." in panel.estimateLabel.text(), what="the failure")
    assert panel.startButton.isEnabled()
